package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
)

// overLimit are the rules that stop some packets of a flow that somebody asked for, by a
// rate or a number of connections, and that have stopped some; a warning where the model
// knows that there is room just now. What they count now is not
// known, so that a try may pass: that they have stopped packets is. Those that told names
// already are left out.
func overLimit(in *diag.Input, told []diag.Finding) []diag.Finding {
	var out []diag.Finding
	for i := range in.Flows {
		f := &in.Flows[i]
		if !f.Asked || f.Broken() {
			continue
		}
		var places []*sim.Where
		if f.Works() {
			places = guards(in, f)
		}
		for _, b := range f.Trace.Branches {
			w := diag.RulePlace(b.Where)
			if f.Trace.Verdict == sim.Unknown && b.Verdict == sim.Dropped && w != nil && w.Rule != nil && w.Rule.Rule != nil && w.Rule.Rule.Packets > 0 && owned(in, w.Netns) &&
				!slices.ContainsFunc(b.Assumed, func(a rules.Assumption) bool { return !a.StateDependent }) {
				places = append(places, w)
			}
		}
		for _, w := range places {
			if same := func(x diag.Finding) bool { return x.Evidence[0].Ref == w.Ref }; slices.ContainsFunc(told, same) || slices.ContainsFunc(out, same) {
				continue
			}
			text, source := in.RuleLine(w)
			severity := diag.Error
			if f.Works() {
				severity = diag.Warning
			}
			out = append(out, diag.Finding{
				Severity: severity, Asked: true,
				Summary:  fmt.Sprintf("%s (%s) in %s stops some packets of %s → %s, those over a limit, %d so far: %s", diag.ChainName(w), in.Owner(w), in.Who(w.Netns), f.From, f.To, w.Rule.Rule.Packets, text),
				Cause:    "how much of the limit is used up changes with each packet: one try gets through, and another does not",
				Subject:  diag.Subject{Kind: "rule", Name: diag.ChainName(w), Netns: w.Netns},
				Evidence: []diag.Evidence{ev(source, fmt.Sprintf("%s (%d packets)", text, w.Rule.Rule.Packets), w.Ref)},
				Advice:   fmt.Sprintf("see whether its counter grows while %s tries; if so, raise the limit, or let pass before it who is meant to", f.From),
				Weight:   58,
			})
		}
	}
	return out
}
