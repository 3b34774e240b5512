package rules

import (
	"net/netip"

	fw "github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ebMatch compiles ebtables' own matches (net/bridge/netfilter/ebt_*.c).
func ebMatch(v any) matchFunc {
	switch v := v.(type) {
	case *fw.EbIPMatch:
		return func(m *machine) truth { return ebIP(&m.pkt, v) }
	case *fw.EbARPMatch:
		return func(m *machine) truth { return ebARP(&m.pkt, v) }
	case *fw.EbVLANMatch:
		return func(m *machine) truth {
			p := &m.pkt
			if p.VLAN == 0 {
				return is(false)
			}
			t := is(!v.HasID || (uint16(p.VLAN) == v.ID) != v.InvID)
			if v.HasPrio {
				t = t.and(unsure("the VLAN priority"))
			}
			if v.HasEncap {
				t = t.and(is((p.etherType() == v.Encap) != v.InvEncap))
			}
			return t
		}
	case *fw.EbMarkMatch:
		return func(m *machine) truth {
			p := &m.pkt
			mask := uint32(v.Mask)
			if v.Or {
				t := is(p.Mark&mask != 0)
				if t.is == no && p.MarkUnknown&mask != 0 {
					t = unsure("the packet's mark")
				}
				return t.xor(v.Invert)
			}
			if v.Mark>>32 != 0 {
				return is(v.Invert)
			}
			return masked(p.Mark, p.MarkUnknown, uint32(v.Mark), mask, "the packet's mark").xor(v.Invert)
		}
	case *fw.EbAmongMatch:
		return func(m *machine) truth {
			p := &m.pkt
			t := is(true)
			if v.HasDst {
				t = among(v.Dst, p.DstMAC, p.Dst).xor(v.InvDst)
			}
			if v.HasSrc {
				t = t.and(among(v.Src, p.SrcMAC, p.Src).xor(v.InvSrc))
			}
			return t
		}
	case *fw.Eb8023Match:
		return always(unsure("fields of an 802.3 frame"))
	case *fw.EbSTPMatch:
		return always(unsure("fields of a spanning tree frame"))
	}
	return nil
}

// ebIP is ebt_ip.c:ebt_ip_mt and ebt_ip6.c:ebt_ip6_mt.
func ebIP(p *Packet, v *fw.EbIPMatch) truth {
	if v.V6 != (p.Family == snap.IPv6) || !p.isIP() {
		return is(false)
	}
	if v.HasTOS && (p.TOS == v.TOS) == v.InvTOS ||
		v.HasSrc && plainMask(p.Src, v.Src) == v.InvSrc || v.HasDst && plainMask(p.Dst, v.Dst) == v.InvDst ||
		v.HasProto && (p.Proto == v.Proto) == v.InvProto {
		return is(false)
	}
	if !v.HasSport && !v.HasDport && !v.HasICMP && !v.HasIGMP {
		return is(true)
	}
	if p.Frag {
		return is(false)
	}
	if v.HasDport && inRange(p.Dport, v.Dport) == v.InvDport || v.HasSport && inRange(p.Sport, v.Sport) == v.InvSport {
		return is(false)
	}
	if v.HasICMP {
		hit := p.ICMPType >= v.TypeMin && p.ICMPType <= v.TypeMax && p.ICMPCode >= v.CodeMin && p.ICMPCode <= v.CodeMax
		if hit == v.InvICMP {
			return is(false)
		}
	}
	if v.HasIGMP {
		return unsure("the IGMP type")
	}
	return is(true)
}

func plainMask(a netip.Addr, want fw.Masked) bool {
	return maskedAddr(netip.AddrPortFrom(a, 0), want).is == yes
}

// ebARP is ebt_arp.c:ebt_arp_mt.
func ebARP(p *Packet, v *fw.EbARPMatch) truth {
	if p.Family != snap.ARP {
		return is(false)
	}
	t := is(true)
	if v.HasOpcode {
		if p.ARPOp == 0 {
			t = unsure("the ARP operation")
		} else {
			t = is((p.ARPOp == v.Opcode) != v.InvOpcode)
		}
	}
	t = t.and(is(!v.HasHType || (v.HType == 1) != v.InvHType)).and(is(!v.HasPType || (v.PType == 0x0800) != v.InvPType))
	t = t.and(is(!v.HasSrcIP || plainMask(p.Src, v.SrcIP) != v.InvSrcIP)).and(is(!v.HasDstIP || plainMask(p.Dst, v.DstIP) != v.InvDstIP))
	if v.Gratuitous {
		t = t.and(is((p.Src == p.Dst) != v.InvGratuitous))
	}
	if v.HasSrcMAC {
		t = t.and(macMatch(p.SrcMAC, v.SrcMAC, v.SrcMACMask, v.InvSrcMAC))
	}
	if v.HasDstMAC {
		t = t.and(unsure("the target's hardware address in ARP"))
	}
	return t
}

// among is ebt_among.c: the hardware address is on the list, by itself or with
// the IPv4 address of the packet.
func among(list []fw.EbAmongEntry, mac string, ip netip.Addr) truth {
	if _, known := parseMAC(mac); !known {
		return unsure("a hardware address that is not known")
	}
	for _, e := range list {
		if e.MAC == mac && (e.IP.IsUnspecified() || e.IP == ip) {
			return is(true)
		}
	}
	return is(false)
}
