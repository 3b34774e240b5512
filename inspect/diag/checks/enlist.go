package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// enlist puts the sender of a flow that a person asked for on the list that another
// container of its network passes by: into the set or map that has the other's address,
// with what is said of the other there, or else in a rule of its own before the last
// word. With no other container it is a list of what may be reached, and the rule is for
// this flow alone. nil for flows that nobody asked for.
func enlist(in *diag.Input, f *diag.Finding, w *sim.Where, other *snap.Container) []fixups.Op {
	var ops []fixups.Op
	for _, i := range f.Covers.Traces {
		fl := &in.Flows[i]
		if !fl.Asked || len(fl.Trace.Forward) == 0 || len(ops) > 0 && heals(in, i, ops) {
			continue
		}
		from, to := fl.Trace.Forward[0].Src.Addr(), ""
		var ways []fixups.Op
		if other != nil {
			ways = joining(in, w, other, from)
		} else {
			to = reaching(w, &fl.Flow)
		}
		for _, op := range append(ways, passing(in, w, from, to)) {
			if more := append(slices.Clone(ops), op); heals(in, i, more) {
				ops = more
				break
			}
		}
	}
	return ops
}

// joining are the ways to put an address where another container's is: one for each set
// or map of the table.
func joining(in *diag.Input, w *sim.Where, other *snap.Container, a netip.Addr) []fixups.Op {
	var out []fixups.Op
	t := w.Rule.TableP
	for i := range t.Sets {
		s := &t.Sets[i]
		if s.Anonymous || s.Constant || s.KeyLen != len(a.AsSlice()) {
			continue
		}
		for k := range s.Elements {
			e := &s.Elements[k]
			if e.CatchAll || !slices.ContainsFunc(other.Endpoints, func(x snap.Endpoint) bool { return covers(s, e, x.IPv4.Addr()) || covers(s, e, x.IPv6.Addr()) }) {
				continue
			}
			el := snap.Element{Key: a.AsSlice(), Data: e.Data, Verdict: e.Verdict}
			if s.Interval {
				el.KeyEnd = el.Key
			}
			out = append(out, &fixups.SetElementAdd{ChainRef: fixups.ChainAt(in.Snap, w.Netns, t, w.Rule.Chain), Set: s.Name, Fields: s.Fields, Elements: []snap.Element{el}})
		}
	}
	return out
}

// reaching is what a rule asks of packets to where a flow goes.
func reaching(w *sim.Where, f *sim.Flow) string {
	to := f.Dst.String()
	port := ""
	if w.Rule.System != snap.NFT {
		if f.Dport != 0 {
			port = fmt.Sprintf(" -p %s -m %[1]s --dport %d", f.Proto, f.Dport)
		}
		return "-d " + to + port
	}
	if f.Dport != 0 {
		port = fmt.Sprintf(" %s dport %d", f.Proto, f.Dport)
	}
	if f.Dst.Is6() {
		return "ip6 daddr " + to + port
	}
	return "ip daddr " + to + port
}
