package firewall

import "strconv"

// MACMatch is xt_mac_info: the source address of the frame.
type MACMatch struct {
	Addr   string // lower case, colons
	Invert bool
}

func (d *blob) mac() any {
	d.revs(0, 0)
	d.size(12)
	return &MACMatch{mac(d.b[:6]), d.u32(8) != 0}
}

// PhysdevMatch is xt_physdev_info: bridge ports while br_netfilter runs the IP
// hooks. Names may end in "+"; "" is not tested.
type PhysdevMatch struct {
	In, Out string
	// InvIn and InvOut negate the names.
	InvIn, InvOut bool
	// IsIn, IsOut and IsBridged test that there is such a port, and that the
	// packet is bridged; Inv… negate.
	IsIn, IsOut, IsBridged          bool
	InvIsIn, InvIsOut, InvIsBridged bool
}

func (d *blob) physdev() any {
	d.revs(0, 0)
	d.size(66)
	inv, op := d.u8(64), d.u8(65)
	d.only(uint64(inv|op), 0x1f)
	m := &PhysdevMatch{
		InvIn: inv&1 != 0, InvOut: inv&2 != 0, InvIsBridged: inv&4 != 0, InvIsIn: inv&8 != 0, InvIsOut: inv&16 != 0,
		IsBridged: op&4 != 0, IsIn: op&8 != 0, IsOut: op&16 != 0,
	}
	if op&1 != 0 {
		m.In = d.ifname(0, 16)
	}
	if op&2 != 0 {
		m.Out = d.ifname(32, 48)
	}
	return m
}

// PktTypeMatch is xt_pkttype_info and ebt_pkttype_info.
type PktTypeMatch struct {
	// Type is "unicast" (to this host), "broadcast", "multicast", "otherhost",
	// "outgoing", "loopback", "fastroute", else the number.
	Type   string
	Invert bool
}

// pktTypes are PACKET_* (include/uapi/linux/if_packet.h).
var pktTypes = []string{"unicast", "broadcast", "multicast", "otherhost", "outgoing", "loopback", "fastroute"}

// pkttype: xt has two ints, ebtables two bytes; both are padded to 8, with
// zeros (nft_compat.c:nft_extension_dump_info), and on little-endian machines
// the first byte is the type in both.
func (d *blob) pkttype() any {
	d.revs(0, 0)
	d.size(min(max(len(d.b), 2), 8))
	m := &PktTypeMatch{Type: strconv.Itoa(int(d.u8(0))), Invert: d.u8(1) != 0 || len(d.b) >= 8 && d.u32(4) != 0}
	if n := int(d.u8(0)); n < len(pktTypes) {
		m.Type = pktTypes[n]
	}
	if len(d.b) != 2 && len(d.b) < 8 {
		d.bad = true
	}
	return m
}

// DevGroupMatch is xt_devgroup_info: group & Mask == Group.
type DevGroupMatch struct {
	HasSrc, HasDst bool
	InvSrc, InvDst bool
	Src, SrcMask   uint32
	Dst, DstMask   uint32
}

func (d *blob) devgroup() any {
	d.revs(0, 0)
	d.size(20)
	f := d.u32(0)
	d.only(uint64(f), 15)
	return &DevGroupMatch{
		HasSrc: f&1 != 0, InvSrc: f&2 != 0, HasDst: f&4 != 0, InvDst: f&8 != 0,
		Src: d.u32(4), SrcMask: d.u32(8), Dst: d.u32(12), DstMask: d.u32(16),
	}
}

// LengthMatch is xt_length_info: the IP packet's length in bytes.
type LengthMatch struct {
	Min, Max uint16
	Invert   bool
}

func (d *blob) length() any {
	d.revs(0, 0)
	d.size(6)
	return &LengthMatch{d.u16(0), d.u16(2), d.flag(4)}
}

// TTLMatch is ipt_ttl_info and ip6t_hl_info: Op is "eq", "ne", "lt" or "gt".
type TTLMatch struct {
	Op    string
	Value uint8
}

func (d *blob) ttl() any {
	d.revs(0, 0)
	d.size(2)
	return &TTLMatch{d.one(uint32(d.u8(0)), "eq", "ne", "lt", "gt"), d.u8(1)}
}

// DSCPMatch is xt_dscp_info: the upper 6 bits of the TOS byte or traffic class.
type DSCPMatch struct {
	DSCP   uint8
	Invert bool
}

func (d *blob) dscp() any {
	d.revs(0, 0)
	d.size(2)
	return &DSCPMatch{d.u8(0), d.flag(1)}
}

// TOSMatch is xt_tos_match_info: TOS & Mask == Value.
type TOSMatch struct {
	Mask, Value uint8
	Invert      bool
}

func (d *blob) tos() any {
	d.revs(1, 1)
	d.size(3)
	return &TOSMatch{d.u8(0), d.u8(1), d.flag(2)}
}

// ECNMatch is xt_ecn_info: the ECN bits of the IP header, and the ECE and CWR
// flags of TCP.
type ECNMatch struct {
	HasIP, HasECE, HasCWR bool
	InvIP, InvECE, InvCWR bool
	ECT                   uint8
}

func (d *blob) ecn() any {
	d.revs(0, 0)
	d.size(4)
	op, inv := d.u8(0), d.u8(1)
	d.only(uint64(op|inv), 0x31)
	return &ECNMatch{op&1 != 0, op&0x10 != 0, op&0x20 != 0, inv&1 != 0, inv&0x10 != 0, inv&0x20 != 0, d.u8(2)}
}

// CommentMatch is xt_comment_info. It always matches.
type CommentMatch struct{ Text string }

func (d *blob) comment() any {
	d.revs(0, 0)
	d.size(256)
	return &CommentMatch{d.str(0, 256)}
}
