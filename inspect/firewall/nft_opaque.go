package firewall

import "github.com/netdoctor/netdoctor/inspect/snap"

// opaqueTerm names expressions that have no type in snap, only words: osf and
// xfrm ("ipsec"). nil for others, and for ones whose attributes do not fit.
func opaqueTerm(e *snap.Unknown) (t *term, reg int) {
	a := littleAttrs()
	if !a.parse(e.Raw, 4) || a.extra {
		return nil, 0
	}
	r := values{attrs: &a}
	r.need(1)
	reg = r.reg(1)
	switch e.Name {
	case "osf": // NFTA_OSF_DREG, _TTL, _FLAGS
		text := "osf"
		switch r.u8(2) {
		case 1:
			text += " ttl loose"
		case 2:
			text += " ttl skip"
		}
		if r.u32(3)&1 != 0 {
			text += " version"
		} else {
			text += " name"
		}
		t = &term{text: text, kind: kind{typeString, 16, true}}
	case "xfrm": // NFTA_XFRM_DREG, _KEY, _DIR, _SPNUM
		t = xfrmTerm(r.u32(2), r.u8(3), r.u32(4))
	}
	if r.bad {
		return nil, 0
	}
	return t, reg
}

func xfrmTerm(key uint32, dir uint8, spnum uint32) *term {
	text := "ipsec in"
	if dir == 1 {
		text = "ipsec out"
	}
	if spnum != 0 {
		text += " spnum " + itoa(spnum)
	}
	switch key {
	case 1:
		return &term{text: text + " ip daddr", kind: kind{typeIPAddr, 4, false}}
	case 2:
		return &term{text: text + " ip6 daddr", kind: kind{typeIP6Addr, 16, false}}
	case 3:
		return &term{text: text + " ip saddr", kind: kind{typeIPAddr, 4, false}}
	case 4:
		return &term{text: text + " ip6 saddr", kind: kind{typeIP6Addr, 16, false}}
	case 5:
		return &term{text: text + " reqid", kind: kind{typeInteger, 4, true}}
	case 6:
		return &term{text: text + " spi", kind: kind{typeInteger, 4, true}}
	}
	return nil
}
