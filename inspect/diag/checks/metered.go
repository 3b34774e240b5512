package checks

import (
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// metered says whether a rule is for what is over a rate, a number or an amount: it holds
// back who sends too much, and lets everybody else pass. What a rule of xt_recent remembers
// is taken from its list instead.
func metered(r *snap.Rule) bool {
	return r != nil && slices.ContainsFunc(r.Exprs, measures)
}

// measures says whether an expression counts what comes.
func measures(e snap.Expr) bool {
	switch x := e.(type) {
	case *snap.Limit, *snap.Connlimit, *snap.Quota:
		return true
	case *snap.Xt:
		return !x.Target && slices.Contains([]string{"hashlimit", "connlimit", "limit", "quota"}, x.Name)
	}
	return false
}

// maxGuards bounds how many rules are tried so, each on a copy of the host.
const maxGuards = 8

// guards are the metered rules of this host that have stopped packets, and would stop
// those of a flow which works just now, were they over the limit.
func guards(in *diag.Input, f *diag.FlowCase) []*sim.Where {
	var out []*sim.Where
	tried := 0
	for i := range in.Snap.Netns {
		ns := &in.Snap.Netns[i]
		if !ns.Class.Ours() || ns.Light {
			continue
		}
		ns.Ruleset.Find(func(t *snap.Table, c *snap.Chain, r *snap.Rule) bool {
			k := slices.IndexFunc(c.Rules, func(x snap.Rule) bool { return x.Handle == r.Handle && x.Num == r.Num })
			if r.Packets > 0 && k >= 0 && metered(r) && tried < maxGuards {
				tried++
				if in.Without(f, ns, t, c, k, measures) {
					out = append(out, rulePlace(in, snap.RefRule(ns.ID, t, c.Name, r.Num)))
				}
			}
			return len(out) > 0
		})
	}
	return out
}

// spare lets those senders pass before such a rule that are meant to send more: who was
// asked for, or this host's own. To delete the rule would take everybody's guard away.
func spare(in *diag.Input, f *diag.Finding, w *sim.Where) []fixups.Op {
	f.Advice = "the rule is a guard against who sends too much, and stays: raise its limit, or let pass before it who is meant to send more"
	if !slices.ContainsFunc(f.Covers.Traces, func(i int) bool { return in.Flows[i].Asked || !in.Flows[i].Outside }) {
		return nil // who comes in from outside is not known
	}
	return enlist(in, f, w, false, func(*sim.Hop) []fixups.Op { return nil })
}
