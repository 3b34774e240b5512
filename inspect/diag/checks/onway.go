package checks

import (
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ruleOnWay is the last rule on a flow's way, of those that the chains which let it
// pass were left by, that the predicate takes, and its namespace; nil when there is
// none.
func ruleOnWay(in *diag.Input, f *diag.FlowCase, take func(*snap.Rule) bool) (netns string, p *rules.Place) {
	for _, hops := range [][]sim.Hop{f.Trace.Reply, f.Trace.Forward} {
		for i := range slices.Backward(hops) {
			for _, ref := range slices.Backward(hops[i].Because) {
				if v, err := in.Snap.At(ref); err == nil {
					if r, ok := v.(*snap.Rule); ok && take(r) {
						return hops[i].Netns, placeOf(in.Netns(hops[i].Netns), ref)
					}
				}
			}
		}
	}
	return "", nil
}

// placeOf is the place of a rule that a reference names; nil when it is not there.
func placeOf(ns *snap.Netns, ref snap.Ref) *rules.Place {
	if ns == nil {
		return nil
	}
	for i := range ns.Ruleset.Tables {
		t := &ns.Ruleset.Tables[i]
		for j := range t.Chains {
			c := &t.Chains[j]
			for k := range c.Rules {
				if snap.RefRule(ns.ID, t, c.Name, k+1) == ref {
					return &rules.Place{System: t.System, Family: t.Family, Table: t.Name, Chain: c.Name, Num: k + 1, Ref: ref, Rule: &c.Rules[k], ChainP: c, TableP: t}
				}
			}
		}
	}
	return nil
}

// deleteSubject deletes the rule that the finding speaks of, by its reference.
func deleteSubject(in *diag.Input, f *diag.Finding) []fixups.Op {
	p := placeOf(in.Netns(f.Subject.Netns), snap.Ref(f.Subject.Name))
	if p == nil {
		return nil
	}
	if op := deleteRule(in, f.Subject.Netns, p.System, p.Family, p.Table, p.Chain, p.Num); op != nil {
		return []fixups.Op{op}
	}
	return nil
}
