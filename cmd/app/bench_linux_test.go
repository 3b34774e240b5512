package app

import (
	"os/exec"
	"testing"
	"time"

	"github.com/netdoctor/netdoctor/testenv/lab"
)

// BenchmarkTrace is a proved trace of one flow on the practice host, beside what
// reading that host takes. What is wanted: under a second when it is delivered,
// under 2.5 s when it is dropped without a word.
func BenchmarkTrace(b *testing.B) {
	lab.New(b, lab.Default())
	a := New()
	start := time.Now()
	for range 3 {
		if _, err := a.Read(b.Context(), ReadOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	reading := time.Since(start) / 3
	for _, bb := range []struct {
		name, from, to, verdict string
		observe                 Observe
		wanted                  time.Duration
	}{
		{"delivered", "client", "db:5432", "delivered", nil, time.Second},
		{"refused", "client", "db:9999", "refused", nil, time.Second},
		{"dropped by a rule", "report", "172.20.0.13:5432", "dropped", nil, 2500 * time.Millisecond},
		{"dropped, and nobody watches", "report", "172.20.0.13:5432", "dropped", Observe{"none"}, 2500 * time.Millisecond},
		{"dropped by counters alone", "report", "172.20.0.13:5432", "dropped", Observe{"counters"}, 2500 * time.Millisecond},
	} {
		b.Run(bb.name, func(b *testing.B) {
			for b.Loop() {
				r, err := a.Trace(b.Context(), TraceOptions{Common: Common{Observe: bb.observe}, From: bb.from, To: bb.to})
				if err != nil {
					b.Fatal(err)
				}
				if r.Proved == nil || r.Proved.Verdict != bb.verdict {
					b.Fatalf("proved %+v, want %s", r.Proved, bb.verdict)
				}
			}
			each := b.Elapsed() / time.Duration(b.N)
			b.ReportMetric(float64(each)/float64(reading), "x-reading")
			b.ReportMetric(100*float64(each)/float64(bb.wanted), "%-of-wanted")
		})
	}
	b.Run("a process that does nothing", func(b *testing.B) { // how busy the machine is
		for b.Loop() {
			if err := exec.Command("true").Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
