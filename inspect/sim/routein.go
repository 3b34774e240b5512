package sim

import (
	"fmt"
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// routeIn is the routing decision for a packet that came in by dev:
// ip_route_input_slow (net/ipv4/route.c). rt is an empty one to fill in. A martian has errno set and kind "";
// what ip_error will answer has kind "error".
func (n *netns) routeIn(rt *routed, q lookup, dev *snap.Link, pick func([]way, string) way) *routed {
	if q.dst.Is6() {
		return n.routeIn6(rt, q, dev, pick)
	}
	lo := n.loopback()
	q.iif, q.oif = dev.Index, 0
	if vrf := n.vrfOf(dev); vrf != nil {
		q.l3mdev, q.iif = vrf.Index, vrf.Index
	}
	broadcast := q.dst == bcast4 || q.src == netip.IPv4Unspecified() && q.dst == netip.IPv4Unspecified()
	if n.martian(rt, q, dev, broadcast) {
		return rt
	}
	if broadcast {
		return n.broadcastIn(rt, q, dev, lo)
	}
	if q.dst.IsMulticast() { // ip_route_input_mc
		rt.kind, rt.dev = "multicast", dev
		return rt
	}
	fwd, known := n.forwarding(dev)
	if !known {
		return rt.fail("", "", CauseUnread, "whether "+dev.Name+" of "+n.n.ID+" forwards was not read")
	}
	rt.found = n.fib[snap.IPv4]().find(&q)
	switch {
	case rt.errno != "" && !fwd:
		return n.inError(rt.fail("EHOSTUNREACH", "IP_INADDRERRORS", CauseForwardingOff, n.forwardingText(dev, q.dst)))
	case rt.errno != "":
		rt = n.noRoute(rt, q.dst)
		if rt.reason = "NOT_SPECIFIED"; rt.errno == "ENETUNREACH" {
			rt.reason = "IP_INNOROUTES"
		}
		return n.inError(rt)
	case rt.typ == "broadcast":
		return n.broadcastIn(rt, q, dev, lo)
	case rt.typ == "local":
		if bad := n.validSource(q, dev, 0); bad != nil {
			return bad
		}
		rt.kind, rt.dev = "local", lo
		return rt
	case !fwd:
		return n.inError(rt.fail("EHOSTUNREACH", "IP_INADDRERRORS", CauseForwardingOff, n.forwardingText(dev, q.dst)))
	case rt.typ != "unicast":
		return rt.fail("EINVAL", "IP_INVALID_DEST", CauseMartian, q.dst.String()+" is "+rt.typ)
	}
	w := pick(rt.ways, rt.text)
	rt.dev, rt.gw, rt.mtu = n.links[w.oif], w.gw, rt.route.MTU
	if rt.dev == nil {
		return rt.fail("EINVAL", "NOT_SPECIFIED", CauseNoRoute, "the route's device is not there: "+rt.text)
	}
	if bad := n.validSource(q, dev, rt.dev.Index); bad != nil {
		return bad
	}
	n.learn(rt, q.dst)
	rt.kind = "unicast"
	return rt
}

// martian refuses addresses that no packet may have; rt says why.
func (n *netns) martian(rt *routed, q lookup, dev *snap.Link, broadcast bool) bool {
	switch {
	case q.src.IsMulticast() || q.src == bcast4 || zero4(q.src) && !broadcast:
		rt.fail("EINVAL", "IP_INVALID_SOURCE", CauseMartian, "no packet may come from "+q.src.String()+" on "+dev.Name)
	case broadcast:
		return false
	case zero4(q.dst):
		rt.fail("EINVAL", "IP_INVALID_DEST", CauseMartian, q.dst.String()+" is no destination")
	case n.confOr(dev, "route_localnet"):
		return false
	case q.dst.IsLoopback():
		rt.fail("EINVAL", "IP_LOCALNET", CauseMartian, q.dst.String()+" must not come in by "+dev.Name+" (route_localnet=0)")
	case q.src.IsLoopback():
		rt.fail("EINVAL", "IP_LOCALNET", CauseMartian, "a packet from "+q.src.String()+" must not come in by "+dev.Name+" (route_localnet=0)")
	default:
		return false
	}
	return true
}

// inError makes the route whose use sends an ICMP error (ip_error).
func (n *netns) inError(rt *routed) *routed {
	rt.kind, rt.dev = "error", n.loopback()
	return rt
}

func (n *netns) broadcastIn(rt *routed, q lookup, dev, lo *snap.Link) *routed {
	if !zero4(q.src) {
		q.dst = netip.IPv4Unspecified()
		if bad := n.validSource(q, dev, 0); bad != nil {
			return bad
		}
	}
	rt.kind, rt.dev = "broadcast", lo
	return rt
}

func zero4(a netip.Addr) bool { return a.Is4() && a.As4()[0] == 0 }

// forwarding is IN_DEV_FORWARD: the device's own switch; known is false when
// neither it nor ip_forward was read.
func (n *netns) forwarding(dev *snap.Link) (on, known bool) {
	for _, k := range []string{"net/ipv4/conf/" + dev.Name + "/forwarding", "net/ipv4/conf/default/forwarding", "net/ipv4/ip_forward"} {
		if _, ok := n.n.Sysctls[k]; ok {
			return n.sysctl(k, 0) != 0, true
		}
	}
	return false, len(n.n.Sysctls) > 0
}

// forwardingText is why a packet to an address that is not its own goes no
// further.
func (n *netns) forwardingText(dev *snap.Link, to netip.Addr) string {
	text := "forwarding=0 on " + dev.Name
	if n.sysctl("net/ipv4/ip_forward", 1) == 0 {
		text = "ip_forward=0 in " + n.n.ID
	}
	return n.astray(text, to)
}

// astray adds to why a namespace forwards nothing that the packet's address is
// not its own. On the host nobody would take it for that.
func (n *netns) astray(text string, to netip.Addr) string {
	if n.n.ID == n.w.snap.Host.Netns {
		return text
	}
	return n.n.ID + " has no address " + to.String() + " and forwards nothing (" + text + ")"
}

// validSource is fib_validate_source (net/ipv4/fib_frontend.c): nil when the
// source may come in by dev. oif is the output device, 0 for local delivery.
func (n *netns) validSource(q lookup, dev *snap.Link, oif int) *routed {
	f := n.fib[snap.IPv4]()
	rpf := n.confMax(dev, "rp_filter")
	acceptLocal := n.confOr(dev, "accept_local")
	if rpf == 0 && (dev.Index != oif || !n.confOr(dev, "send_redirects")) {
		if acceptLocal {
			return nil
		}
		if !f.customLocal && !f.custom {
			if n.holds(q.src) {
				return n.localSource(q.src, dev)
			}
			return nil
		}
	}
	b := n.wayBack(q, dev, oif)
	rpFail := func(back string) *routed {
		return (&routed{}).fail("EINVAL", "IP_RPFILTER", CauseRPFilter, fmt.Sprintf("rp_filter=%d on %s: %s", rpf, dev.Name, back))
	}
	res := f.find(&b)
	if res.errno != "" {
		if rpf != 0 {
			return rpFail("there is no way back to " + q.src.String())
		}
		return nil
	}
	if res.typ != "unicast" {
		if res.typ != "local" {
			return (&routed{}).fail("EINVAL", "IP_INVALID_SOURCE", CauseMartian, q.src.String()+" is "+res.typ)
		}
		if !acceptLocal {
			return n.localSource(q.src, dev)
		}
	}
	vrf := n.vrfOf(dev)
	for _, w := range res.ways {
		if w.oif == dev.Index || vrf != nil && vrf == n.vrfOf(n.links[w.oif]) || res.typ == "local" && dev.Loopback {
			return nil
		}
	}
	back := "the way back to " + q.src.String() + " is " + n.devName(res.ways[0].oif)
	// In loose mode a second look-up by the device follows, which never refuses; without an
	// address on the device there is none.
	if rpf == 1 || rpf != 0 && len(n.addr4(dev)) == 0 {
		return rpFail(back)
	}
	return nil
}

// wayBack is the question that the source is checked by: where would an answer go?
func (n *netns) wayBack(q lookup, dev *snap.Link, oif int) lookup {
	b := lookup{dst: q.src, src: q.dst, tos: q.tos, iif: oif}
	if b.iif == 0 {
		if lo := n.loopback(); lo != nil {
			b.iif = lo.Index
		}
	}
	if vrf := n.vrfOf(dev); vrf != nil {
		b.l3mdev, b.iif = vrf.Index, vrf.Index
	}
	if n.confOr(dev, "src_valid_mark") {
		b.mark = q.mark
	}
	if n.fib[snap.IPv4]().dissect {
		b.proto, b.sport, b.dport = q.proto, q.dport, q.sport
	}
	return b
}

func (n *netns) localSource(src netip.Addr, dev *snap.Link) *routed {
	return (&routed{}).fail("EINVAL", "IP_LOCAL_SOURCE", CauseMartian, src.String()+" is an address of "+n.n.ID+" itself, and comes in by "+dev.Name+" (accept_local=0)")
}

// addr4 are the indices of a device's IPv4 addresses.
func (n *netns) addr4(dev *snap.Link) []int {
	var out []int
	for _, i := range n.addrOf[dev.Index] {
		if n.n.Addrs[i].Prefix.Addr().Is4() {
			out = append(out, i)
		}
	}
	return out
}

func (n *netns) devName(i int) string {
	if l := n.links[i]; l != nil {
		return l.Name
	}
	return fmt.Sprintf("device %d", i)
}

// routeIn6 is ip6_route_input (net/ipv6/route.c).
func (n *netns) routeIn6(rt *routed, q lookup, dev *snap.Link, pick func([]way, string) way) *routed {
	q.iif, q.oif = dev.Index, 0
	if vrf := n.vrfOf(dev); vrf != nil {
		q.l3mdev, q.iif = vrf.Index, vrf.Index
	}
	if q.dst.IsMulticast() {
		rt.kind, rt.dev = "multicast", dev
		return rt
	}
	q.near, q.strict, q.alive = dev.Index, needStrict(q.dst), n.confAll(snap.IPv6, "forwarding") == 0
	rt.found = n.fib[snap.IPv6]().find(&q)
	if rt.errno != "" {
		rt = n.noRoute(rt, q.dst)
		if rt.reason = "NOT_SPECIFIED"; rt.errno == "ENETUNREACH" {
			rt.reason = "IP_INNOROUTES"
		}
		return n.inError(rt)
	}
	if rt.typ == "local" || rt.typ == "anycast" {
		rt.kind, rt.dev = "local", n.loopback()
		return rt
	}
	w := pick(rt.ways, rt.text)
	rt.dev, rt.gw, rt.mtu = n.links[w.oif], w.gw, rt.route.MTU
	if rt.dev == nil {
		return rt.fail("EINVAL", "NOT_SPECIFIED", CauseNoRoute, "the route's device is not there: "+rt.text)
	}
	n.learn(rt, q.dst)
	rt.kind = "unicast"
	return rt
}

// needStrict is rt6_need_strict: destinations that count on one device only.
func needStrict(dst netip.Addr) bool {
	return dst.IsMulticast() || dst.IsLinkLocalUnicast() || dst.IsLoopback()
}
