package rules

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// entryOp is the fixed part of a legacy rule (net/ipv4/netfilter/ip_tables.c:
// ip_packet_match, net/ipv6/netfilter/ip6_tables.c:ip6_packet_match).
type entryOp struct {
	e                             *snap.XtEntry
	v6                            bool
	invSrc, invDst, invIn, invOut bool
	invProto, invFrag             bool
}

func newEntryOp(e *snap.XtEntry, fam snap.Family) entryOp {
	inv := func(s string) bool { return slices.Contains(e.Inv, s) }
	return entryOp{
		e: e, v6: fam == snap.IPv6, invSrc: inv("src"), invDst: inv("dst"), invIn: inv("in"), invOut: inv("out"),
		invProto: inv("proto"), invFrag: inv("frag"),
	}
}

func (o entryOp) exec(m *machine) ctl {
	p, e := &m.pkt, o.e
	if inside(p.Src, e.Src, e.SrcAddr, e.SrcMask) == o.invSrc || inside(p.Dst, e.Dst, e.DstAddr, e.DstMask) == o.invDst {
		return leave
	}
	if o.v6 {
		switch {
		case !e.HasProto:
		case uint16(p.Proto) == e.Proto:
			if o.invProto {
				return leave
			}
		case e.Proto != 0 && !o.invProto:
			return leave
		}
	} else {
		if e.Proto != 0 && (uint16(p.Proto) == e.Proto) == o.invProto {
			return leave
		}
		if (e.Fragment && !p.Frag) != o.invFrag {
			return leave
		}
	}
	in := m.onDev(e.InIf, p.Iif).xor(o.invIn)
	return m.ask(in.and(m.onDev(e.OutIf, p.Oif).xor(o.invOut)))
}

// inside says whether an address is in a prefix, or equals addr where mask has
// ones; both unset hold every address.
func inside(a netip.Addr, p netip.Prefix, addr, mask []byte) bool {
	if mask == nil {
		return !p.IsValid() || p.Contains(a)
	}
	b := a.AsSlice()
	for i := range mask {
		if i < len(b) && b[i]&mask[i] != at(addr, i) {
			return false
		}
	}
	return len(b) == len(mask)
}

// onDev says whether the device with that ifindex has the name that iptables
// wrote: "" any, "eth+" any that begins so. Without a device only those two
// of an empty name hold.
func (m *machine) onDev(name string, index int) truth {
	if name == "" || name == "+" {
		return is(true)
	}
	dev := ""
	if index != 0 {
		l := m.env.Link(index)
		if l == nil {
			return unsure("the name of a device that was not read")
		}
		dev = l.Name
	}
	if p, wild := strings.CutSuffix(name, "+"); wild {
		return is(strings.HasPrefix(dev, p))
	}
	return is(dev == name)
}

// ebEntryOp is the fixed part of an ebtables-legacy rule
// (net/bridge/netfilter/ebtables.c:ebt_basic_match).
type ebEntryOp struct {
	e   *snap.EbEntry
	inv map[string]bool
}

func newEbEntryOp(e *snap.EbEntry) ebEntryOp {
	o := ebEntryOp{e: e, inv: make(map[string]bool, len(e.Inv))}
	for _, s := range e.Inv {
		o.inv[s] = true
	}
	return o
}

func (o ebEntryOp) exec(m *machine) ctl {
	p, e := &m.pkt, o.e
	t := is(true)
	switch {
	case e.Is8023:
		typ := p.etherType()
		t = is(typ != 0 && typ < 0x600).xor(o.inv["proto"])
	case e.EtherType != 0:
		typ := p.etherType()
		if p.VLAN != 0 {
			typ = 0x8100
		}
		t = is(typ == e.EtherType).xor(o.inv["proto"])
	}
	t = t.and(m.onDev(e.In, p.Iif).xor(o.inv["in"] && e.In != ""))
	t = t.and(m.onDev(e.Out, p.Oif).xor(o.inv["out"] && e.Out != ""))
	if e.LogicalIn != "" {
		t = t.and(m.onDev(e.LogicalIn, m.bridgeOf(p.Iif)).xor(o.inv["logical-in"]))
	}
	if e.LogicalOut != "" {
		t = t.and(m.onDev(e.LogicalOut, m.bridgeOf(p.Oif)).xor(o.inv["logical-out"]))
	}
	t = t.and(macMatch(p.SrcMAC, e.SrcMAC, e.SrcMask, o.inv["src"])).and(macMatch(p.DstMAC, e.DstMAC, e.DstMask, o.inv["dst"]))
	return m.ask(t)
}

// bridgeOf is the ifindex of the bridge that a port belongs to; 0 none.
func (m *machine) bridgeOf(index int) int {
	if index == 0 {
		return 0
	}
	if l := m.env.Link(index); l != nil && l.Port != nil {
		return l.Master
	}
	return 0
}

// macMatch compares a hardware address under a mask ("" for all of it).
func macMatch(have, want, mask string, inv bool) truth {
	if want == "" {
		return is(true)
	}
	h, ok := parseMAC(have)
	w, ok2 := parseMAC(want)
	if !ok || !ok2 {
		return unsure("a hardware address that is not known")
	}
	k, ok := parseMAC(mask)
	if !ok {
		k = [6]byte{255, 255, 255, 255, 255, 255}
	}
	for i := range h {
		if (h[i]^w[i])&k[i] != 0 {
			return is(inv)
		}
	}
	return is(!inv)
}
