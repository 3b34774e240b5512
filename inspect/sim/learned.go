package sim

import (
	"fmt"
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// learnedOf is the exception for a destination that modifies the route; nil when
// there is none (find_exception in net/ipv4/route.c, rt6_find_cached_rt in
// net/ipv6/route.c).
func (n *netns) learnedOf(rt *routed, dst netip.Addr) *snap.RouteException {
	for _, i := range n.learned[dst] {
		e := &n.n.Learned[i]
		if e.Table == rt.table && rt.dev != nil && (e.Oif == rt.dev.Index || e.Oif == 0) {
			return e
		}
	}
	return nil
}

// learn applies what the kernel has learned about the destination: a redirect
// to another gateway, a smaller MTU of the path.
func (n *netns) learn(rt *routed, dst netip.Addr) {
	e := n.learnedOf(rt, dst)
	if e == nil {
		return
	}
	// A redirect changes only a route by the router that sent it (net/ipv4/route.c:
	// __ip_do_redirect; net/ipv6/route.c: __ip6_route_redirect): one that is left over from
	// another route says nothing of a destination on the link. What is learned of that
	// names the destination itself as gateway (rt_bind_exception).
	if e.Gateway.IsValid() && !rt.gw.IsValid() {
		if e.Gateway == dst {
			rt.pmtu = e.MTU
		}
		return
	}
	// An IPv6 redirect to the destination itself leaves no gateway; what else is
	// learned keeps the route's own (net/ipv6/route.c:rt6_do_redirect).
	if e.Family == snap.IPv6 && !e.Gateway.IsValid() && rt.gw.IsValid() {
		rt.unlearned, rt.redirected = rt.gw, true
		n.goBy(rt, netip.Addr{})
	}
	if e.Gateway.IsValid() && e.Gateway != rt.gw {
		rt.unlearned, rt.redirected = rt.gw, true
		n.goBy(rt, e.Gateway)
	}
	rt.pmtu = e.MTU
}

// goBy is a route after a redirect; without a gateway its destination is on
// the link.
func (n *netns) goBy(rt *routed, gw netip.Addr) {
	rt.gw, rt.ways = gw, []way{{rt.dev.Index, gw, 1}}
	way := "straight to its neighbour"
	if gw.IsValid() {
		way = "by " + gw.String()
	}
	rt.text += " (an ICMP redirect taught " + n.n.ID + " to go " + way + ")"
}

// remember is what of the learned redirects this walk goes by.
func (r *run) remember(n *netns, rt *routed, dst netip.Addr) {
	if rt.errno != "" || rt.kind != "unicast" {
		return
	}
	if rt.redirected && r.how.forget {
		rt.gw, rt.ways = rt.unlearned, []way{{rt.dev.Index, rt.unlearned, 1}}
		return
	}
	if rt.redirected {
		r.remembers = "an ICMP redirect"
	}
	if r.how.forget {
		rt.pmtu = 0
	}
	if gw, ok := r.how.taught[runNeigh{n, rt.dev.Index, dst}]; ok && gw != rt.gw {
		n.goBy(rt, gw)
	}
}

// redirect notes the ICMP redirect that forwarding gives rise to when a packet
// leaves by the device that it came in by (__mkroute_input, ip_forward in
// net/ipv4), and that its sender would take (__ip_do_redirect). Those about
// mapped connections are dropped (nf_nat_icmp_reply_translation). Its rate and
// what the sender knows of the new gateway can't be known: it is a possibility.
func (r *run) redirect(n *netns, dev *snap.Link, k *skb) {
	o, ort, rt := r.origin, r.originRoute, k.route
	if r.quiet > 0 || rt.dev != dev || k.conn != nil && (k.conn.snat || k.conn.dnat) || !n.sendsRedirects(dev, rt, k.Family) {
		return
	}
	if o == nil || o == n || !o.holds(k.Src) || !ort.gw.IsValid() || !n.holds(ort.gw) || !o.takesRedirects(ort.dev, k.Family) {
		return
	}
	// The message comes from the router's first link-local address, and counts
	// for routes by that one alone (net/ipv6/route.c:ip6_redirect_nh_match). A
	// TCP socket that is not in use just then gives it to its route without a
	// look at who sent it (net/ipv6/tcp_ipv6.c:tcp_v6_err).
	if k.Family == snap.IPv6 && k.Proto != snap.IPProtoTCP && ort.gw != n.firstLinkLocal(dev) {
		return
	}
	if r.redirects == nil {
		r.redirects = map[runNeigh]netip.Addr{}
	}
	r.redirects[runNeigh{o, ort.dev.Index, k.Dst}] = rt.nexthop(k.Dst)
	r.teacher = n.n.ID
}

// sendsRedirects says whether a router tells of a better way on the device.
// IPv6 has no switch for it, but tells only of the destination itself or of a
// router by its link-local address (net/ipv6/ndisc.c:ndisc_send_redirect).
func (n *netns) sendsRedirects(dev *snap.Link, rt *routed, fam snap.Family) bool {
	if fam == snap.IPv6 {
		return !rt.gw.IsValid() || rt.gw.IsLinkLocalUnicast()
	}
	return n.confOr(dev, "send_redirects")
}

// firstLinkLocal is the link-local address that a device has had for longest
// (net/ipv6/addrconf.c:__ipv6_get_lladdr), the last of a dump.
func (n *netns) firstLinkLocal(dev *snap.Link) (ip netip.Addr) {
	for _, i := range n.addrOf[dev.Index] {
		if a := &n.n.Addrs[i]; a.Prefix.Addr().Is6() && a.Prefix.Addr().IsLinkLocalUnicast() && addrUsable(a) {
			ip = a.Prefix.Addr()
		}
	}
	return ip
}

// takesRedirects is IN_DEV_RX_REDIRECTS (include/linux/inetdevice.h), or
// rt6_do_redirect (net/ipv6/route.c).
func (n *netns) takesRedirects(dev *snap.Link, fam snap.Family) bool {
	if fam == snap.IPv6 {
		return n.conf(fam, dev, "accept_redirects") != 0 && n.conf(fam, dev, "forwarding") == 0
	}
	all, own := n.confAll(snap.IPv4, "accept_redirects") != 0, n.conf(snap.IPv4, dev, "accept_redirects") != 0
	if fwd, _ := n.forwarding(dev); fwd {
		return all && own
	}
	return all || own
}

// redirected makes an outcome that hangs on an ICMP redirect, learned or about
// to be, or on the path MTU that a sender remembers, a matter of state: what
// was learned is forgotten within minutes.
func (w *World) redirected(t *Trace, f Flow, first met) {
	var other *Trace
	var here, there rules.Assumption
	switch {
	case first.remembers != "":
		other, _ = w.walk(f, ways{conns: true, forget: true})
		here.What = first.remembers + " is remembered, for minutes"
	case t.Verdict == Dropped && len(first.redirects) > 0:
		other, _ = w.walk(f, ways{conns: true, taught: first.redirects})
		here.What = "no ICMP redirect of " + first.teacher + " was taken yet; this packet may cause one"
	}
	if other == nil || other.Verdict == t.Verdict || other.Verdict == Unknown || t.Verdict == Unknown {
		return
	}
	here.Key, here.Value, here.StateDependent, here.Chance = "redirect", true, true, 1
	there = here
	if there.Value = false; first.remembers == "" {
		there.What = "not an ICMP redirect of " + first.teacher + " was taken before"
	}
	t.Branches = []BranchOutcome{
		{Assumed: []rules.Assumption{here}, Verdict: t.Verdict, Where: t.Where, Chance: 1},
		{Assumed: []rules.Assumption{there}, Verdict: other.Verdict, Where: other.Where, Chance: 1},
	}
	if t.Where == nil {
		t.Where = other.Where
	}
	t.Unknown = append(t.Unknown, fmt.Sprintf("%s: %s, and %s otherwise", here.What, t.Verdict, other.Verdict))
	t.Verdict, t.StateDependent = Unknown, true
}

// forwardMTU is what fits a packet that is forwarded: paths learned by this
// host's own packets do not count, unless ip_forward_use_pmtu says so
// (ip_dst_mtu_maybe_forward, include/net/ip.h; ip6_dst_mtu_maybe_forward).
func (n *netns) forwardMTU(rt *routed, fam snap.Family) int {
	own := *rt
	if fam == snap.IPv6 || n.sysctl("net/ipv4/ip_forward_use_pmtu", 0) == 0 {
		own.pmtu = 0
	}
	return own.mtuOf()
}
