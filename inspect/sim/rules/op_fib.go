package rules

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// fibOp asks the routing table (net/ipv4/netfilter/nft_fib_ipv4.c and its twin
// for IPv6).
type fibOp struct {
	*snap.Fib
	daddr, mark, iif, oif, present bool
}

func newFibOp(e *snap.Fib) fibOp {
	has := func(f string) bool { return slices.Contains(e.Flags, f) }
	return fibOp{Fib: e, daddr: has("daddr"), mark: has("mark"), iif: has("iif"), oif: has("oif"), present: has("present")}
}

func (o fibOp) exec(m *machine) ctl {
	p := &m.pkt
	if !p.isIP() {
		return leave // nft_fib_netdev.c, nft_fib_inet.c: neither IPv4 nor IPv6
	}
	addr, other := p.Src, p.Dst
	if o.daddr {
		addr, other = other, addr
	}
	dev := 0
	switch {
	case o.iif && o.Result == "type", o.iif && !o.oif:
		dev = p.Iif
	case o.oif:
		dev = p.Oif
	}
	if o.Result == "type" {
		n, ok := routeType(m.env.AddrType(addr, dev))
		if !ok {
			m.forget(o.Dreg, 4, "fib type of "+addr.String())
			return goOn
		}
		m.store32(o.Dreg, n)
		return goOn
	}
	hook := m.base.Chain.Hook
	if hook == "prerouting" && m.loopsBack() || special(p) {
		return o.result(m, p.Iif)
	}
	q := FIBQuery{Dst: addr, Src: lookupSource(other), Proto: p.Proto, TOS: p.TOS, Oif: dev}
	if o.mark {
		if p.MarkUnknown != 0 {
			m.forget(o.Dreg, 16, "fib with a mark that is not known")
			return goOn
		}
		q.Mark = p.Mark
	}
	if !o.daddr && hook == "forward" && o.iif {
		q.Iif = p.Oif
	}
	oif, typ, ok := m.env.FIB(q)
	if !ok || typ != "unicast" || dev != 0 && oif != dev {
		oif = 0
	}
	return o.result(m, oif)
}

// result stores the device, its name, or whether there is one
// (net/netfilter/nft_fib.c:nft_fib_store_result).
func (o fibOp) result(m *machine, oif int) ctl {
	switch {
	case o.present:
		m.store32(o.Dreg, uint32(bit16(oif != 0, 1)))
	case o.Result == "oif":
		m.store32(o.Dreg, uint32(oif))
	default:
		var b [16]byte
		if oif != 0 {
			l := m.env.Link(oif)
			if l == nil {
				m.forget(o.Dreg, 16, "name of a device that was not read")
				return goOn
			}
			copy(b[:15], l.Name)
		}
		m.store(o.Dreg, b[:])
	}
	return goOn
}

// loopsBack says whether the packet came by a loopback device.
func (m *machine) loopsBack() bool {
	l := m.env.Link(m.pkt.Iif)
	return m.pkt.Iif != 0 && l != nil && (l.Loopback || l.Kind == "loopback")
}

// special are packets from 0.0.0.0 to everyone on the link, such as DHCP's,
// and IPv6 ones that no look-up is made for.
func special(p *Packet) bool {
	if p.Family == snap.IPv4 {
		return p.Src.IsUnspecified() && (isBroadcast(p.Dst) || p.Dst.IsLinkLocalMulticast())
	}
	return p.Src.IsUnspecified() && p.Proto == snap.IPProtoICMPv6
}

func isBroadcast(a netip.Addr) bool { return a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) }

// lookupSource is the source of a look-up the other way round: none for what
// can't be a source (get_saddr in nft_fib_ipv4.c).
func lookupSource(a netip.Addr) netip.Addr {
	if a.IsMulticast() || a.IsUnspecified() || isBroadcast(a) {
		return netip.Addr{}
	}
	return a
}

// routeType is the number of a route type (RTN_*, include/uapi/linux/rtnetlink.h).
func routeType(name string) (uint32, bool) {
	n := slices.Index([]string{
		"unspec", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit", "throw", "nat",
	}, name)
	return uint32(n), n >= 0
}

// rtOp reads from the packet's route (net/netfilter/nft_rt.c).
type rtOp struct{ *snap.Rt }

func (o rtOp) exec(m *machine) ctl {
	hook := m.base.Chain.Hook
	if hook == "prerouting" || hook == "ingress" {
		return leave // there is no route yet
	}
	switch {
	case o.Key == "nexthop4" && m.nfproto() != 2, o.Key == "nexthop6" && m.nfproto() != 10:
		return leave
	case o.Key == "xfrm":
		m.store8(o.Dreg, byte(bit16(m.pkt.IPsec, 1)))
		return goOn
	case o.Key == "tcpmss":
		// The route's own limit is not known, the device's is an upper bound.
		if l := m.env.Link(m.pkt.Oif); m.pkt.Oif != 0 && l != nil && l.MTU > 60 {
			mss := l.MTU - 40
			if m.pkt.Family == snap.IPv6 {
				mss -= 20
			}
			m.store(o.Dreg, []byte{byte(mss), byte(mss >> 8)})
			return goOn
		}
	}
	n := 4
	if o.Key == "nexthop6" {
		n = 16
	}
	m.forget(o.Dreg, n, "rt "+o.Key)
	return goOn
}

// socketOp reads from the local socket that would take the packet
// (net/netfilter/nft_socket.c).
type socketOp struct{ *snap.SocketExpr }

func (o socketOp) exec(m *machine) ctl {
	found, known := m.env.Socket(&m.pkt, false)
	switch {
	case known && !found:
		return leave
	case !known:
		m.forget(o.Dreg, 8, "socket "+o.Key)
		return m.ask(unsure("whether a local socket takes the packet"))
	case o.Key == "transparent":
		if t, ok := m.env.Socket(&m.pkt, true); ok {
			m.store8(o.Dreg, byte(bit16(t, 1)))
			return goOn
		}
	}
	m.forget(o.Dreg, 8, "socket "+o.Key)
	return goOn
}
