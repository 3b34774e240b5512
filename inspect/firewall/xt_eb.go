package firewall

import "net/netip"

// ebtables' own matches and targets (include/uapi/linux/netfilter_bridge).

// ebMatch decodes a match of ebtables; nil for one that is not known.
func (d *blob) ebMatch(name string) any {
	switch name {
	case "ip":
		return d.ebIP()
	case "ip6":
		return d.ebIP6()
	case "arp":
		return d.ebARP()
	case "vlan":
		return d.ebVLAN()
	case "mark_m":
		return d.ebMark()
	case "802_3":
		return d.eb8023()
	case "stp":
		return d.ebSTP()
	case "among":
		return d.ebAmong()
	}
	return nil
}

// EbIPMatch is ebt_ip_info and ebt_ip6_info. The Has… fields say what is
// tested; TOS is the traffic class for IPv6.
type EbIPMatch struct {
	V6                                                            bool
	Src, Dst                                                      Masked
	TOS, Proto                                                    uint8
	Sport, Dport                                                  PortRange
	TypeMin, TypeMax, CodeMin, CodeMax                            uint8 // of ICMP, or types of IGMP
	HasSrc, HasDst, HasTOS, HasProto, HasSport, HasDport, HasICMP bool
	InvSrc, InvDst, InvTOS, InvProto, InvSport, InvDport, InvICMP bool
	HasIGMP, InvIGMP                                              bool
}

func (d *blob) ebIP() any {
	d.revs(0, 0)
	d.size(28)
	m := &EbIPMatch{
		Src: Masked{d.ip(0), d.ip(8)}, Dst: Masked{d.ip(4), d.ip(12)}, TOS: d.u8(16), Proto: d.u8(17),
	}
	m.rest(d, 18, 20)
	return m
}

func (d *blob) ebIP6() any {
	d.revs(0, 0)
	d.size(76)
	d.v6 = true
	m := &EbIPMatch{V6: true, Src: d.masked(0, 32), Dst: d.masked(16, 48), TOS: d.u8(64), Proto: d.u8(65)}
	m.rest(d, 66, 68)
	if m.HasIGMP {
		d.bad = true
	}
	return m
}

func (m *EbIPMatch) rest(d *blob, flags, ports int) {
	f, inv := d.u8(flags), d.u8(flags+1)
	m.HasSrc, m.HasDst, m.HasTOS, m.HasProto = f&1 != 0, f&2 != 0, f&4 != 0, f&8 != 0
	m.HasSport, m.HasDport, m.HasICMP, m.HasIGMP = f&16 != 0, f&32 != 0, f&64 != 0, f&128 != 0
	m.InvSrc, m.InvDst, m.InvTOS, m.InvProto = inv&1 != 0, inv&2 != 0, inv&4 != 0, inv&8 != 0
	m.InvSport, m.InvDport, m.InvICMP, m.InvIGMP = inv&16 != 0, inv&32 != 0, inv&64 != 0, inv&128 != 0
	if m.HasICMP || m.HasIGMP {
		m.TypeMin, m.TypeMax, m.CodeMin, m.CodeMax = d.u8(ports), d.u8(ports+1), d.u8(ports+4), d.u8(ports+5)
		return
	}
	m.Sport, m.Dport = d.ports(ports), d.ports(ports+4)
}

// EbARPMatch is ebt_arp_info.
type EbARPMatch struct {
	HType, PType, Opcode                                                    uint16
	SrcIP, DstIP                                                            Masked
	SrcMAC, SrcMACMask, DstMAC, DstMACMask                                  string
	HasOpcode, HasHType, HasPType, HasSrcIP, HasDstIP, HasSrcMAC, HasDstMAC bool
	InvOpcode, InvHType, InvPType, InvSrcIP, InvDstIP, InvSrcMAC, InvDstMAC bool
	Gratuitous, InvGratuitous                                               bool
}

func (d *blob) ebARP() any {
	d.revs(0, 0)
	d.size(50)
	f, v := d.u8(48), d.u8(49)
	return &EbARPMatch{
		HType: d.be16(0), PType: d.be16(2), Opcode: d.be16(4), SrcIP: Masked{d.ip(8), d.ip(12)}, DstIP: Masked{d.ip(16), d.ip(20)},
		SrcMAC: mac(d.b[24:30]), SrcMACMask: mac(d.b[30:36]), DstMAC: mac(d.b[36:42]), DstMACMask: mac(d.b[42:48]),
		HasOpcode: f&1 != 0, HasHType: f&2 != 0, HasPType: f&4 != 0, HasSrcIP: f&8 != 0, HasDstIP: f&16 != 0,
		HasSrcMAC: f&32 != 0, HasDstMAC: f&64 != 0, Gratuitous: f&128 != 0,
		InvOpcode: v&1 != 0, InvHType: v&2 != 0, InvPType: v&4 != 0, InvSrcIP: v&8 != 0, InvDstIP: v&16 != 0,
		InvSrcMAC: v&32 != 0, InvDstMAC: v&64 != 0, InvGratuitous: v&128 != 0,
	}
}

// EbVLANMatch is ebt_vlan_info.
type EbVLANMatch struct {
	ID                       uint16
	Prio                     uint8
	Encap                    uint16 // EtherType inside
	HasID, HasPrio, HasEncap bool
	InvID, InvPrio, InvEncap bool
}

func (d *blob) ebVLAN() any {
	d.revs(0, 0)
	d.size(8)
	f, v := d.u8(6), d.u8(7)
	d.only(uint64(f|v), 7)
	return &EbVLANMatch{d.u16(0), d.u8(2), d.be16(4), f&1 != 0, f&2 != 0, f&4 != 0, v&1 != 0, v&2 != 0, v&4 != 0}
}

// EbMarkMatch is ebt_mark_m_info: with Or, any bit of Mask is set; else mark &
// Mask == Mark.
type EbMarkMatch struct {
	Mark, Mask uint64
	Or, Invert bool
}

func (d *blob) ebMark() any {
	d.revs(0, 0)
	d.size(18)
	d.only(uint64(d.u8(17)), 3)
	return &EbMarkMatch{d.u64(0), d.u64(8), d.u8(17)&2 != 0, d.flag(16)}
}

// Eb8023Match is ebt_802_3_info.
type Eb8023Match struct {
	SAP             uint8
	Type            uint16
	HasSAP, HasType bool
	InvSAP, InvType bool
}

func (d *blob) eb8023() any {
	d.revs(0, 0)
	d.size(6)
	f, v := d.u8(4), d.u8(5)
	return &Eb8023Match{d.u8(0), d.be16(2), f&1 != 0, f&2 != 0, v&1 != 0, v&2 != 0}
}

// EbSTPMatch is ebt_stp_info. Only the type of the BPDU is decoded; Config
// says that there are tests of its fields.
type EbSTPMatch struct {
	Type             uint8
	HasType, InvType bool
	Config           bool
}

func (d *blob) ebSTP() any {
	d.revs(0, 0)
	d.size(72)
	f, v := d.u16(68), d.u16(70)
	return &EbSTPMatch{d.u8(0), f&1 != 0, v&1 != 0, f&^1 != 0}
}

// EbAmongMatch is ebt_among_info: the address is on a list, by itself or with
// an IPv4 address.
type EbAmongMatch struct {
	Dst, Src       []EbAmongEntry
	HasDst, HasSrc bool
	InvDst, InvSrc bool
}

// EbAmongEntry is one member; IP is 0.0.0.0 when any will do.
type EbAmongEntry struct {
	MAC string
	IP  netip.Addr
}

// maxAmong bounds what one match can hold; the kernel's limit is the table's size.
const maxAmong = 1 << 16

func (d *blob) ebAmong() any {
	d.revs(0, 0)
	if len(d.b) < 12 {
		d.bad = true
		return nil
	}
	m := &EbAmongMatch{InvDst: d.u32(8)&1 != 0, InvSrc: d.u32(8)&2 != 0}
	m.Dst, m.HasDst = d.wormhash(int(int32(d.u32(0))))
	m.Src, m.HasSrc = d.wormhash(int(int32(d.u32(4))))
	return m
}

// wormhash reads struct ebt_mac_wormhash: 257 ints, the count, the entries.
func (d *blob) wormhash(off int) ([]EbAmongEntry, bool) {
	if off == 0 {
		return nil, false
	}
	const head = 4*257 + 4
	if off < 12 || off+head > len(d.b) {
		d.bad = true
		return nil, true
	}
	n := int(d.u32(off + head - 4))
	if n > maxAmong || off+head+12*n > len(d.b) {
		d.bad = true
		return nil, true
	}
	list := make([]EbAmongEntry, 0, n)
	for i := range n {
		e := off + head + 12*i
		// cmp[0] holds two bytes of padding and the first two of the address.
		list = append(list, EbAmongEntry{mac(d.b[e+2 : e+8]), d.ip(e + 8)})
	}
	return list, true
}
