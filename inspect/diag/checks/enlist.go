package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// enlist lets the senders of flows pass before a last word, each in the first of some
// ways that helps it, or else in a rule of its own before that: for where the flow goes
// alone, unless it is put beside another container, or the flow stands for all of the
// world. Where somebody asked, nobody else is let pass.
func enlist(in *diag.Input, f *diag.Finding, w *sim.Where, beside bool, ways func(netip.Addr) []fixups.Op) []fixups.Op {
	var ops []fixups.Op
	asked := slices.ContainsFunc(f.Covers.Traces, func(i int) bool { return in.Flows[i].Asked })
	for _, i := range f.Covers.Traces {
		fl := &in.Flows[i]
		if asked && !fl.Asked || len(fl.Trace.Forward) == 0 || len(ops) > 0 && heals(in, i, ops) {
			continue
		}
		from, to := fl.Trace.Forward[0].Src.Addr(), ""
		if !beside && fl.Kind != "egress" {
			to = reaching(w, &fl.Flow)
		}
		for _, op := range append(ways(from), passing(in, w, from, to)...) {
			if more := append(slices.Clone(ops), op); heals(in, i, more) {
				ops = more
				break
			}
		}
	}
	return ops
}

// listing are the ways to put an address into the sets that one rule looks senders up in.
func listing(in *diag.Input, w *sim.Where, r *snap.Rule, a netip.Addr) []fixups.Op {
	var out []fixups.Op
	for _, e := range r.Exprs {
		switch x := e.(type) {
		case *snap.Lookup:
			s := w.Rule.TableP.Set(x.Set)
			if s == nil || s.Anonymous || s.Constant || x.Invert || x.Dreg != snap.NoReg || s.KeyLen != len(a.AsSlice()) {
				continue
			}
			out = append(out, element(in, w, s, a, snap.Element{}))
		case *snap.Xt:
			if x.Target || x.Name != "set" {
				continue
			}
			m, err := firewall.DecodeXt(x, a.Is6())
			v, ok := m.(*firewall.SetMatch)
			if err != nil || !ok || v.Invert {
				continue
			}
			if s := in.Netns(w.Netns).IPSetAt(v.Index); s != nil && (s.Type == "hash:ip" || s.Type == "hash:net") {
				out = append(out, &fixups.IPSetMember{Where: at(in, w.Netns), Set: s.Name, Entry: snap.IPSetEntry{IP: netip.PrefixFrom(a, a.BitLen())}, In: true})
			}
		}
	}
	return out
}

// element puts an address into a set or map, with what is said of another there.
func element(in *diag.Input, w *sim.Where, s *snap.Set, a netip.Addr, as snap.Element) fixups.Op {
	el := snap.Element{Key: a.AsSlice(), Data: as.Data, Verdict: as.Verdict}
	if s.Interval {
		el.KeyEnd = el.Key
	}
	return &fixups.SetElementAdd{ChainRef: fixups.ChainAt(in.Snap, w.Netns, w.Rule.TableP, w.Rule.Chain), Set: s.Name, Fields: s.Fields, Elements: []snap.Element{el}}
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
			out = append(out, element(in, w, s, a, *e))
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
