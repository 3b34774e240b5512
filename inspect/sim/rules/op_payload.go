package rules

import (
	"strconv"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// payloadOp reads or writes bytes of the packet (net/netfilter/nft_payload.c).
type payloadOp struct{ *snap.Payload }

func (o payloadOp) exec(m *machine) ctl {
	if o.Dreg == snap.NoReg && o.Sreg != snap.NoReg {
		return o.write(m)
	}
	if o.Len <= 0 || o.Len > 64 || o.Dreg < 0 || o.Offset < 0 {
		return m.unknown("payload")
	}
	var b, k [64]byte
	in, sure := o.read(m, b[:o.Len], k[:o.Len])
	switch {
	case !in && sure:
		return leave
	case !sure:
		t := unsure("whether the packet is long enough for " + o.what())
		m.forget(o.Dreg, o.Len, o.what())
		if in {
			m.storeMasked(o.Dreg, b[:o.Len], k[:o.Len], o.what())
		}
		return m.ask(t)
	}
	why := ""
	if !allKnown(k[:o.Len]) {
		why = o.what()
	}
	m.storeMasked(o.Dreg, b[:o.Len], k[:o.Len], why)
	return goOn
}

func (o payloadOp) what() string {
	return "bytes " + strconv.Itoa(o.Offset) + " to " + strconv.Itoa(o.Offset+o.Len-1) + " of the " + baseName(o.Base) + " header"
}

func baseName(base string) string {
	switch base {
	case "ll":
		return "link"
	case "nh":
		return "network"
	case "th":
		return "transport"
	}
	return base
}

// read copies the bytes; see view.get for what it says.
func (o payloadOp) read(m *machine, b, k []byte) (in, sure bool) {
	switch o.Base {
	case "ll":
		lb, lk, ok, known := m.pkt.link()
		switch {
		case !known:
			return false, false
		case !ok:
			return false, true
		}
		if o.Offset+len(b) <= len(lb) {
			copy(b, lb[o.Offset:])
			copy(k, lk[o.Offset:])
			return true, true
		}
		// Past the link header comes the network header.
		v := m.header()
		for i := range b {
			at := o.Offset + i
			if at < len(lb) {
				b[i], k[i] = lb[at], lk[at]
				continue
			}
			if in, sure := v.get(at-len(lb), b[i:i+1], k[i:i+1]); !in || !sure {
				return in, sure
			}
		}
		return true, true
	case "nh":
		return m.header().get(o.Offset, b, k)
	case "th":
		if !m.pkt.isIP() || m.pkt.Frag {
			return false, true
		}
		v := m.header()
		return v.get(v.th+o.Offset, b, k)
	case "inner":
		if !m.pkt.isIP() || m.pkt.Frag || m.pkt.Proto != snap.IPProtoTCP && m.pkt.Proto != snap.IPProtoUDP {
			return false, true
		}
		v := m.header()
		if v.pay == 0 {
			return true, false
		}
		return v.get(v.pay+o.Offset, b, k)
	}
	return true, false
}

// write puts registers into the packet. What is not a field of Packet (ids,
// checksums) is not kept, and so changes nothing.
func (o payloadOp) write(m *machine) ctl {
	v, k, ok := m.load(o.Sreg, o.Len)
	if !ok || o.Len <= 0 || o.Offset < 0 {
		return m.unknown("payload")
	}
	p := &m.pkt
	touches := func(off, n int) bool { return o.Offset < off+n && off < o.Offset+o.Len }
	// field gives the new bytes of a field: the written ones over the old ones.
	field := func(off int, old ...byte) ([]byte, bool) {
		known := true
		for i := range old {
			if j := off + i - o.Offset; j >= 0 && j < o.Len {
				old[i] = v[j]
				known = known && k[j] == 0xff
			}
		}
		return old, known
	}
	fail := func() ctl { return m.unknown(m.whyReg(o.Sreg, o.Len) + " written into the packet") }
	defer m.changed()
	switch {
	case o.Base == "nh" && p.Family == snap.IPv4 && p.Src.Is4() && p.Dst.Is4():
		if touches(1, 1) {
			b, known := field(1, p.TOS)
			if !known {
				return fail()
			}
			p.TOS = b[0]
		}
		if touches(8, 2) {
			b, known := field(8, p.TTL, p.Proto)
			if !known {
				return fail()
			}
			p.TTL, p.Proto = b[0], b[1]
		}
		if touches(6, 1) {
			if b, known := field(6, byte(bit16(p.DF, 0x4000)>>8)); known {
				p.DF = b[0]&0x40 != 0
			}
		}
		if touches(12, 8) {
			s, d := p.Src.As4(), p.Dst.As4()
			b, known := field(12, append(s[:], d[:]...)...)
			if !known {
				return fail()
			}
			p.Src, p.Dst = addr4(b), addr4(b[4:])
		}
	case o.Base == "nh" && p.Family == snap.IPv6 && p.Src.Is6() && p.Dst.Is6():
		if touches(0, 2) {
			b, known := field(0, 0x60|p.TOS>>4, p.TOS<<4)
			if !known && o.Offset > 0 {
				return fail()
			}
			p.TOS = b[0]<<4 | b[1]>>4
		}
		if touches(6, 2) {
			b, known := field(6, p.Proto, p.TTL)
			if !known {
				return fail()
			}
			p.Proto, p.TTL = b[0], b[1]
		}
		if touches(8, 32) {
			s, d := p.Src.As16(), p.Dst.As16()
			b, known := field(8, append(s[:], d[:]...)...)
			if !known {
				return fail()
			}
			p.Src, p.Dst = addr16(b), addr16(b[16:])
		}
	case o.Base == "th" && (p.Frag || !p.isIP()):
		return leave
	case o.Base == "th" && p.hasPorts():
		if touches(0, 4) {
			b, known := field(0, byte(p.Sport>>8), byte(p.Sport), byte(p.Dport>>8), byte(p.Dport))
			if !known {
				return fail()
			}
			p.Sport, p.Dport = be16(b), be16(b[2:])
		}
		if p.Proto == snap.IPProtoTCP && touches(13, 1) {
			b, known := field(13, p.TCPFlags)
			if !known {
				return fail()
			}
			p.TCPFlags = b[0]
		}
	case o.Base == "ll":
		return o.writeLink(m, field)
	default:
		return fail()
	}
	return goOn
}

// writeLink changes the addresses of the Ethernet header.
func (o payloadOp) writeLink(m *machine, field func(int, ...byte) ([]byte, bool)) ctl {
	p := &m.pkt
	src, ok1 := parseMAC(p.SrcMAC)
	dst, ok2 := parseMAC(p.DstMAC)
	if !ok1 && !ok2 && p.Local != nil {
		return leave
	}
	b, known := field(0, append(dst[:], src[:]...)...)
	if !known || o.Offset+o.Len > 12 {
		return m.unknown("a change of the link header")
	}
	if ok2 || o.Offset == 0 && o.Len >= 6 {
		p.DstMAC = macString(b[:6])
	}
	if ok1 || o.Offset <= 6 && o.Offset+o.Len == 12 {
		p.SrcMAC = macString(b[6:])
	}
	return goOn
}
