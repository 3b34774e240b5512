package firewall

// PolicyMatch is xt_policy_info: the IPsec policy of the packet.
type PolicyMatch struct {
	Dir    string // "in" or "out"
	None   bool   // no policy; else one
	Strict bool   // Elements match the whole policy, in order
	// Elements are the conditions on its parts.
	Elements []PolicyElement
}

// PolicyElement is xt_policy_elem; the Has… fields say what is tested.
type PolicyElement struct {
	Src, Dst                                            Masked
	SPI                                                 uint32
	ReqID                                               uint32
	Proto                                               uint8
	Mode                                                string // "transport" or "tunnel"
	HasSrc, HasDst, HasProto, HasMode, HasSPI, HasReqID bool
	InvSrc, InvDst, InvProto, InvMode, InvSPI, InvReqID bool
}

func (d *blob) policy() any {
	d.revs(0, 0)
	d.size(308)
	f, n := d.u16(304), int(d.u16(306))
	d.only(uint64(f), 15)
	m := &PolicyMatch{None: f&4 != 0, Strict: f&8 != 0}
	switch f & 3 {
	case 1:
		m.Dir = "in"
	case 2:
		m.Dir = "out"
	default:
		d.bad = true
	}
	if n > 4 {
		d.bad = true
		return m
	}
	for i := range n {
		o := 76 * i
		t, inv := d.u8(o+74), d.u8(o+75)
		e := PolicyElement{
			Src: d.masked(o, o+16), Dst: d.masked(o+32, o+48), SPI: d.be32(o + 64), ReqID: d.u32(o + 68), Proto: d.u8(o + 72),
			Mode:   d.one(uint32(d.u8(o+73)), "transport", "tunnel"),
			HasSrc: t&1 != 0, HasDst: t&2 != 0, HasProto: t&4 != 0, HasMode: t&8 != 0, HasSPI: t&16 != 0, HasReqID: t&32 != 0,
			InvSrc: inv&1 != 0, InvDst: inv&2 != 0, InvProto: inv&4 != 0, InvMode: inv&8 != 0, InvSPI: inv&16 != 0, InvReqID: inv&32 != 0,
		}
		m.Elements = append(m.Elements, e)
	}
	return m
}
