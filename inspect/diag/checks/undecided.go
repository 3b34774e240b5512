package checks

import (
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// insideOf is a rule on the way of a group's questions that looks into them, or has
// another match that only the packet itself decides; nil none.
func insideOf(in *diag.Input, g *nameGroup) (*sim.Where, sim.Flow) {
	for _, s := range g.first.Path.Servers {
		if s.Addr != g.problem.Server {
			continue
		}
		t := in.World.Trace(sim.Flow{From: s.AskedFrom, Dst: s.Addr.Addr(), Dport: s.Addr.Port(), Proto: snap.UDP, StopOutside: true})
		if w := t.Where; w != nil && w.Rule != nil && w.Cause == sim.CauseRule && (looksInside(w.Rule.Rule) || t.Verdict == sim.Unknown) && owned(in, w.Netns) {
			return w, t.Flow
		}
	}
	return nil, sim.Flow{}
}

// withoutRule deletes a rule; nil for one that its program wrote so, or that can't be.
func withoutRule(in *diag.Input, w *sim.Where) []fixups.Op {
	if slices.Contains(managed, in.Owner(w)) {
		return nil
	}
	if op := deleteRule(in, w.Netns, w.Rule.System, w.Rule.Family, w.Rule.Table, w.Rule.Chain, w.Rule.Num); op != nil {
		return []fixups.Op{op}
	}
	return nil
}

// looksInside says whether a rule has a match on what a packet carries.
func looksInside(r *snap.Rule) bool {
	if r == nil {
		return false
	}
	for _, e := range r.Exprs {
		if x, ok := e.(*snap.Xt); ok && !x.Target && (x.Name == "string" || x.Name == "u32" || x.Name == "bpf") {
			return true
		}
	}
	return false
}
