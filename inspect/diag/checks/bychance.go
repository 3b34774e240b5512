package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// byChance are rules that drop a share of the packets, whatever is in them, and that
// have dropped some: what is left of a test. Nobody's traffic is meant to be lost so,
// so that none has to be known that meets them. Those that told names already are left out.
func byChance(in *diag.Input, told []diag.Finding) []diag.Finding {
	var out []diag.Finding
	for i := range in.Snap.Netns {
		ns := &in.Snap.Netns[i]
		if !ns.Class.Ours() || ns.Light {
			continue
		}
		ns.Ruleset.Find(func(t *snap.Table, c *snap.Chain, r *snap.Rule) bool {
			if r.Packets <= 0 || !diag.Ends(r) || !drawsLots(r) {
				return false
			}
			ref := snap.RefRule(ns.ID, t, c.Name, r.Num)
			if slices.ContainsFunc(told, func(f diag.Finding) bool { return f.Evidence[0].Ref == ref }) {
				return false
			}
			if w := rulePlace(in, ref); w != nil {
				out = append(out, chanceFinding(in, w))
			}
			return false
		})
	}
	return out
}

func chanceFinding(in *diag.Input, w *sim.Where) diag.Finding {
	text, source := in.RuleLine(w)
	p := w.Rule
	f := diag.Finding{
		Summary:  fmt.Sprintf("%s (%s) in %s drops packets by chance, %d so far: %s", diag.ChainName(w), in.Owner(w), in.Who(w.Netns), p.Rule.Packets, text),
		Cause:    "a share of the packets is lost, whatever is in them: connections stall for a second or more each time, or fail now and then",
		Subject:  diag.Subject{Kind: "rule", Name: diag.ChainName(w), Netns: w.Netns},
		Evidence: []diag.Evidence{ev(source, text, w.Ref)},
		Advice:   "it is there for a test: see that nobody runs one now",
		Weight:   59,
	}
	if op := deleteRule(in, w.Netns, p.System, p.Family, p.Table, p.Chain, p.Num); op != nil && !slices.Contains(managed, in.Owner(w)) {
		f.Fix = &diag.Fix{Ops: append([]fixups.Op{op}, tidy(in, w.Netns, p)...), Survives: "until reboot"}
	}
	return f
}

// drawsLots says whether a rule matches by chance, or each nth packet.
func drawsLots(r *snap.Rule) bool {
	return slices.ContainsFunc(r.Exprs, func(e snap.Expr) bool {
		switch x := e.(type) {
		case *snap.Numgen:
			return true
		case *snap.Xt:
			return !x.Target && x.Name == "statistic"
		}
		return false
	})
}
