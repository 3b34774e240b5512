package sim

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// routed is the kernel's dst_entry: what the routing decision attached to a
// packet.
type routed struct {
	found
	// kind is "local", "unicast", "broadcast", "multicast", or "error" for one
	// whose use answers with an ICMP error (ip_error).
	kind string
	dev  *snap.Link // output device; lo for local ones
	gw   netip.Addr // of the nexthop; zero: on link
	src  netip.Addr // the source chosen, for local senders
	mtu  int        // of the route, 0 the device's
	pmtu int        // learned of the path, 0 nothing
	// redirected says that gw is a learned redirect's, unlearned the route's own.
	redirected bool
	unlearned  netip.Addr
	// reason and cause say why, when errno is set.
	reason string
	cause  Cause
	detail string
}

// nexthop is whom to ask for a MAC.
func (rt *routed) nexthop(dst netip.Addr) netip.Addr {
	if rt.gw.IsValid() {
		return rt.gw
	}
	return dst
}

func (rt *routed) fail(errno, reason string, cause Cause, detail string) *routed {
	rt.errno, rt.reason, rt.cause, rt.detail = errno, reason, cause, detail
	return rt
}

// noRoute says why a look-up gave nothing.
func (n *netns) noRoute(rt *routed, dst netip.Addr) *routed {
	switch {
	case rt.byRule:
		return rt.fail(rt.errno, rt.errno, CauseRejectRule, rt.text)
	case rt.route != nil:
		return rt.fail(rt.errno, rt.errno, CauseReject, rt.text)
	}
	return rt.fail("ENETUNREACH", "ENETUNREACH", CauseNoRoute, n.n.ID+" has no route to "+dst.String())
}

// routeOut is the routing decision for a local sender: ip_route_output_key_hash_rcu
// (net/ipv4/route.c) or ip6_route_output_flags. anySrc allows a source that is
// not ours (FLOWI_FLAG_ANYSRC). rt is an empty one to fill in. pick chooses among several nexthops.
func (n *netns) routeOut(rt *routed, q lookup, anySrc bool, pick func([]way, string) way) *routed {
	if q.dst.Is6() {
		return n.routeOut6(rt, q, anySrc, pick)
	}
	lo := n.loopback()
	if lo == nil {
		return rt.fail("ENETUNREACH", "ENETUNREACH", CauseNoRoute, n.n.ID+" has no loopback device")
	}
	if q.iif == 0 {
		q.iif = lo.Index
	}
	n.l3mdevOf(&q)
	if q.dst.IsUnspecified() {
		// No destination is this host: the source, or 127.0.0.1.
		if q.dst = q.src; !q.dst.IsValid() || q.dst.IsUnspecified() {
			q.dst = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
	}
	if q.src.IsValid() && q.src != netip.IPv4Unspecified() {
		if q.src.IsMulticast() || q.src == bcast4 || q.src.As4()[0] == 0 {
			return rt.fail("EINVAL", "EINVAL", CauseSelfSource, "source "+q.src.String()+" can't be used")
		}
		if !anySrc && !n.holds(q.src) && n.addrType(q.src, 0) != "local" {
			return rt.fail("EINVAL", "EINVAL", CauseSelfSource, n.n.ID+" has no address "+q.src.String())
		}
	} else {
		q.src = netip.Addr{}
	}
	var oifDev *snap.Link
	if q.oif != 0 {
		oifDev = n.links[q.oif]
		if oifDev == nil {
			return rt.fail("ENODEV", "ENODEV", CauseNoRoute, "no such device")
		}
		if !oifDev.Up {
			return rt.fail("ENETUNREACH", "ENETUNREACH", CauseLinkDown, oifDev.Name+" is down")
		}
	}
	q.sends = true
	rt.found = n.fib[snap.IPv4]().find(&q)
	if rt.errno != "" {
		if oifDev != nil && q.l3mdev == 0 {
			// A socket bound to a device takes the destination to be on its link.
			rt.found = found{typ: "unicast", ways: []way{{oif: oifDev.Index, weight: 1}}}
			rt.kind, rt.dev, rt.src = "unicast", oifDev, q.src
			if !rt.src.IsValid() {
				rt.src = n.selectAddr(oifDev, netip.Addr{}, scopeNo("link"))
			}
			return rt
		}
		return n.noRoute(rt, q.dst)
	}
	return n.makeOut(rt, q, lo, pick)
}

// makeOut is the end of ip_route_output_key_hash_rcu with __mkroute_output.
func (n *netns) makeOut(rt *routed, q lookup, lo *snap.Link, pick func([]way, string) way) *routed {
	rt.src = q.src
	if rt.typ == "local" {
		if !rt.src.IsValid() {
			rt.src = q.dst
			if rt.route.PrefSrc.IsValid() {
				rt.src = rt.route.PrefSrc
			}
		}
		rt.kind, rt.dev = "local", lo
		if vrf := n.vrfOf(n.links[rt.ways[0].oif]); vrf != nil {
			rt.dev = vrf
		}
		return rt
	}
	of := rt.text
	if rt.each != nil {
		of = "several default routes"
	}
	w := pick(rt.ways, of)
	if i := slices.Index(rt.ways, w); rt.each != nil && i >= 0 {
		rule := rt.rule
		rt.found = rt.each[i].decided(rt.ways)
		rt.rule = rule
	}
	rt.dev, rt.gw = n.links[w.oif], w.gw
	if rt.dev == nil {
		return rt.fail("ENETUNREACH", "ENETUNREACH", CauseNoRoute, "the route's device is not there: "+rt.text)
	}
	if rt.route.MTU > 0 {
		rt.mtu = rt.route.MTU
	}
	n.learn(rt, q.dst)
	if !rt.src.IsValid() {
		rt.src = rt.route.PrefSrc
		if !rt.src.IsValid() {
			gw := w.gw
			if gw.IsValid() && !gw.Is4() {
				gw = netip.Addr{}
			}
			rt.src = n.selectAddr(rt.dev, gw, scopeNo(rt.route.Scope))
		}
	}
	if rt.src.IsValid() && rt.src.IsLoopback() && !rt.dev.Loopback && rt.dev.VRF == nil && !n.confOr(rt.dev, "route_localnet") {
		return rt.fail("EINVAL", "EINVAL", CauseMartian, "a packet from "+rt.src.String()+" can't leave by "+rt.dev.Name+" (route_localnet=0)")
	}
	switch {
	case q.dst == bcast4 || rt.typ == "broadcast":
		rt.kind = "broadcast"
	case q.dst.IsMulticast():
		rt.kind = "multicast"
	case q.dst.As4()[0] == 0:
		return rt.fail("EINVAL", "EINVAL", CauseMartian, q.dst.String()+" is no destination")
	default:
		rt.kind = "unicast"
	}
	return rt
}

// l3mdevOf sets the VRF of a look-up (l3mdev_update_flow, net/l3mdev/l3mdev.c).
func (n *netns) l3mdevOf(q *lookup) {
	for _, i := range []int{q.oif, q.iif} {
		if vrf := n.vrfOf(n.links[i]); vrf != nil {
			q.l3mdev = vrf.Index
			if q.oif == vrf.Index {
				q.oif = 0
			}
			return
		}
	}
}

// routeOut6 is ip6_route_output_flags with ip6_dst_lookup_tail's choice of a
// source.
func (n *netns) routeOut6(rt *routed, q lookup, anySrc bool, pick func([]way, string) way) *routed {
	lo := n.loopback()
	if lo == nil {
		return rt.fail("ENETUNREACH", "ENETUNREACH", CauseNoRoute, n.n.ID+" has no loopback device")
	}
	if n.confAll(snap.IPv6, "disable_ipv6") != 0 && !n.any6() {
		return rt.fail("EADDRNOTAVAIL", "EADDRNOTAVAIL", CauseIPv6Off, "disable_ipv6=1 in "+n.n.ID)
	}
	if q.iif == 0 {
		q.iif = lo.Index
	}
	n.l3mdevOf(&q)
	if q.src.IsValid() && q.src.IsUnspecified() {
		q.src = netip.Addr{}
	}
	if q.src.IsValid() && !anySrc && !n.holds(q.src) && n.addrType(q.src, 0) != "local" {
		return rt.fail("EADDRNOTAVAIL", "EADDRNOTAVAIL", CauseSelfSource, n.n.ID+" has no address "+q.src.String())
	}
	q.alive = n.confAll(snap.IPv6, "forwarding") == 0              // ip6_pol_route
	q.strict = needStrict(q.dst) || q.oif != 0 && !q.src.IsValid() // ip6_route_output_flags_noref
	if q.oif != 0 {
		q.near = q.oif
	}
	rt.found = n.fib[snap.IPv6]().find(&q)
	if rt.errno != "" {
		return n.noRoute(rt, q.dst)
	}
	w := pick(rt.ways, rt.text)
	rt.dev, rt.gw, rt.src = n.links[w.oif], w.gw, q.src
	if rt.dev == nil {
		return rt.fail("ENETUNREACH", "ENETUNREACH", CauseNoRoute, "the route's device is not there: "+rt.text)
	}
	if n.conf(snap.IPv6, rt.dev, "disable_ipv6") != 0 {
		return rt.fail("ENETUNREACH", "ENETUNREACH", CauseIPv6Off, "disable_ipv6=1 on "+rt.dev.Name)
	}
	rt.mtu = rt.route.MTU
	n.learn(rt, q.dst)
	if !rt.src.IsValid() {
		if rt.src = rt.route.PrefSrc; !rt.src.IsValid() {
			rt.src = n.selectAddr6(rt.dev, q.dst)
		}
		if !rt.src.IsValid() {
			return rt.fail("EADDRNOTAVAIL", "EADDRNOTAVAIL", CauseSelfSource, n.n.ID+" has no IPv6 address to send from by "+rt.dev.Name)
		}
	}
	switch {
	case q.dst.IsMulticast():
		rt.kind = "multicast"
	case rt.typ == "local" || rt.typ == "anycast":
		rt.kind, rt.dev = "local", lo
	default:
		rt.kind = "unicast"
	}
	return rt
}

// any6 says whether the namespace has an IPv6 address at all.
func (n *netns) any6() bool {
	for i := range n.n.Addrs {
		if n.n.Addrs[i].Prefix.Addr().Is6() {
			return true
		}
	}
	return false
}
