package rules

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// mapped ends the machine with a mapping: NAT rules accept
// (net/netfilter/nf_nat_core.c:nf_nat_setup_info).
func (m *machine) mapped(n NAT) ctl {
	n.Place = &m.rule().place
	return m.finish(ending{Verdict: "accept", NAT: &n})
}

// port reads a port from a register; ok is false when it is not known.
func (m *machine) port(reg int) (port uint16, ok bool) {
	b, ok := m.loadKnown(reg, 2)
	if !ok {
		return 0, false
	}
	return be16(b), true
}

// ports reads a range of ports from two registers, of which the second may be
// missing.
func (m *machine) ports(lo, hi int) (from, to uint16, ok bool) {
	if lo == snap.NoReg {
		return 0, 0, true
	}
	if from, ok = m.port(lo); !ok {
		return 0, 0, false
	}
	if to = from; hi != snap.NoReg {
		to, ok = m.port(hi)
	}
	return from, to, ok
}

// addr reads an address of the packet's family from a register.
func (m *machine) addr(reg int) (netip.Addr, bool) {
	n := 4
	if m.pkt.Family == snap.IPv6 {
		n = 16
	}
	b, ok := m.loadKnown(reg, n)
	if !ok {
		return netip.Addr{}, false
	}
	return addrOf(b), true
}

func shuffled(flags []string) bool {
	return slices.Contains(flags, "random") || slices.Contains(flags, "fully-random")
}

// natOp is nft's snat and dnat (net/netfilter/nft_nat.c).
type natOp struct{ *snap.Nat }

func (o natOp) exec(m *machine) ctl {
	if o.Family != snap.Inet && o.Family != "" && o.Family != m.pkt.Family {
		return goOn // nft_nat_inet_eval: of the other family
	}
	n := NAT{Kind: o.Type, Src: o.Type == "snat", Random: shuffled(o.Flags)}
	var ok bool
	if o.AddrMin != snap.NoReg {
		if n.AddrMin, ok = m.addr(o.AddrMin); !ok {
			return m.unknown(o.Type + " to " + m.whyReg(o.AddrMin, 4))
		}
		n.AddrMax = n.AddrMin
		if o.AddrMax != snap.NoReg {
			if n.AddrMax, ok = m.addr(o.AddrMax); !ok {
				return m.unknown(o.Type + " to " + m.whyReg(o.AddrMax, 4))
			}
		}
	}
	if n.PortMin, n.PortMax, ok = m.ports(o.ProtoMin, o.ProtoMax); !ok {
		return m.unknown(o.Type + " to a port from " + m.whyReg(o.ProtoMin, 2))
	}
	if slices.Contains(o.Flags, "netmap") && n.AddrMin.IsValid() {
		m.netmap(&n)
	}
	return m.mapped(n)
}

// netmap replaces the network part of the packet's address by that of a range
// (net/netfilter/nft_nat.c:nft_nat_setup_netmap, net/netfilter/xt_NETMAP.c).
func (m *machine) netmap(n *NAT) {
	old := m.pkt.Dst
	if n.Src {
		old = m.pkt.Src
	}
	lo, hi, b := n.AddrMin.AsSlice(), n.AddrMax.AsSlice(), old.AsSlice()
	if len(lo) != len(b) || len(hi) != len(b) {
		return
	}
	bits := 0
	for i := range b {
		mask := ^(lo[i] ^ hi[i])
		b[i] = b[i]&^mask | lo[i]&mask
		for x := mask; x&0x80 != 0; x <<= 1 {
			bits++
		}
	}
	n.Kind = "netmap"
	n.Prefix = netip.PrefixFrom(n.AddrMin, bits).Masked()
	n.AddrMin = addrOf(b)
	n.AddrMax = n.AddrMin
}

// masqOp is nft's masquerade (net/netfilter/nft_masq.c).
type masqOp struct{ *snap.Masq }

func (o masqOp) exec(m *machine) ctl {
	from, to, ok := m.ports(o.ProtoMin, o.ProtoMax)
	if !ok {
		return m.unknown("masquerade to a port from " + m.whyReg(o.ProtoMin, 2))
	}
	return m.mapped(NAT{Kind: "masquerade", Src: true, PortMin: from, PortMax: to, Random: shuffled(o.Flags)})
}

// redirOp is nft's redirect (net/netfilter/nft_redir.c).
type redirOp struct{ *snap.Redir }

func (o redirOp) exec(m *machine) ctl {
	from, to, ok := m.ports(o.ProtoMin, o.ProtoMax)
	if !ok {
		return m.unknown("redirect to a port from " + m.whyReg(o.ProtoMin, 2))
	}
	return m.mapped(NAT{Kind: "redirect", PortMin: from, PortMax: to, Random: shuffled(o.Flags)})
}

// tproxyOp is nft's tproxy (net/netfilter/nft_tproxy.c): it needs a
// transparent socket at the target.
type tproxyOp struct{ *snap.Tproxy }

func (o tproxyOp) exec(m *machine) ctl {
	if o.Family != snap.Inet && o.Family != "" && o.Family != m.pkt.Family {
		return leave
	}
	var addr netip.Addr
	var port uint16
	var ok bool
	if o.Addr != snap.NoReg {
		if addr, ok = m.addr(o.Addr); !ok {
			return m.unknown("tproxy to " + m.whyReg(o.Addr, 4))
		}
	}
	if o.Port != snap.NoReg {
		if port, ok = m.port(o.Port); !ok {
			return m.unknown("tproxy to a port from " + m.whyReg(o.Port, 2))
		}
	}
	t := m.tproxyTo(addr, port)
	return m.askThen(t, goOn, leave, func(m *machine) { m.tproxy.addr = m.tproxyAddr(addr, port) })
}

// tproxyAddr is where a packet is handed to: without an address the first of the
// device it came by, and without that its own (net/ipv4/netfilter/nf_tproxy_ipv4.c:
// nf_tproxy_laddr4).
func (m *machine) tproxyAddr(addr netip.Addr, port uint16) netip.AddrPort {
	if !addr.IsValid() || addr.IsUnspecified() {
		if addr = m.env.DeviceAddr(m.pkt.Iif, m.pkt.Family); !addr.IsValid() {
			addr = m.pkt.Dst
		}
	}
	if port == 0 {
		port = m.pkt.Dport
	}
	return netip.AddrPortFrom(addr, port)
}

// tproxyTo says whether a transparent socket is there to take the packet.
func (m *machine) tproxyTo(addr netip.Addr, port uint16) truth {
	if m.pkt.Proto != snap.IPProtoTCP && m.pkt.Proto != snap.IPProtoUDP || m.pkt.Frag {
		return is(false)
	}
	p := m.pkt
	to := m.tproxyAddr(addr, port)
	p.Dst, p.Dport = to.Addr(), to.Port()
	found, known := m.env.Socket(&p, true)
	if !known {
		return unsure("whether a transparent socket listens at " + to.String())
	}
	return is(found)
}

// askThen decides a condition and acts when it holds.
func (m *machine) askThen(t truth, holds, fails ctl, act func(*machine)) ctl {
	switch c := m.ask(t); c {
	case goOn:
		act(m)
		return holds
	case leave:
		return fails
	case split:
		m.alts[0].ctl, m.alts[0].set = holds, act
		m.alts[1].ctl = fails
		return split
	default:
		return c
	}
}
