package firewall

import "net/netip"

// target decodes a target; nil for one that is not known.
func (d *blob) target(name string) any {
	switch name {
	case "REJECT":
		return d.reject()
	case "DNAT", "SNAT", "MASQUERADE", "REDIRECT", "NETMAP":
		return d.nat(name)
	case "MARK":
		return d.markTarget()
	case "CONNMARK":
		return d.connmarkTarget()
	case "TCPMSS":
		return d.tcpmssTarget()
	case "TTL", "HL":
		return d.ttlTarget()
	case "DSCP":
		return d.dscpTarget()
	case "TOS":
		return d.tosTarget()
	case "ECN":
		return d.ecnTarget()
	case "CT":
		return d.ctTarget()
	case "NOTRACK":
		return &CTTarget{Notrack: true}
	case "LOG":
		return d.log()
	case "NFLOG":
		return d.nflog()
	case "NFQUEUE":
		return d.nfqueue()
	case "AUDIT":
		return d.audit()
	case "TRACE":
		return &TraceTarget{}
	case "CHECKSUM":
		return d.checksum()
	case "SET":
		return d.setTarget()
	case "CLASSIFY":
		return d.classify()
	case "TPROXY":
		return d.tproxy()
	case "TEE":
		return d.tee()
	case "SYNPROXY":
		return d.synproxy()
	}
	return d.ebTarget(name)
}

// RejectTarget is ipt_reject_info and ip6t_reject_info: With is the name that
// iptables gives it, "icmp-port-unreachable", "tcp-reset", …
type RejectTarget struct{ With string }

func (d *blob) reject() any {
	d.revs(0, 0)
	d.size(4)
	if d.v6 {
		return &RejectTarget{d.one(d.u32(0), "icmp6-no-route", "icmp6-adm-prohibited", "icmp6-not-neighbour", "icmp6-addr-unreachable",
			"icmp6-port-unreachable", "icmp6-echo-reply", "tcp-reset", "icmp6-policy-fail", "icmp6-reject-route")}
	}
	return &RejectTarget{d.one(d.u32(0), "icmp-net-unreachable", "icmp-host-unreachable", "icmp-proto-unreachable", "icmp-port-unreachable",
		"echo-reply", "icmp-net-prohibited", "icmp-host-prohibited", "tcp-reset", "icmp-admin-prohibited")}
}

// NATTarget is what DNAT, SNAT, MASQUERADE, REDIRECT and NETMAP carry: struct
// nf_nat_ipv4_multi_range_compat, nf_nat_range or nf_nat_range2.
type NATTarget struct {
	Kind string // the target's name
	// HasAddr and HasPort say what is mapped; ports in host order.
	HasAddr, HasPort bool
	AddrMin, AddrMax netip.Addr // for NETMAP network and mask
	Port             PortRange
	// BasePort with PortOffset: the port is shifted by Port.Min - BasePort.
	BasePort                                    uint16
	Random, FullyRandom, Persistent, PortOffset bool
}

// nat: revision 0 of IPv4 is the compat struct; DNAT and SNAT revision 1, and
// revision 0 of the others in IPv6, is nf_nat_range; DNAT revision 2
// nf_nat_range2 (net/netfilter/xt_nat.c, xt_MASQUERADE.c, xt_REDIRECT.c, xt_NETMAP.c).
func (d *blob) nat(kind string) any {
	last := uint8(0)
	switch kind {
	case "DNAT":
		last = 2
	case "SNAT":
		last = 1
	}
	d.revs(0, last)
	if d.rev == 0 && !d.v6 {
		return d.nat4(kind)
	}
	if d.rev == 0 && last > 0 {
		d.bad = true // IPv6 has SNAT and DNAT from revision 1 on
	}
	t := &NATTarget{Kind: kind}
	if d.rev == 2 {
		d.size(42)
		t.BasePort = d.be16(40)
	} else {
		d.size(40)
	}
	t.flags(d, d.u32(0))
	t.AddrMin, t.AddrMax = d.inet(4), d.inet(20)
	t.Port = PortRange{d.be16(36), d.be16(38)}
	return t
}

func (d *blob) nat4(kind string) any {
	d.size(20)
	if d.u32(0) != 1 { // rangesize: several ranges are of the distant past
		d.bad = true
	}
	t := &NATTarget{Kind: kind, AddrMin: d.ip(8), AddrMax: d.ip(12), Port: PortRange{d.be16(16), d.be16(18)}}
	t.flags(d, d.u32(4))
	return t
}

func (t *NATTarget) flags(d *blob, f uint32) {
	d.only(uint64(f), 0x7f)
	t.HasAddr, t.HasPort = f&1 != 0, f&2 != 0
	t.Random, t.Persistent, t.FullyRandom, t.PortOffset = f&4 != 0, f&8 != 0, f&16 != 0, f&32 != 0
}

// MarkTarget is xt_mark_tginfo2: mark = (mark &^ Mask) ^ Value. Revision 1
// (set, and, or) gives the same.
type MarkTarget struct{ Value, Mask uint32 }

func (d *blob) markTarget() any {
	d.revs(1, 2)
	if d.rev == 2 {
		d.size(8)
		return &MarkTarget{d.u32(0), d.u32(4)}
	}
	d.size(9)
	v := d.u32(0)
	switch d.one(uint32(d.u8(8)), "set", "and", "or") {
	case "and":
		return &MarkTarget{0, ^v}
	case "or":
		return &MarkTarget{v, v}
	}
	return &MarkTarget{v, 0xffffffff}
}

// ConnmarkTarget is xt_connmark_tginfo1 and 2
// (net/netfilter/xt_connmark.c:connmark_tg_shift).
type ConnmarkTarget struct {
	Mode                   string // "set", "save" (packet to connection), "restore" (back)
	CTMark, CTMask, NFMask uint32
	ShiftRight             bool
	ShiftBits              uint8
}

func (d *blob) connmarkTarget() any {
	d.revs(1, 2)
	t := &ConnmarkTarget{}
	mode := 12
	if d.rev == 1 {
		d.size(13)
	} else {
		d.size(15)
		mode = 14
		t.ShiftRight, t.ShiftBits = d.flag(12), d.u8(13)
	}
	t.CTMark, t.CTMask, t.NFMask = d.u32(0), d.u32(4), d.u32(8)
	t.Mode = d.one(uint32(d.u8(mode)), "set", "save", "restore")
	return t
}

// CTTarget is xt_ct_target_info, revisions 0 to 2, and NOTRACK.
type CTTarget struct {
	Notrack              bool
	Zone                 uint16
	ZoneOrig, ZoneReply  bool // only for that direction
	ZoneMark             bool // the zone is the packet's mark
	Helper, Timeout      string
	Events, ExpectEvents uint32
	notrackAlias         bool
}

func (d *blob) ctTarget() any {
	d.revs(0, 2)
	t := &CTTarget{}
	if d.rev == 0 {
		d.size(40)
	} else {
		d.size(72)
		t.Timeout = d.str(28, 32)
	}
	f := d.u16(0)
	d.only(uint64(f), 31)
	t.Notrack, t.notrackAlias = f&1 != 0, f&2 != 0
	t.ZoneOrig, t.ZoneReply, t.ZoneMark = f&4 != 0, f&8 != 0, f&16 != 0
	t.Zone, t.Events, t.ExpectEvents, t.Helper = d.u16(2), d.u32(4), d.u32(8), d.str(12, 16)
	return t
}

// TraceTarget switches tracing on for the packet; it has no fields.
type TraceTarget struct{}
