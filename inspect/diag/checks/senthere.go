package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/diag"
)

// sentHere adds the rule to a finding about a port where nothing listens, when the flow
// was meant for somebody else and a rule of a program's sent it there: of a mesh whose
// sidecar is gone. Whether that comes back is the program's own matter, so that the rule
// is named with the line that takes it away, and stays.
func sentHere(in *diag.Input, s *seat, f *diag.Finding) *diag.Finding {
	if _, here := s.ns.HasAddr(s.flow.Flow.Dst); here || s.published() {
		return f
	}
	for _, n := range s.flow.Trace.NATed {
		if n.Src || n.Place == nil {
			continue
		}
		w := rulePlace(in, n.Place.Ref)
		if w == nil {
			continue
		}
		p := w.Rule
		op := deleteRule(in, w.Netns, p.System, p.Family, p.Table, p.Chain, p.Num)
		if op == nil {
			continue
		}
		text, source := in.RuleLine(w)
		f.Evidence = append(f.Evidence, ev(source, text, p.Ref))
		f.Cause += fmt.Sprintf("; %s (%s) in %s sends there what is meant for %s", diag.ChainName(w), in.Owner(w), in.Who(w.Netns), s.flow.Flow.Dst)
		f.Advice = fmt.Sprintf("start the program that should listen there, or, if it is gone for good, take the rule away: %s", op.Shell()[0])
		return f
	}
	return f
}
