package checks

import (
	"encoding/binary"
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
// world. Where somebody asked, nobody else is let pass, but for name servers. An invalid
// sender is everybody.
func enlist(in *diag.Input, f *diag.Finding, w *sim.Where, beside bool, ways func(*sim.Hop) []fixups.Op) []fixups.Op {
	return enlistAs(in, f, w, beside, ways, func(h *sim.Hop) netip.Addr { return h.Src.Addr() })
}

// enlistAs is enlist with a sender as somebody chooses.
func enlistAs(in *diag.Input, f *diag.Finding, w *sim.Where, beside bool, ways func(*sim.Hop) []fixups.Op, sender func(*sim.Hop) netip.Addr) []fixups.Op {
	var ops []fixups.Op
	asked := slices.ContainsFunc(f.Covers.Traces, func(i int) bool { return in.Flows[i].Asked })
	for _, i := range f.Covers.Traces {
		fl := &in.Flows[i]
		if asked && !fl.Asked && (fl.Kind != "upstream" || fl.Excused) || len(fl.Trace.Forward) == 0 || len(ops) > 0 && heals(in, i, ops) {
			continue
		}
		at := &fl.Trace.Forward[len(fl.Trace.Forward)-1] // as the packet is at that rule, after NAT
		if fl.Outside && !fl.Asked && sender(at).IsValid() {
			continue // a sender that this program made up
		}
		to := ""
		if !beside && fl.Kind != "egress" {
			to = reaching(w, at)
		}
		for _, op := range append(ways(at), passing(in, w, sender(at), to)...) {
			if more := append(slices.Clone(ops), op); heals(in, i, more) {
				ops = more
				break
			}
		}
	}
	return ops
}

// listing are the ways to put a packet into the sets that one rule looks it up in.
func listing(in *diag.Input, w *sim.Where, r *snap.Rule, h *sim.Hop) []fixups.Op {
	var out []fixups.Op
	a := h.Src.Addr()
	for k, e := range r.Exprs {
		switch x := e.(type) {
		case *snap.Lookup:
			s := w.Rule.TableP.Set(x.Set)
			if s == nil || s.Anonymous || s.Constant || x.Invert || x.Dreg != snap.NoReg {
				continue
			}
			if key := keyOf(r.Exprs[:k], x.Sreg, s, h); key != nil {
				out = append(out, element(in, w, s, key, snap.Element{}))
			}
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

// keyOf is what a look-up in a set has of a packet: the addresses and ports that the
// expressions before it load, each part of a concatenation filled up to registers of four
// bytes (nftables: src/netlink_linearize.c). nil where something else is asked for.
func keyOf(before snap.Exprs, sreg int, s *snap.Set, h *sim.Hop) []byte {
	const reg = 4
	fields := s.Fields
	if len(fields) == 0 {
		fields = []int{s.KeyLen}
	}
	var key []byte
	for _, n := range fields {
		part := partOf(before, sreg+len(key)/reg, n, h)
		if part == nil {
			return nil
		}
		key = append(key, part...)
		for len(s.Fields) > 1 && len(key)%reg != 0 {
			key = append(key, 0)
		}
	}
	return key
}

// partOf is the part of n bytes that was loaded into one register last; nil when it is of
// another kind.
func partOf(before snap.Exprs, dreg, n int, h *sim.Hop) []byte {
	for _, e := range slices.Backward(before) {
		switch x := e.(type) {
		case *snap.Payload:
			if x.Dreg != dreg {
				continue
			}
			src, dst := h.Src.Addr().AsSlice(), h.Dst.Addr().AsSlice()
			at := map[bool][2]int{false: {12, 16}, true: {8, 24}}[h.Src.Addr().Is6()] // RFC 791, RFC 8200
			switch {
			case x.Base == "nh" && x.Offset == at[0] && x.Len == len(src) && n == len(src):
				return src
			case x.Base == "nh" && x.Offset == at[1] && x.Len == len(dst) && n == len(dst):
				return dst
			case x.Base == "th" && x.Offset == 2 && x.Len == 2 && n == 2 && h.Dst.Port() != 0:
				return binary.BigEndian.AppendUint16(nil, h.Dst.Port())
			}
			return nil
		case *snap.Meta:
			if x.Dreg != dreg {
				continue
			}
			if x.Key == "l4proto" && n == 1 {
				return []byte{h.Proto.Number()}
			}
			return nil
		}
	}
	return nil
}

// element puts a key into a set or map, with what is said of another there.
func element(in *diag.Input, w *sim.Where, s *snap.Set, key []byte, as snap.Element) fixups.Op {
	el := snap.Element{Key: key, Data: as.Data, Verdict: as.Verdict}
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
			out = append(out, element(in, w, s, a.AsSlice(), *e))
		}
	}
	return out
}

// reaching is what a rule asks of packets to where a packet goes.
func reaching(w *sim.Where, h *sim.Hop) string {
	to, port := h.Dst.Addr(), ""
	if w.Rule.System != snap.NFT {
		if h.Dst.Port() != 0 {
			port = fmt.Sprintf(" -p %s -m %[1]s --dport %d", h.Proto, h.Dst.Port())
		}
		return "-d " + to.String() + port
	}
	if h.Dst.Port() != 0 {
		port = fmt.Sprintf(" %s dport %d", h.Proto, h.Dst.Port())
	}
	if to.Is6() {
		return "ip6 daddr " + to.String() + port
	}
	return "ip daddr " + to.String() + port
}
