package sim

import (
	"fmt"
	"strconv"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// lookup is the flow key of a packet; uid and oif are the sender's.
func (k *skb) lookup() lookup {
	q := lookup{dst: k.Dst, src: k.Src, mark: k.Mark, tos: k.TOS, proto: k.Proto}
	if !snap.IsICMP(k.Proto) {
		q.sport, q.dport = k.Sport, k.Dport
	}
	return q
}

// routeFate turns a route that refused into the end of the packet.
func (r *run) routeFate(n *netns, dev *snap.Link, k *skb, rt *routed) *fate {
	ref := rt.ref
	if rt.byRule || ref == "" {
		ref = rt.rule
	}
	if ref == "" {
		ref = n.causeRef(dev, rt.cause)
	}
	w := Where{Layer: "route", Cause: rt.cause, Reason: rt.reason, Ref: ref, Detail: rt.detail}
	if rt.cause == CauseUnread {
		return r.unknown(n, dev, k, w)
	}
	return r.drop(n, dev, k, w)
}

// causeRef is the sysctl behind a refusal of the routing decision.
func (n *netns) causeRef(dev *snap.Link, c Cause) snap.Ref {
	if dev == nil {
		return ""
	}
	var keys []string
	switch c {
	case CauseForwardingOff:
		keys = []string{"net/ipv4/ip_forward", "net/ipv4/conf/" + dev.Name + "/forwarding"}
		if n.sysctl(keys[0], 1) != 0 {
			keys = keys[1:]
		}
	case CauseRPFilter:
		keys = []string{"net/ipv4/conf/" + dev.Name + "/rp_filter", "net/ipv4/conf/all/rp_filter"}
		if n.confAll(snap.IPv4, "rp_filter") > n.conf(snap.IPv4, dev, "rp_filter") {
			keys = keys[1:]
		}
	}
	for _, k := range keys {
		if _, ok := n.n.Sysctls[k]; ok {
			return snap.RefSysctl(n.n.ID, k)
		}
	}
	return ""
}

// send is what a local socket does with a packet: connect (with IPv4 two look-ups,
// the second with the source that the first gave, ip_route_connect) and output. q
// is the flow key, whose source may be zero.
func (r *run) send(n *netns, k *skb, q lookup) *fate {
	if n.n.Light {
		return r.unknown(n, nil, k, Where{Layer: "route", Cause: CauseUnread, Detail: "the namespace " + n.n.ID + " was not read in full"})
	}
	if f := r.step(n, nil, k); f != nil {
		return f
	}
	r.note(n, nil, &q)
	rt := n.routeOut(r.routes.new(), q, false, r.pickWay(n))
	if k.Family == snap.IPv6 && !q.src.IsValid() && (rt.cause == CauseNoRoute || rt.cause == CauseReject || rt.cause == CauseRejectRule) {
		// A first answer that is an error never existed: the source is chosen
		// without it, and asked with (net/ipv6/ip6_output.c:ip6_dst_lookup_tail).
		if q.src = n.selectAddr6(nil, q.dst); q.src.IsValid() {
			rt = n.routeOut(r.routes.new(), q, false, r.pickWay(n))
		}
	}
	// IPv6 keeps to a first answer that is none: rules by source count for nothing
	// where the source is chosen after them.
	if k.Family == snap.IPv4 && rt.errno == "" && !q.src.IsValid() && rt.src.IsValid() {
		q.src = rt.src
		rt = n.routeOut(r.routes.new(), q, false, r.pickWay(n))
	}
	if rt.errno != "" || rt.cause != CauseNone {
		return r.routeFate(n, rt.dev, k, rt)
	}
	r.remember(n, rt, k.Dst)
	if k.Src = rt.src; !k.Src.IsValid() {
		return r.drop(n, rt.dev, k, Where{Layer: "route", Cause: CauseSelfSource, Detail: n.n.ID + " has no address to send from by " + rt.dev.Name})
	}
	if !r.reply {
		r.sent = k.tuple()
	}
	if r.anew && !r.reply {
		rt.pmtu = 0
	}
	if k.softDF && rt.pmtu > 0 && k.Len > rt.pmtu && !r.reply {
		r.remembers = "a path MTU of " + strconv.Itoa(rt.pmtu)
	}
	if k.softDF && k.Len > rt.mtuOf() {
		k.DF = false
	}
	if mtu := rt.mtuOf(); k.DF && k.Len > mtu && rt.kind == "unicast" {
		return r.drop(n, rt.dev, k, Where{
			Layer: "route", Cause: CauseMTU, Reason: "EMSGSIZE", Ref: snap.RefLink(n.n.ID, rt.dev.Name),
			Detail: fmt.Sprintf("%d bytes do not fit the MTU %d of %s", k.Len, mtu, rt.dev.Name),
		})
	}
	if k.TTL == 0 {
		k.TTL = n.hopLimit(rt, k.Family)
	}
	if k.TCPMSS != 0 {
		k.TCPMSS = rt.mss(k.Family)
	}
	if f := r.xfrmOut(n, rt.dev, k); f != nil {
		return f
	}
	k.route = rt
	r.hop(n, rt.dev, "route", rt.text, "ok", k, rt.ref, rt.rule)
	return r.localOut(n, k)
}

// mtuOf is what fits, bytes of IP.
func (rt *routed) mtuOf() int {
	if rt.pmtu > 0 {
		return rt.pmtu
	}
	if rt.mtu > 0 {
		return rt.mtu
	}
	if rt.dev == nil || rt.dev.MTU == 0 {
		return 65535
	}
	return rt.dev.MTU
}

// mss is what a SYN asks of the other end: the route's advmss, or what the MTU leaves
// (net/ipv4/route.c: ipv4_default_advmss, net/ipv6/route.c: ip6_default_advmss).
func (rt *routed) mss(fam snap.Family) uint16 {
	if rt.route != nil && rt.route.AdvMSS > 0 {
		return uint16(min(rt.route.AdvMSS, 65535))
	}
	head, least := 40, 536 // sysctl net.ipv4.route.min_adv_mss, by default
	if fam == snap.IPv6 {
		head, least = 60, 1220
	}
	return uint16(min(max(rt.mtuOf()-head, least), 65535-40))
}

// localOut is __ip_local_out and ip_output: OUTPUT, then on to POSTROUTING.
func (r *run) localOut(n *netns, k *skb) *fate {
	if k.Local == nil {
		k.Local = r.senders.new()
	}
	k.PktType = ""
	if f := r.nf(n, "output", 0, k.route.dev.Index, k); f != nil {
		return f
	}
	if f := r.ipvs(n, k.route.dev, k); f != nil {
		return f
	}
	return r.output(n, k, 0)
}

// reroute is ip_route_me_harder (net/ipv4/netfilter.c): OUTPUT changed what the
// route depends on. Ports and protocol are not part of this look-up.
func (r *run) reroute(n *netns, k *skb) *fate {
	q := lookup{dst: k.Dst, src: k.Src, mark: k.Mark, tos: k.TOS}
	if k.Local != nil {
		q.uid = k.Local.UID
	}
	if k.Family == snap.IPv6 {
		q.proto, q.sport, q.dport = k.Proto, k.Sport, k.Dport
	}
	rt := n.routeOut(r.routes.new(), q, true, r.pickWay(n))
	if rt.errno != "" {
		w := Where{Layer: "netfilter", Cause: CauseNATReroute, Reason: "NETFILTER_DROP", Ref: rt.ref, Detail: "after OUTPUT changed the packet there is no way: " + rt.detail}
		return r.drop(n, k.route.dev, k, w)
	}
	r.remember(n, rt, k.Dst)
	if rt.dev != k.route.dev || rt.gw != k.route.gw {
		r.hop(n, rt.dev, "reroute", rt.text, "ok", k, rt.ref, rt.rule)
	}
	k.route = rt
	return r.xfrmOut(n, rt.dev, k)
}

// output is ip_output and ip_finish_output2. in is the device that a forwarded
// packet came in by, 0 for a local one.
func (r *run) output(n *netns, k *skb, in int) *fate {
	rt := k.route
	if in == 0 && r.quiet == 0 && k.encap == nil {
		r.origin, r.originRoute = n, rt
	}
	src, sport := k.Src, k.Sport
	if f := r.nf(n, "postrouting", in, rt.dev.Index, k); f != nil {
		return f
	}
	if k.Src != src || k.Sport != sport { // nf_xfrm_me_harder (net/netfilter/nf_nat_proto.c)
		if f := r.xfrmOut(n, rt.dev, k); f != nil {
			if f.kind == fateDropped {
				f.where.Reason = "NETFILTER_DROP" // it is the hook that says no
			}
			return f
		}
	}
	if in == 0 {
		if f := r.cgroup(n, rt.dev, k, cgroupEgress, k.Dst); f != nil {
			return f
		}
	}
	k.Local, k.group = nil, 0
	if rt.kind == "local" {
		k.PktType = "host"
		return r.receive(n, rt.dev, k)
	}
	mtu := rt.mtuOf()
	if in != 0 {
		mtu = n.forwardMTU(rt, k.Family)
	}
	switch {
	case k.Len <= mtu:
	case k.DF || in != 0 && k.tooBig(mtu):
		return r.drop(n, rt.dev, k, Where{
			Layer: "route", Cause: CauseMTU, Reason: "PKT_TOO_BIG", Ref: snap.RefLink(n.n.ID, rt.dev.Name),
			Detail: fmt.Sprintf("%d bytes do not fit the MTU %d of %s", k.frameLen(), mtu, rt.dev.Name),
		})
	case in == 0 || k.Family == snap.IPv4:
		k.wire = fragment(k.Family, mtu)
	}
	return r.neighOut(n, rt.dev, k, rt)
}

// neighOut finds the MAC of the nexthop and hands the frame to the device.
func (r *run) neighOut(n *netns, dev *snap.Link, k *skb, rt *routed) *fate {
	k.SrcMAC = dev.MAC
	k.EtherType = 0x0800
	if k.Family == snap.IPv6 {
		k.EtherType = 0x86dd
	}
	switch {
	case rt.kind == "broadcast":
		k.DstMAC = macBroadcast
	case rt.kind == "multicast":
		k.DstMAC = multicastMAC(k.Dst)
	case noL2(dev):
		k.DstMAC = ""
	default:
		nh := rt.nexthop(k.Dst)
		mac, f := r.resolve(n, dev, nh, k)
		if f != nil {
			return f
		}
		k.DstMAC = mac
	}
	return r.xmit(n, dev, k)
}
