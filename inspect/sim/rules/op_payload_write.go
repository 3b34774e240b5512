package rules

import "github.com/netdoctor/netdoctor/inspect/snap"

// write puts registers into the packet. What is not a field of Packet (ids,
// checksums) is not kept, and so changes nothing.
func (o payloadOp) write(m *machine) ctl {
	v, k, ok := m.load(o.Sreg, o.Len)
	if !ok || o.Len <= 0 || o.Offset < 0 {
		return m.unknown("payload")
	}
	w, p, known := overwrite{o.Offset, v, k}, &m.pkt, false
	defer m.changed()
	switch {
	case o.Base == "nh" && p.Family == snap.IPv4 && p.Src.Is4() && p.Dst.Is4():
		known = w.ipv4(p)
	case o.Base == "nh" && p.Family == snap.IPv6 && p.Src.Is6() && p.Dst.Is6():
		known = w.ipv6(p)
	case o.Base == "th" && (p.Frag || !p.isIP()):
		return leave
	case o.Base == "th" && p.hasPorts():
		known = w.transport(p)
	case o.Base == "ll":
		return w.link(m)
	}
	if !known {
		return m.unknown(m.whyReg(o.Sreg, o.Len) + " written into the packet")
	}
	return goOn
}

// overwrite is bytes to be put into a header from an offset on, with the mask of
// those of their bits that are known.
type overwrite struct {
	offset int
	v, k   []byte
}

// touches says whether any of n bytes from off on is written.
func (w overwrite) touches(off, n int) bool {
	return w.offset < off+n && off < w.offset+len(w.v)
}

// field gives the new bytes of the field at off, the written ones over the old ones;
// false when not all of the written ones are known.
func (w overwrite) field(off int, old ...byte) ([]byte, bool) {
	known := true
	for i := range old {
		if j := off + i - w.offset; j >= 0 && j < len(w.v) {
			old[i] = w.v[j]
			known = known && w.k[j] == 0xff
		}
	}
	return old, known
}

// ipv4 changes the IPv4 header (RFC 791); false when a value is not known.
func (w overwrite) ipv4(p *Packet) bool {
	if w.touches(1, 1) {
		b, known := w.field(1, p.TOS)
		if !known {
			return false
		}
		p.TOS = b[0]
	}
	if w.touches(8, 2) {
		b, known := w.field(8, p.TTL, p.Proto)
		if !known {
			return false
		}
		p.TTL, p.Proto = b[0], b[1]
	}
	if w.touches(6, 1) {
		if b, known := w.field(6, byte(bit16(p.DF, 0x4000)>>8)); known {
			p.DF = b[0]&0x40 != 0
		}
	}
	if w.touches(12, 8) {
		s, d := p.Src.As4(), p.Dst.As4()
		b, known := w.field(12, append(s[:], d[:]...)...)
		if !known {
			return false
		}
		p.Src, p.Dst = addr4(b), addr4(b[4:])
	}
	return true
}

// ipv6 changes the IPv6 header (RFC 8200); false when a value is not known.
func (w overwrite) ipv6(p *Packet) bool {
	if w.touches(0, 2) {
		b, known := w.field(0, 0x60|p.TOS>>4, p.TOS<<4)
		if !known && w.offset > 0 {
			return false
		}
		p.TOS = b[0]<<4 | b[1]>>4
	}
	if w.touches(6, 2) {
		b, known := w.field(6, p.Proto, p.TTL)
		if !known {
			return false
		}
		p.Proto, p.TTL = b[0], b[1]
	}
	if w.touches(8, 32) {
		s, d := p.Src.As16(), p.Dst.As16()
		b, known := w.field(8, append(s[:], d[:]...)...)
		if !known {
			return false
		}
		p.Src, p.Dst = addr16(b), addr16(b[16:])
	}
	return true
}

// transport changes the ports, and the flags of TCP (RFC 9293); false when a value is
// not known.
func (w overwrite) transport(p *Packet) bool {
	if w.touches(0, 4) {
		b, known := w.field(0, byte(p.Sport>>8), byte(p.Sport), byte(p.Dport>>8), byte(p.Dport))
		if !known {
			return false
		}
		p.Sport, p.Dport = be16(b), be16(b[2:])
	}
	if p.Proto == snap.IPProtoTCP && w.touches(13, 1) {
		b, known := w.field(13, p.TCPFlags)
		if !known {
			return false
		}
		p.TCPFlags = b[0]
	}
	return true
}

// link changes the addresses of the Ethernet header.
func (w overwrite) link(m *machine) ctl {
	p := &m.pkt
	src, ok1 := parseMAC(p.SrcMAC)
	dst, ok2 := parseMAC(p.DstMAC)
	if !ok1 && !ok2 && p.Local != nil {
		return leave
	}
	end := w.offset + len(w.v)
	b, known := w.field(0, append(dst[:], src[:]...)...)
	if !known || end > 12 {
		return m.unknown("a change of the link header")
	}
	if ok2 || w.offset == 0 && end >= 6 {
		p.DstMAC = macString(b[:6])
	}
	if ok1 || w.offset <= 6 && end == 12 {
		p.SrcMAC = macString(b[6:])
	}
	return goOn
}
