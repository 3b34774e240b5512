package rules

import (
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// view is a packet as bytes, as far as they are known, from the network header
// on. What the Packet does not tell (ids, sequence numbers, checksums) is
// unknown, and so are all bytes past n that are not of the payload.
type view struct {
	b, k    [128]byte // bytes, and the bits of them that are known
	n       int       // bytes laid out
	th      int       // offset of the transport header; 0 none (ARP)
	pay     int       // offset of the transport payload; 0 not known
	total   int       // length; 0 unknown
	payload []byte
}

// header lays the packet out as bytes.
func (m *machine) header() *view {
	if m.view != nil {
		return m.view
	}
	v := m.room
	if m.room = nil; v == nil {
		v = &view{}
	}
	v.total, v.payload = m.pkt.Len, m.pkt.Payload
	p := &m.pkt
	switch p.Family {
	case snap.IPv4:
		v.ipv4(p)
	case snap.IPv6:
		v.ipv6(p)
	case snap.ARP:
		v.arp(p)
	}
	m.view = v
	return v
}

// put writes known bytes at an offset.
//
//go:noinline
func (v *view) put(off int, b ...byte) {
	for i, x := range b {
		v.b[off+i], v.k[off+i] = x, 0xff
	}
	v.n = max(v.n, off+len(b))
}

//go:noinline
func (v *view) put16(off int, x uint16) { v.put(off, byte(x>>8), byte(x)) }

// ipv4 lays out a header without options (RFC 791).
func (v *view) ipv4(p *Packet) {
	v.put(0, 0x45, p.TOS)
	if p.Len > 0 {
		v.put16(2, uint16(p.Len))
	}
	switch {
	case !p.Frag:
		// Neither the first of several fragments nor a later one.
		v.put16(6, bit16(p.DF, 0x4000))
	default:
		v.b[6], v.k[6] = byte(bit16(p.DF, 0x4000)>>8), 0xc0
	}
	v.put(8, p.TTL, p.Proto)
	if p.Src.Is4() && p.Dst.Is4() {
		s, d := p.Src.As4(), p.Dst.As4()
		v.put(12, s[:]...)
		v.put(16, d[:]...)
	}
	v.n, v.th = 20, 20
	v.transport(p)
}

// ipv6 lays out a header without extension headers, or with a fragment header
// (RFC 8200).
func (v *view) ipv6(p *Packet) {
	v.put(0, 0x60|p.TOS>>4)
	v.b[1], v.k[1] = p.TOS<<4, 0xf0 // then the flow label
	if p.Len >= 40 {
		v.put16(4, uint16(p.Len-40))
	}
	v.put(7, p.TTL)
	if p.Src.Is6() && p.Dst.Is6() {
		s, d := p.Src.As16(), p.Dst.As16()
		v.put(8, s[:]...)
		v.put(24, d[:]...)
	}
	if p.Frag {
		v.put(6, 44)
		v.put(40, p.Proto, 0)
		v.n, v.th = 48, 48
		return
	}
	v.put(6, p.Proto)
	v.n, v.th = 40, 40
	v.transport(p)
}

// transport lays out the head of the transport header, and finds the payload.
func (v *view) transport(p *Packet) {
	if p.Frag {
		return
	}
	o := v.th
	switch p.Proto {
	case snap.IPProtoTCP:
		v.put16(o, p.Sport)
		v.put16(o+2, p.Dport)
		v.put(o+13, p.TCPFlags)
		v.n = o + 20
		if p.Payload == nil && p.TCPFlags&TCPSYN != 0 {
			v.payload = []byte{} // a SYN carries no data
		}
		if p.Len > 0 && v.payload != nil {
			v.pay = p.Len - len(v.payload)
			if d := v.pay - o; d >= 20 && d <= 60 && d%4 == 0 {
				v.b[o+12], v.k[o+12] = byte(d/4)<<4, 0xf0
			} else {
				v.pay = 0
			}
		}
	case snap.IPProtoUDP, snap.IPProtoUDPLite:
		v.put16(o, p.Sport)
		v.put16(o+2, p.Dport)
		if p.Proto == snap.IPProtoUDP && p.Len > o {
			v.put16(o+4, uint16(p.Len-o))
		}
		v.n, v.pay = o+8, o+8
	case snap.IPProtoSCTP, snap.IPProtoDCCP:
		v.put16(o, p.Sport)
		v.put16(o+2, p.Dport)
		v.n = o + 12
	case snap.IPProtoICMP, snap.IPProtoICMPv6:
		v.put(o, p.ICMPType, p.ICMPCode)
		if echo(p) {
			v.put16(o+4, p.Sport)
		}
		v.n, v.pay = o+8, o+8
	default:
		v.pay = o
	}
}

// echo says whether the packet is an ICMP echo request or reply.
func echo(p *Packet) bool {
	if p.Proto == snap.IPProtoICMP {
		return p.ICMPType == 0 || p.ICMPType == 8
	}
	return p.Proto == snap.IPProtoICMPv6 && (p.ICMPType == 128 || p.ICMPType == 129)
}

// arp lays out an ARP packet for IPv4 over Ethernet (RFC 826).
func (v *view) arp(p *Packet) {
	v.put(0, 0, 1, 8, 0, 6, 4)
	if p.ARPOp != 0 {
		v.put16(6, p.ARPOp)
	}
	if mac, ok := parseMAC(p.SrcMAC); ok {
		v.put(8, mac[:]...)
	}
	if p.Src.Is4() {
		a := p.Src.As4()
		v.put(14, a[:]...)
	}
	if p.Dst.Is4() {
		a := p.Dst.As4()
		v.put(24, a[:]...)
	}
	v.n, v.total = 28, 28
}

// get copies bytes from off on into dst, with the bits that are known; in is
// false when the packet is certainly shorter, and so false when that is not
// certain either.
func (v *view) get(off int, dst, k []byte) (in, sure bool) {
	last := off + len(dst)
	if off < 0 || v.total > 0 && last > v.total {
		return false, true
	}
	for i := range dst {
		at := off + i
		switch {
		case v.pay > 0 && v.payload != nil && at >= v.pay:
			if at-v.pay >= len(v.payload) {
				return false, true
			}
			dst[i], k[i] = v.payload[at-v.pay], 0xff
		case at < v.n:
			dst[i], k[i] = v.b[at], v.k[at]
		default:
			dst[i], k[i] = 0, 0
		}
	}
	return true, v.total > 0 || last <= v.n || v.pay > 0 && v.payload != nil
}

// link lays out the Ethernet header, with the tag of a VLAN. ok says that
// there is one, known that this is known
// (net/netfilter/nft_payload.c: skb_mac_header_was_set).
func (p *Packet) link() (b, k []byte, ok, known bool) {
	src, s := parseMAC(p.SrcMAC)
	dst, d := parseMAC(p.DstMAC)
	if !s && !d {
		return nil, nil, p.Local == nil, p.Local != nil
	}
	b, k = make([]byte, 0, 18), make([]byte, 0, 18)
	add := func(x []byte, known bool) {
		for _, c := range x {
			if known {
				b, k = append(b, c), append(k, 0xff)
			} else {
				b, k = append(b, 0), append(k, 0)
			}
		}
	}
	add(dst[:], d)
	add(src[:], s)
	if p.VLAN != 0 {
		// The priority bits are not known.
		b, k = append(b, 0x81, 0, byte(p.VLAN>>8)&0x0f, byte(p.VLAN)), append(k, 0xff, 0xff, 0x0f, 0xff)
	}
	t := p.etherType()
	add([]byte{byte(t >> 8), byte(t)}, t != 0)
	return b, k, true, true
}

// etherType is the packet's EtherType field, or follows from the family; 0 unknown.
//
//go:noinline
func (p *Packet) etherType() uint16 {
	switch {
	case p.EtherType != 0:
		return p.EtherType
	case p.Family == snap.IPv4:
		return 0x0800
	case p.Family == snap.IPv6:
		return 0x86dd
	case p.Family == snap.ARP:
		return 0x0806
	}
	return 0
}

// parseMAC reads six hexadecimal bytes with colons.
func parseMAC(s string) (mac [6]byte, ok bool) {
	parts := strings.Split(s, ":")
	if len(parts) != 6 {
		return mac, false
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 16, 8)
		if err != nil {
			return mac, false
		}
		mac[i] = byte(n)
	}
	return mac, true
}

func bit16(on bool, bit uint16) uint16 {
	if on {
		return bit
	}
	return 0
}

// isIP says whether the packet is IPv4 or IPv6.
//
//go:noinline
func (p *Packet) isIP() bool { return p.Family == snap.IPv4 || p.Family == snap.IPv6 }

// hasPorts says whether the transport header begins with two ports.
//
//go:noinline
func (p *Packet) hasPorts() bool {
	switch p.Proto {
	case snap.IPProtoTCP, snap.IPProtoUDP, snap.IPProtoUDPLite, snap.IPProtoSCTP, snap.IPProtoDCCP:
		return true
	}
	return false
}
