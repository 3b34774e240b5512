package firewall

import "net/netip"

// AddrTypeMatch is xt_addrtype_info (revision 0) and _v1. Src and Dst are of
// "UNSPEC", "UNICAST", "LOCAL", "BROADCAST", "ANYCAST", "MULTICAST",
// "BLACKHOLE", "UNREACHABLE", "PROHIBIT", "THROW", "NAT", "XRESOLVE"; empty: not
// tested.
type AddrTypeMatch struct {
	Src, Dst       []string
	InvSrc, InvDst bool
	// LimitIn and LimitOut: only addresses of the packet's input or output
	// device count.
	LimitIn, LimitOut bool
}

var addrTypes = []string{
	"UNSPEC", "UNICAST", "LOCAL", "BROADCAST", "ANYCAST", "MULTICAST", "BLACKHOLE", "UNREACHABLE", "PROHIBIT", "THROW", "NAT", "XRESOLVE",
}

func (d *blob) addrtype() any {
	d.revs(0, 1)
	m := &AddrTypeMatch{}
	if d.rev == 0 {
		d.size(12)
		m.InvSrc, m.InvDst = d.u32(4) != 0, d.u32(8) != 0
	} else {
		d.size(8)
		f := d.u32(4)
		d.only(uint64(f), 15)
		m.InvSrc, m.InvDst, m.LimitIn, m.LimitOut = f&1 != 0, f&2 != 0, f&4 != 0, f&8 != 0
	}
	m.Src, m.Dst = d.names(uint32(d.u16(0)), addrTypes), d.names(uint32(d.u16(2)), addrTypes)
	return m
}

// IPRangeMatch is xt_iprange_mtinfo (revision 1).
type IPRangeMatch struct {
	HasSrc, HasDst                 bool
	InvSrc, InvDst                 bool
	SrcMin, SrcMax, DstMin, DstMax netip.Addr
}

func (d *blob) iprange() any {
	d.revs(1, 1)
	d.size(68)
	f := d.u8(64)
	d.only(uint64(f), 0x33)
	return &IPRangeMatch{
		HasSrc: f&1 != 0, HasDst: f&2 != 0, InvSrc: f&0x10 != 0, InvDst: f&0x20 != 0,
		SrcMin: d.inet(0), SrcMax: d.inet(16), DstMin: d.inet(32), DstMax: d.inet(48),
	}
}

// SetMatch is xt_set_info_match_v0 to v4: membership in an ipset.
type SetMatch struct {
	Index int // snap.IPSet.Index
	// Dirs is "src" or "dst" for each dimension of the set.
	Dirs   []string
	Invert bool
	// ReturnNoMatch: nomatch entries count as hits. NoUpdate: counters stay;
	// NoSubUpdate: those of member sets too.
	ReturnNoMatch, NoUpdate, NoSubUpdate bool
	Packets, Bytes                       SetCounter
}

// SetCounter is a condition on a counter of a set's entry: Op is "", "==",
// "!=", "<" or ">".
type SetCounter struct {
	Op    string
	Value uint64
}

func (d *blob) set() any {
	d.revs(0, 4)
	m := &SetMatch{}
	switch d.rev {
	case 0:
		d.size(32)
		m.Index, m.Dirs, m.Invert = d.setInfo0(0)
		return m
	case 1, 2:
		d.size(4)
	case 3:
		d.size(48)
		m.Packets, m.Bytes = d.setCounter(16, 8), d.setCounter(32, 24)
		m.setFlags(d, d.u32(40))
	case 4:
		d.size(48)
		m.Packets, m.Bytes = d.setCounter(8, 16), d.setCounter(24, 32)
		m.setFlags(d, d.u32(40))
	}
	m.Index, m.Dirs, m.Invert = d.setInfo(0)
	if d.rev == 2 {
		m.ReturnNoMatch = d.u8(3)&0x80 != 0 // IPSET_RETURN_NOMATCH: bit 7 of the info's flags
	}
	return m
}

// setFlags reads the flags of IPSET_CMD (enum ipset_cmd_flags).
func (m *SetMatch) setFlags(d *blob, f uint32) {
	m.ReturnNoMatch, m.NoUpdate, m.NoSubUpdate = f&(1<<7) != 0, f&(1<<3) != 0, f&(1<<4) != 0
	d.only(uint64(f), 0x7f8|1<<0)
}

// setInfo reads struct xt_set_info: u16 index, u8 dimensions, u8 flags, where
// bit n+1 says that dimension n is looked up by source.
func (d *blob) setInfo(off int) (index int, dirs []string, invert bool) {
	f := d.u8(off + 3)
	return int(d.u16(off)), setDirs(int(d.u8(off+2)), func(i int) bool { return f&(1<<(i+1)) != 0 }), f&1 != 0
}

// setInfo0 reads struct xt_set_info_v0: one word of flags for each dimension.
func (d *blob) setInfo0(off int) (index int, dirs []string, invert bool) {
	n := 0
	for n < 6 && d.u32(off+4+4*n) != 0 {
		n++
	}
	return int(d.u16(off)), setDirs(n, func(i int) bool { return d.u32(off+4+4*i)&1 != 0 }), d.u32(off+4)&4 != 0
}

func setDirs(n int, src func(int) bool) []string {
	var list []string
	for i := range min(n, 6) {
		if src(i) {
			list = append(list, "src")
		} else {
			list = append(list, "dst")
		}
	}
	return list
}

func (d *blob) setCounter(value, op int) SetCounter {
	return SetCounter{Op: d.one(uint32(d.u8(op)), "", "==", "!=", "<", ">"), Value: d.u64(value)}
}

// RPFilterMatch is xt_rpfilter_info: the route back to the source goes out of
// the device that the packet came in by.
type RPFilterMatch struct {
	Loose       bool // any device will do
	ValidMark   bool // look up with the packet's mark
	AcceptLocal bool
	Invert      bool
}

func (d *blob) rpfilter() any {
	d.revs(0, 0)
	d.size(1)
	f := d.u8(0)
	d.only(uint64(f), 15)
	return &RPFilterMatch{f&1 != 0, f&2 != 0, f&4 != 0, f&8 != 0}
}

// RealmMatch is xt_realm_info: the realm of the packet's route.
type RealmMatch struct {
	ID, Mask uint32
	Invert   bool
}

func (d *blob) realm() any {
	d.revs(0, 0)
	d.size(12)
	return &RealmMatch{d.u32(0), d.u32(4), d.flag(8)}
}

// IPVSMatch is xt_ipvs_mtinfo. The bits of Test and Invert are XT_IPVS_*:
// 1 belongs to IPVS at all, 2 protocol, 4 address, 8 port, 16 direction, 32
// method, 64 control port.
type IPVSMatch struct {
	Test, Invert uint8
	Addr         Masked
	Port         uint16
	Proto        uint8
	Method       uint8 // IP_VS_CONN_F_*
	ControlPort  uint16
}

func (d *blob) ipvs() any {
	d.revs(0, 0)
	d.size(40)
	m := &IPVSMatch{
		Addr: d.masked(0, 16), Port: d.be16(32), Proto: d.u8(34), Method: d.u8(35), ControlPort: d.be16(36),
		Invert: d.u8(38), Test: d.u8(39),
	}
	d.only(uint64(m.Test|m.Invert), 0x7f)
	return m
}
