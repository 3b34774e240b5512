package diag

import (
	"slices"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxJumps bounds the rules that are tried without what they do, each on a copy of the host.
const maxJumps = 8

// SentBy is the rule that sent a flow to a chain which does nothing but stop, and perhaps
// log, whatever comes to it. Many rules may lead to such a chain: what is to pass has to
// pass before that one. nil where the place is in no such chain, or several rules lead the
// flow there.
func (in *Input) SentBy(f *FlowCase, w *sim.Where) *sim.Where {
	ns := in.Snap.Ns(w.Netns)
	if ns == nil || w.Rule == nil || w.Rule.Rule == nil || w.Rule.ChainP == nil || w.Rule.TableP == nil || w.Rule.ChainP.Base() || !bare(w.Rule.Rule) {
		return nil
	}
	t, tried := w.Rule.TableP, 0
	if slices.ContainsFunc(w.Rule.ChainP.Rules, func(r snap.Rule) bool { return lets(&r) || leads(&r, t) }) {
		return nil
	}
	for i := range t.Chains {
		c := &t.Chains[i]
		for k := range c.Rules {
			if !jumps(firewall.RuleText(ns, t, c, &c.Rules[k]), w.Rule.Chain) {
				continue
			}
			if tried++; tried > maxJumps {
				return nil
			}
			by := ruleAt(ns, t, c, k)
			by.Cause = w.Cause
			trace := in.withRule(by, k, snap.Rule{Num: k + 1, Exprs: snap.Exprs{&snap.Counter{}}})
			if trace != nil && !samePlace(RulePlace(trace(f.Flow).Where), w) {
				return by
			}
		}
	}
	return nil
}

// ruleAt is the k-th rule of a chain as a place.
func ruleAt(ns *snap.Netns, t *snap.Table, c *snap.Chain, k int) *sim.Where {
	r, ref := &c.Rules[k], snap.RefRule(ns.ID, t, c.Name, k+1)
	return &sim.Where{Netns: ns.ID, Ref: ref, Rule: &rules.Place{
		System: t.System, Family: t.Family, Table: t.Name, Chain: c.Name, Num: k + 1, Handle: r.Handle, Ref: ref, Rule: r, ChainP: c, TableP: t}}
}

// leads says whether a rule sends packets to another chain of its table.
func leads(r *snap.Rule, t *snap.Table) bool {
	return slices.ContainsFunc(r.Exprs, func(e snap.Expr) bool {
		switch x := e.(type) {
		case *snap.Immediate:
			return x.Verdict != nil && x.Verdict.Chain != ""
		case *snap.Xt:
			return x.Target && t.Chain(x.Name) != nil
		}
		return false
	})
}
