package rules

import (
	"net/netip"

	fw "github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// packetMatch compiles matches on the IP header and on the packet's marks.
func packetMatch(v any) matchFunc {
	switch v := v.(type) {
	case *fw.MarkMatch:
		return func(m *machine) truth {
			return masked(m.pkt.Mark, m.pkt.MarkUnknown, v.Mark, v.Mask, "the packet's mark").xor(v.Invert)
		}
	case *fw.IPRangeMatch:
		return func(m *machine) truth {
			if v.HasSrc && between(m.pkt.Src, v.SrcMin, v.SrcMax) == v.InvSrc {
				return is(false)
			}
			return is(!v.HasDst || between(m.pkt.Dst, v.DstMin, v.DstMax) != v.InvDst)
		}
	case *fw.LengthMatch:
		return func(m *machine) truth {
			if m.pkt.Len == 0 {
				return unsure("the packet's length")
			}
			return is(m.pkt.Len >= int(v.Min) && m.pkt.Len <= int(v.Max)).xor(v.Invert)
		}
	case *fw.TTLMatch:
		return func(m *machine) truth {
			switch ttl := m.pkt.TTL; v.Op {
			case "eq":
				return is(ttl == v.Value)
			case "ne":
				return is(ttl != v.Value)
			case "lt":
				return is(ttl < v.Value)
			default:
				return is(ttl > v.Value)
			}
		}
	case *fw.DSCPMatch:
		return func(m *machine) truth { return is(m.pkt.TOS>>2 == v.DSCP).xor(v.Invert) }
	case *fw.TOSMatch:
		return func(m *machine) truth { return is(m.pkt.TOS&v.Mask == v.Value).xor(v.Invert) }
	case *fw.ECNMatch:
		return func(m *machine) truth { return ecn(m, v) }
	case *fw.PktTypeMatch:
		return func(m *machine) truth { return is(xtPktType(&m.pkt) == v.Type).xor(v.Invert) }
	case *fw.MACMatch:
		return func(m *machine) truth {
			switch _, known := parseMAC(m.pkt.SrcMAC); {
			case known:
				return is(m.pkt.SrcMAC == v.Addr).xor(v.Invert)
			case m.loopsBack() || m.pkt.Local != nil:
				return is(false) // there is no Ethernet header, inverted or not
			}
			return unsure("the sender's hardware address")
		}
	case *fw.PolicyMatch:
		return func(m *machine) truth {
			switch {
			case !m.pkt.IPsec || v.None:
				return is(v.None && !m.pkt.IPsec)
			case len(v.Elements) == 0 && !v.Strict:
				return is(true)
			}
			return unsure("the IPsec policy")
		}
	case *fw.IPVSMatch:
		return func(m *machine) truth {
			switch {
			case v.Test == 1:
				return is(m.pkt.IPVS).xor(v.Invert&1 != 0)
			case !m.pkt.IPVS:
				return is(false)
			}
			return unsure("the IPVS connection")
		}
	}
	return nil
}

// masked says whether a number, of which some bits are unknown, has a value
// under a mask.
func masked(v, unknown, want, mask uint32, what string) truth {
	switch {
	case (v^want)&mask&^unknown != 0 || want&^mask != 0:
		return is(false)
	case unknown&mask != 0:
		return unsure(what)
	}
	return is(true)
}

func between(a, lo, hi netip.Addr) bool {
	return a.Is4() == lo.Is4() && a.Compare(lo) >= 0 && a.Compare(hi) <= 0
}

// ecn is net/netfilter/xt_ecn.c.
func ecn(m *machine, v *fw.ECNMatch) truth {
	p := &m.pkt
	if v.HasIP && (p.TOS&3 == v.ECT) == v.InvIP {
		return is(false)
	}
	if !v.HasECE && !v.HasCWR {
		return is(true)
	}
	if p.Proto != snap.IPProtoTCP || p.Frag {
		return is(false)
	}
	return is((!v.HasECE || (p.TCPFlags&TCPECE != 0) != v.InvECE) && (!v.HasCWR || (p.TCPFlags&TCPCWR != 0) != v.InvCWR))
}

// xtPktType is the packet's type as pkttype sees it (net/netfilter/xt_pkttype.c).
func xtPktType(p *Packet) string {
	switch p.PktType {
	case "", "host":
		return "unicast"
	case "loopback":
		if p.Dst.IsMulticast() {
			return "multicast"
		}
		return "broadcast"
	}
	return p.PktType
}

// transportMatch compiles matches on the transport header.
func transportMatch(v any) matchFunc {
	switch v := v.(type) {
	case *fw.TCPMatch:
		return func(m *machine) truth { return tcp(&m.pkt, v) }
	case *fw.UDPMatch:
		return func(m *machine) truth {
			p := &m.pkt
			return is(!p.Frag && p.hasPorts() && inRange(p.Sport, v.Src) != v.InvSrc && inRange(p.Dport, v.Dst) != v.InvDst)
		}
	case *fw.SCTPMatch:
		return func(m *machine) truth {
			p := &m.pkt
			t := is(!p.Frag && p.Proto == snap.IPProtoSCTP &&
				(!v.HasSrc || inRange(p.Sport, v.Src) != v.InvSrc) && (!v.HasDst || inRange(p.Dport, v.Dst) != v.InvDst))
			if v.Chunks != "" {
				t = t.and(unsure("the SCTP chunks"))
			}
			return t
		}
	case *fw.DCCPMatch:
		return func(m *machine) truth {
			p := &m.pkt
			t := is(!p.Frag && p.Proto == snap.IPProtoDCCP &&
				(!v.HasSrc || inRange(p.Sport, v.Src) != v.InvSrc) && (!v.HasDst || inRange(p.Dport, v.Dst) != v.InvDst))
			if v.HasTypes || v.HasOption {
				t = t.and(unsure("the DCCP type and options"))
			}
			return t
		}
	case *fw.ICMPMatch:
		return func(m *machine) truth {
			p := &m.pkt
			if p.Frag || !snap.IsICMP(p.Proto) {
				return is(false)
			}
			return is(v.Any() || p.ICMPType == v.Type && p.ICMPCode >= v.CodeMin && p.ICMPCode <= v.CodeMax).xor(v.Invert)
		}
	case *fw.MultiportMatch:
		return func(m *machine) truth { return multiport(&m.pkt, v) }
	case *fw.SPIMatch:
		return func(m *machine) truth {
			switch {
			case m.pkt.Frag || m.pkt.Proto != snap.IPProtoESP && m.pkt.Proto != snap.IPProtoAH:
				return is(false)
			case v.Min == 0 && v.Max == ^uint32(0) && v.HdrLen == 0 && !v.Reserved:
				return is(!v.Invert)
			}
			return unsure("the security parameter index")
		}
	case *fw.TCPMSSMatch:
		return func(m *machine) truth {
			p := &m.pkt
			if p.Proto != snap.IPProtoTCP || p.Frag {
				return unsure("the maximum segment size")
			}
			if p.TCPFlags&TCPSYN == 0 || p.TCPMSS == 0 {
				return is(v.Invert)
			}
			return is(p.TCPMSS >= v.Min && p.TCPMSS <= v.Max).xor(v.Invert)
		}
	}
	return nil
}

//go:noinline
func inRange(p uint16, r fw.PortRange) bool { return p >= r.Min && p <= r.Max }

// tcp is net/netfilter/xt_tcpudp.c:tcp_mt.
func tcp(p *Packet, v *fw.TCPMatch) truth {
	if p.Frag || p.Proto != snap.IPProtoTCP {
		return is(false)
	}
	if inRange(p.Sport, v.Src) == v.InvSrc || inRange(p.Dport, v.Dst) == v.InvDst ||
		(p.TCPFlags&v.FlagMask == v.FlagCmp) == v.InvFlags {
		return is(false)
	}
	switch v.Option {
	case 0:
		return is(true)
	case tcpMSS:
		return is(p.TCPFlags&TCPSYN != 0 && p.TCPMSS != 0).xor(v.InvOption)
	}
	return unsure("a TCP option").xor(v.InvOption)
}

// multiport is net/netfilter/xt_multiport.c.
func multiport(p *Packet, v *fw.MultiportMatch) truth {
	if p.Frag || !p.hasPorts() {
		return is(false)
	}
	for _, r := range v.Ports {
		if v.Side != "destination" && inRange(p.Sport, r) || v.Side != "source" && inRange(p.Dport, r) {
			return is(!v.Invert)
		}
	}
	return is(v.Invert)
}

// deviceMatch compiles matches on devices.
func deviceMatch(v any) matchFunc {
	switch v := v.(type) {
	case *fw.PhysdevMatch:
		return func(m *machine) truth { return physdev(m, v) }
	case *fw.DevGroupMatch:
		return func(m *machine) truth {
			t := is(true)
			if v.HasSrc {
				t = m.inGroup(m.pkt.Iif, v.Src, v.SrcMask).xor(v.InvSrc)
			}
			if v.HasDst {
				t = t.and(m.inGroup(m.pkt.Oif, v.Dst, v.DstMask).xor(v.InvDst))
			}
			return t
		}
	}
	return nil
}

func (m *machine) inGroup(index int, group, mask uint32) truth {
	l := m.env.Link(index)
	if l == nil {
		return unsure("the group of a device that was not read")
	}
	return is((l.Group^group)&mask == 0)
}

// physdev is net/netfilter/xt_physdev.c. Without a bridge port on the way,
// what is tested fails unless it is inverted.
func physdev(m *machine, v *fw.PhysdevMatch) truth {
	p := &m.pkt
	if p.PhysIn == 0 && p.PhysOut == 0 && !p.PhysBridged {
		return is((!v.IsBridged || v.InvIsBridged) && (!v.IsIn || v.InvIsIn) && (!v.IsOut || v.InvIsOut) &&
			(v.In == "" || v.InvIn) && (v.Out == "" || v.InvOut))
	}
	out := p.PhysOut != 0 || p.PhysBridged
	if v.IsBridged && out == v.InvIsBridged || v.IsIn && (p.PhysIn != 0) == v.InvIsIn || v.IsOut && out == v.InvIsOut {
		return is(false)
	}
	t := is(true)
	if v.In != "" && p.PhysIn != 0 {
		t = m.onDev(v.In, p.PhysIn).xor(v.InvIn)
	}
	if v.Out != "" {
		if p.PhysOut == 0 {
			return is(false)
		}
		t = t.and(m.onDev(v.Out, p.PhysOut).xor(v.InvOut))
	}
	return t
}
