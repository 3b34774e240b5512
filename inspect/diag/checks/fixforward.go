package checks

import (
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// joins says whether operations for the flows of a finding open one network to
// another's containers, which the policy kept apart: what the engine did so by is gone,
// as after a flush of the chain.
func joins(in *diag.Input, f *diag.Finding, ops []fixups.Op) bool {
	after := worldWith(in, ops)
	if after == nil {
		return false
	}
	seen := map[string]bool{}
	for _, i := range f.Covers.Traces {
		fl := in.Flows[i].Flow
		if fl.Iif != "" || seen[fl.From] {
			continue
		}
		seen[fl.From] = true
		nets := map[snap.Ref]bool{}
		for _, a := range attachments(in) {
			dst := a.e.IPv4.Addr()
			if fl.Dst.Is6() {
				dst = a.e.IPv6.Addr()
			}
			if !dst.IsValid() || a.ns.ID == fl.From || nets[snap.Ref(a.n.Ref)] || memberOf(in, fl.From, a.n) {
				continue
			}
			nets[snap.Ref(a.n.Ref)] = true
			try := sim.Flow{From: fl.From, Dst: dst, Proto: snap.TCP, Dport: 9, StopOutside: true}
			if in.World.Trace(try).Arrived == "" && after.Trace(try).Arrived == a.ns.ID {
				return true
			}
		}
	}
	return false
}

func memberOf(in *diag.Input, netns string, n *snap.Network) bool {
	return slices.ContainsFunc(attachments(in), func(a attachment) bool { return a.ns.ID == netns && a.n == n })
}

// acceptWays are rules for the very ways that flows go, from the device that they come
// in by to the one that they leave by.
func acceptWays(in *diag.Input, f *diag.Finding, netns string, p *rules.Place, wide []fixups.Op) []fixups.Op {
	after := worldWith(in, wide)
	var out []fixups.Op
	seen := map[[2]string]bool{}
	for _, i := range f.Covers.Traces {
		fl := in.Flows[i].Flow
		if fl.Iif != "" {
			continue // acceptPublished has these
		}
		by := bridgesOf(in, []int{i})
		if netns != in.Snap.Host.Netns {
			by = cameBy(in, []int{i}, netns)
		}
		to := after.Trace(fl).LeftHost
		if n := in.Graph.NetworkOfAddr(fl.Dst); to == "" && n != nil {
			if to = n.Bridge; slices.Contains(by, to) { // its sender's other networks have no part in it
				by = []string{to}
			}
		}
		if owners := in.Graph.Owners(fl.Dst); to == "" && len(owners) == 1 && owners[0].Netns.ID != fl.From { // behind a bridge of no engine
			for _, to = range bridgesBeside(in, owners[0].Netns.ID, nil) {
				if slices.Contains(by, to) {
					by = []string{to}
					break
				}
			}
		}
		for _, dev := range by {
			if way := [2]string{dev, to}; to != "" && !seen[way] {
				seen[way] = true
				op, _ := accept(in, netns, p, dev, to)
				out = append(out, op)
			}
		}
	}
	return out
}

// worldWith is the model after operations; nil when they can't be made.
func worldWith(in *diag.Input, ops []fixups.Op) *sim.World {
	s := in.Snap.Clone()
	for _, op := range ops {
		if op.On(s) != nil {
			return nil
		}
	}
	return sim.New(s)
}
