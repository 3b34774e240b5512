package render

import (
	"fmt"
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

// test is the screen: quiet for what holds.
func (p *printer) test(r *v1.TestResult, wide bool) {
	if !p.st.Quiet {
		p.ends([]span{in(bold, r.File), s("   " + hostLine(r.Host, nil))}, in(dim, seconds(r.DurationMs)))
		p.line()
	}
	first := map[string]string{} // by what is wrong, the test that told it
	for i := range r.Tests {
		t := &r.Tests[i]
		if p.st.Quiet && t.Status != "failed" && t.Status != "unknown" {
			continue
		}
		sign, paint := p.st.sign("?")
		switch t.Status {
		case "passed":
			sign, paint = p.st.sign("ok")
		case "failed":
			sign, paint = p.st.sign("fail")
		case "skipped":
			sign, paint = "-", dim
		}
		proof := ""
		if t.Confidence == "proved" {
			proof = "proved"
		}
		p.ends([]span{in(paint, sign+" "), s(t.Name)}, in(dim, proof))
		if t.Reason != "" {
			p.labelled("    ", "got", s(t.Reason))
			p.labelled("    ", "at", s(fmt.Sprintf("%s:%d:%d", r.File, t.Line, t.Column)))
		}
		if len(t.Findings) > 0 && t.Kind != "findings" {
			f := &t.Findings[0]
			if told := first[same(f)]; told != "" {
				p.labelled("    ", "cause", s(f.Code+", as of "+told))
			} else {
				first[same(f)] = t.Name
				p.labelled("    ", "cause", s(f.Code+" "+f.Summary))
				if p.flow = ""; t.Kind == "reach" && len(f.Flows) > 0 {
					p.flow = flowFlag(f.Flows[0].From, f.Flows[0].To) // what nobody asks for is left alone
				}
				p.remedy(f)
			}
		}
		if wide || p.st.Verbose {
			p.findings(t.Findings, wide)
		}
	}
	if p.st.Quiet {
		return
	}
	p.line()
	if r.Bundle != "" {
		p.labelled("", "kept", s(r.Bundle+": netdoctor check --snapshot "+r.Bundle))
	}
	sum := fmt.Sprintf("%d passed, %d failed", r.Summary.Passed, r.Summary.Failed)
	if r.Summary.Unknown > 0 {
		sum += fmt.Sprintf(", %d unknown", r.Summary.Unknown)
	}
	if r.Summary.Skipped > 0 {
		sum += fmt.Sprintf(", %d skipped", r.Summary.Skipped)
	}
	if r.Rounds > 1 {
		sum += fmt.Sprintf(" · looked %d times", r.Rounds)
	}
	p.ends([]span{s(sum)}, in(dim, fmt.Sprintf("exit %d", p.st.Exit)))
}

// same is equal for findings of one cause: one rule, device or file is to blame,
// and one thing is to be done.
func same(f *v1.Finding) string {
	id := []string{f.Code, f.Subject.Kind, f.Subject.Name, f.Subject.Netns, f.Advice}
	for _, e := range f.Evidence {
		if !strings.HasPrefix(e.Source, "probe") { // each flow has its own
			id = append(id, e.Source, e.Text)
		}
	}
	if f.Fix != nil {
		id = append(id, f.Fix.Commands...)
	}
	return strings.Join(id, "\x00")
}
