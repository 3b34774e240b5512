package app

import (
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

// Essence is what of an answer counts as news when the question is put again and
// again: verdicts, and what is wrong with what. Times, counters and the packets
// that were sent are other ones each time.
func Essence(r v1.Result) string {
	var out []string
	add := func(words ...string) { out = append(out, strings.Join(words, "\x00")) }
	wrong := func(fs []v1.Finding) {
		for i := range fs {
			f := &fs[i]
			add(f.Code, f.Severity, f.Subject.Kind, f.Subject.Netns, f.Subject.Name)
		}
	}
	switch v := r.(type) {
	case *v1.CheckResult:
		add(v.Verdict)
		wrong(v.Findings)
	case *v1.TestResult:
		add(v.Verdict)
		for i := range v.Tests {
			t := &v.Tests[i]
			add(t.Name, t.Status, t.Got)
			wrong(t.Findings)
		}
	case *v1.ProbeResult:
		add(v.Verdict)
		for i := range v.Cells {
			c := &v.Cells[i]
			add(c.From, c.To, c.Expected, c.Seen)
		}
	}
	return strings.Join(out, "\n")
}
