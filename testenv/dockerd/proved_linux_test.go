package dockerd

import (
	"os"
	"strings"
	"testing"
	"time"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

// TestProvedOrSaysWhyNot breaks the lab's host with every fault of its firewall,
// its links and its kernel. trace of the flow that fails, and check, name the
// fault, and either have proved it or say what kept them from it.
func TestProvedOrSaysWhyNot(t *testing.T) {
	l := &faultLab{t: t, dir: os.Getenv(envFaultLab), bin: os.Getenv(envProgram), out: t.TempDir()}
	if l.dir == "" || l.bin == "" {
		return
	}
	l.script(l.t, 4*time.Minute, "up")
	var all, traced, checked int
	for _, id := range l.faults("layer", "firewall", "link", "host-kernel") {
		t.Run(id, func(t *testing.T) {
			f := l.begin(t, id)
			defer f.end()
			all++
			if f.flow == "" { // an engine's own doing, which no packet shows
				traced++
			} else if f.traceProves() {
				traced++
			}
			if f.checkProves() {
				checked++
			}
		})
	}
	t.Logf("of %d faults trace proved %d and check %d; of the others it was said why not", all, traced, checked)
}

// traceProves says whether the trace of the flow that fails has its cause proved.
// Where the sender is beyond this host it takes the packet that is made to come
// in, as the trace says.
func (f *brokenHost) traceProves() bool {
	from, to, _ := strings.Cut(f.flow, " ")
	var r v1.TraceResult
	f.doctor(&r, "trace", from, to)
	if strings.Contains(r.Unproved, "--inject") {
		f.t.Logf("trace: %s", r.Unproved)
		r = v1.TraceResult{}
		f.doctor(&r, "trace", from, to, "--inject")
	}
	return f.proved("trace", r.Findings)
}

// checkProves says whether a plain check has the fault proved. What a check can't
// expect to work it need not tell of.
func (f *brokenHost) checkProves() bool {
	var r v1.CheckResult
	f.doctor(&r, "check")
	named := false
	for i := range r.Findings {
		named = named || f.told.MatchString(words(&r.Findings[i]))
	}
	if !named {
		f.t.Logf("check: nothing is told of it")
		return false
	}
	return f.proved("check", r.Findings)
}

// proved looks at the first finding that names the fault.
func (f *brokenHost) proved(who string, all []v1.Finding) bool {
	f.t.Helper()
	for i := range all {
		d := &all[i]
		if !f.told.MatchString(words(d)) {
			continue
		}
		f.t.Logf("%s: %s %s: %s %s", who, d.Code, d.Confidence, d.Summary, d.Unproved)
		switch {
		case d.Confidence == "proved":
			return true
		case d.Confidence != "predicted":
			f.t.Errorf("%s: %s is %s", who, d.Code, d.Confidence)
		case d.Unproved == "":
			f.t.Errorf("%s: %s is not proved, and it is not said why", who, d.Code)
		}
		return false
	}
	f.t.Errorf("%s: no finding names it: %v", who, all)
	return false
}

// words are those of a finding in which a fault may be named.
func words(d *v1.Finding) string {
	t := []string{d.Summary, d.Cause, d.Subject.Name, d.Advice}
	for _, e := range d.Evidence {
		t = append(t, e.Source, e.Text)
	}
	return strings.Join(t, "\n")
}
