package firewall

// TCPMatch is xt_tcp (include/uapi/linux/netfilter/xt_tcpudp.h).
type TCPMatch struct {
	Src, Dst       PortRange
	InvSrc, InvDst bool
	Option         uint8 // a TCP option that must be there; 0 not tested
	InvOption      bool
	// The flags under FlagMask must equal FlagCmp; mask 0 tests nothing.
	FlagMask, FlagCmp uint8
	InvFlags          bool
}

func (d *blob) tcp() any {
	d.revs(0, 0)
	d.size(12)
	inv := d.u8(11)
	d.only(uint64(inv), 0xf)
	return &TCPMatch{
		Src: d.ports(0), Dst: d.ports(4), Option: d.u8(8), FlagMask: d.u8(9), FlagCmp: d.u8(10),
		InvSrc: inv&1 != 0, InvDst: inv&2 != 0, InvFlags: inv&4 != 0, InvOption: inv&8 != 0,
	}
}

// UDPMatch is xt_udp, of udp and udplite.
type UDPMatch struct {
	Src, Dst       PortRange
	InvSrc, InvDst bool
}

func (d *blob) udp() any {
	d.revs(0, 0)
	d.size(10)
	inv := d.u8(8)
	d.only(uint64(inv), 3)
	return &UDPMatch{Src: d.ports(0), Dst: d.ports(4), InvSrc: inv&1 != 0, InvDst: inv&2 != 0}
}

// SCTPMatch is xt_sctp_info. Ports are tested only where HasSrc and HasDst say.
type SCTPMatch struct {
	Src, Dst       PortRange
	HasSrc, HasDst bool
	InvSrc, InvDst bool
	// Chunks is "any", "all", "only", or "" when chunk types are not tested.
	Chunks    string
	InvChunks bool
	ChunkMap  [256]bool
	// ChunkFlags are further conditions on the flags of chunk types.
	ChunkFlags []SCTPChunkFlag
}

// SCTPChunkFlag says that the flags of chunks of a type, under Mask, equal Flag.
type SCTPChunkFlag struct{ Type, Flag, Mask uint8 }

func (d *blob) sctp() any {
	d.revs(0, 0)
	// chunkmap has 256/sizeof(u32) words, of which the first 8 are used.
	d.size(292)
	flags, inv := d.u32(284), d.u32(288)
	d.only(uint64(flags|inv), 7)
	m := &SCTPMatch{
		Dst: d.ports(0), Src: d.ports(4), HasSrc: flags&1 != 0, HasDst: flags&2 != 0,
		InvSrc: inv&1 != 0, InvDst: inv&2 != 0, InvChunks: inv&4 != 0,
	}
	if flags&4 == 0 {
		return m
	}
	switch d.u32(264) {
	case 1:
		m.Chunks = "any"
	case 2:
		m.Chunks = "all"
	case 4:
		m.Chunks = "only"
	default:
		d.bad = true
	}
	for i := range m.ChunkMap {
		m.ChunkMap[i] = d.u32(8+4*(i/32))&(1<<(i%32)) != 0
	}
	n := int(d.u32(280))
	if n > 4 {
		d.bad = true
		return m
	}
	for i := range n {
		m.ChunkFlags = append(m.ChunkFlags, SCTPChunkFlag{d.u8(268 + 3*i), d.u8(269 + 3*i), d.u8(270 + 3*i)})
	}
	return m
}

// DCCPMatch is xt_dccp_info.
type DCCPMatch struct {
	Src, Dst             PortRange
	HasSrc, HasDst       bool
	InvSrc, InvDst       bool
	HasTypes, InvTypes   bool
	Types                uint16 // bit n: packet type n
	HasOption, InvOption bool
	Option               uint8
}

func (d *blob) dccp() any {
	d.revs(0, 0)
	d.size(16)
	flags, inv := d.u16(8), d.u16(10)
	d.only(uint64(flags|inv), 15)
	return &DCCPMatch{
		Dst: d.ports(0), Src: d.ports(4), HasSrc: flags&1 != 0, HasDst: flags&2 != 0, HasTypes: flags&4 != 0, HasOption: flags&8 != 0,
		InvSrc: inv&1 != 0, InvDst: inv&2 != 0, InvTypes: inv&4 != 0, InvOption: inv&8 != 0, Types: d.u16(12), Option: d.u8(14),
	}
}

// ICMPMatch is ipt_icmp and ip6t_icmp: a type and a range of codes. For IPv4
// type 255 is any type (net/ipv4/netfilter/ip_tables.c:icmp_type_code_match).
type ICMPMatch struct {
	V6               bool
	Type             uint8
	CodeMin, CodeMax uint8
	Invert           bool
}

// Any says that every type and code matches.
func (m *ICMPMatch) Any() bool { return !m.V6 && m.Type == 0xff }

func (d *blob) icmp() any {
	d.revs(0, 0)
	d.size(4)
	d.only(uint64(d.u8(3)), 1)
	return &ICMPMatch{V6: d.v6, Type: d.u8(0), CodeMin: d.u8(1), CodeMax: d.u8(2), Invert: d.u8(3)&1 != 0}
}

// MultiportMatch is xt_multiport, revisions 0 and 1.
type MultiportMatch struct {
	Side   string // "source", "destination", "either"
	Ports  []PortRange
	Invert bool
}

func (d *blob) multiport() any {
	d.revs(0, 1)
	m := &MultiportMatch{}
	n := int(d.u8At(1))
	if d.rev == 0 {
		d.size(32)
		for i := range min(n, 15) {
			p := d.u16(2 + 2*i)
			m.Ports = append(m.Ports, PortRange{p, p})
		}
	} else {
		d.size(48)
		for i := 0; i < min(n, 15); i++ {
			p := PortRange{d.u16(2 + 2*i), d.u16(2 + 2*i)}
			if d.flag(32 + i) { // the first of a range; the next one ends it
				i++
				if i == 15 {
					d.bad = true
					break
				}
				p.Max = d.u16(2 + 2*i)
			}
			m.Ports = append(m.Ports, p)
		}
		m.Invert = d.flag(47)
	}
	switch d.u8(0) {
	case 0:
		m.Side = "source"
	case 1:
		m.Side = "destination"
	case 2:
		m.Side = "either"
	default:
		d.bad = true
	}
	if n > 15 {
		d.bad = true
	}
	return m
}

// u8At is a byte before the size is known; 0 beyond the end.
func (d *blob) u8At(off int) uint8 {
	if off >= len(d.b) {
		return 0
	}
	return d.b[off]
}

// SPIMatch is xt_esp and ipt_ah, and ip6t_ah, which can also test the header.
type SPIMatch struct {
	Min, Max  uint32
	Invert    bool
	HdrLen    uint32 // bytes of the header; 0 not tested
	InvHdrLen bool
	Reserved  bool // the reserved field must be zero
	ah        bool
}

func (d *blob) esp() any {
	d.revs(0, 0)
	d.size(12)
	d.only(uint64(d.u8(8)), 1)
	return &SPIMatch{Min: d.u32(0), Max: d.u32(4), Invert: d.u8(8)&1 != 0}
}

func (d *blob) ah() any {
	if !d.v6 {
		m := d.esp().(*SPIMatch) // struct ipt_ah is the same
		m.ah = true
		return m
	}
	d.revs(0, 0)
	d.size(16)
	inv := d.u8(13)
	d.only(uint64(inv), 3)
	return &SPIMatch{
		ah: true, Min: d.u32(0), Max: d.u32(4), HdrLen: d.u32(8), Reserved: d.flag(12), Invert: inv&1 != 0, InvHdrLen: inv&2 != 0,
	}
}

// TCPMSSMatch is xt_tcpmss_match_info: the MSS option of the packet.
type TCPMSSMatch struct {
	Min, Max uint16
	Invert   bool
}

func (d *blob) tcpmss() any {
	d.revs(0, 0)
	d.size(6)
	return &TCPMSSMatch{d.u16(0), d.u16(2), d.flag(4)}
}
