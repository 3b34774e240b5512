package sim

import (
	"fmt"
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// rcv is ip_rcv and ip_rcv_finish (net/ipv4/ip_input.c), or their IPv6 twins:
// PREROUTING, the routing decision, then local delivery or forwarding.
func (r *run) rcv(n *netns, dev *snap.Link, k *skb) *fate {
	if f := r.step(n, dev, k); f != nil {
		return f
	}
	if n.n.Light {
		return r.outside(n, dev, k)
	}
	if f := r.unfit(n, dev, k); f != nil {
		return f
	}
	vrf := n.vrfOf(dev)
	// br_netfilter ran PREROUTING already (ip_sabotage_in, net/bridge/br_netfilter_hooks.c).
	if !k.nfBridge || vrf != nil {
		dst := k.Dst
		if f := r.nf(n, "prerouting", dev.Index, 0, k); f != nil {
			return f
		}
		if vrf != nil && vrf != dev {
			if f := r.nf(n, "prerouting", vrf.Index, 0, k); f != nil {
				return f
			}
		}
		if k.Dst != dst {
			k.route = nil // nf_nat_ipv4_pre_routing: skb_dst_drop
		}
	}
	if k.route == nil {
		q := k.lookup()
		r.note(n, dev, &q)
		k.route = n.routeIn(r.routes.new(), q, dev, r.pickWay(n))
		r.remember(n, k.route, k.Dst)
	}
	rt := k.route
	if rt.errno != "" || rt.cause != CauseNone {
		return r.routeFate(n, dev, k, rt)
	}
	in := dev
	if vrf != nil {
		in = vrf
	}
	switch rt.kind {
	case "unicast":
		return r.forward(n, dev, k)
	case "multicast":
		return r.member(n, in, k)
	}
	return r.deliver(n, in, k)
}

// unfit drops what is refused before PREROUTING.
func (r *run) unfit(n *netns, dev *snap.Link, k *skb) *fate {
	if k.PktType == "otherhost" {
		w := Where{
			Layer: "link", Cause: CauseWrongMAC, Reason: "OTHERHOST", Ref: snap.RefLink(n.n.ID, dev.Name),
			Detail: fmt.Sprintf("%s of %s has the MAC %s, the frame is for %s", dev.Name, n.n.ID, dev.MAC, k.DstMAC),
		}
		if k.neighRef != "" {
			w.Ref, w.Detail = k.neighRef, k.neighText+", but "+w.Detail
		}
		f := r.drop(n, dev, k, w)
		f.kind = fateElsewise
		return f
	}
	if k.Family == snap.IPv6 && n.conf(snap.IPv6, dev, "disable_ipv6") != 0 {
		return r.drop(n, dev, k, Where{
			Layer: "link", Cause: CauseIPv6Off, Reason: "IPV6DISABLED", Ref: snap.RefSysctl(n.n.ID, "net/ipv6/conf/"+dev.Name+"/disable_ipv6"),
			Detail: "disable_ipv6=1 on " + dev.Name,
		})
	}
	// ip6_rcv_core (net/ipv6/ip6_input.c): before PREROUTING, unless br_netfilter
	// ran that already, which may have made ::1 of the destination.
	if k.Family == snap.IPv6 && !dev.Loopback && dev.VRF == nil && (k.Src.IsLoopback() || k.Dst.IsLoopback()) {
		return r.drop(n, dev, k, Where{Layer: "route", Cause: CauseMartian, Reason: "IP_INHDR", Detail: fmt.Sprintf("a packet from %s to %s must not come in by %s", k.Src, k.Dst, dev.Name)})
	}
	return nil
}

// forward is ip_forward (net/ipv4/ip_forward.c) or ip6_forward.
func (r *run) forward(n *netns, dev *snap.Link, k *skb) *fate {
	rt := k.route
	if k.Family == snap.IPv6 {
		if n.confAll(snap.IPv6, "forwarding") == 0 && n.conf(snap.IPv6, dev, "force_forwarding") == 0 {
			return r.drop(n, dev, k, Where{
				Layer: "route", Cause: CauseForwardingOff, Reason: "IP_INADDRERRORS", Ref: snap.RefSysctl(n.n.ID, "net/ipv6/conf/all/forwarding"),
				Detail: n.astray("net.ipv6.conf.all.forwarding=0 in "+n.n.ID, k.Dst),
			})
		}
		// ip6_forward (net/ipv6/ip6_output.c) lets it back onto the link that it
		// came from.
		if k.Src.IsLinkLocalUnicast() && rt.dev != dev {
			return r.drop(n, dev, k, Where{Layer: "route", Cause: CauseMartian, Detail: "a packet from the link-local " + k.Src.String() + " is not forwarded"})
		}
	}
	if k.PktType != "host" {
		return r.drop(n, dev, k, Where{Layer: "route", Cause: CauseWrongMAC, Reason: "NOT_SPECIFIED", Detail: "a " + k.PktType + " frame is not forwarded"})
	}
	if f := r.xfrmCheck(n, "fwd", dev, k); f != nil {
		return f
	}
	if k.TTL <= 1 {
		w := Where{Layer: "route", Cause: CauseTTL, Reason: "IP_INHDR", Detail: "the TTL is used up"}
		if r.visits[runDev{n, rt.dev.Index}] > 2 {
			w.Cause, w.Detail, w.Ref = CauseLoop, "the packet goes round in circles until its TTL is used up", rt.ref
		}
		return r.drop(n, dev, k, w)
	}
	if f := r.xfrmOut(n, rt.dev, k); f != nil {
		return f
	}
	if mtu := n.forwardMTU(rt, k.Family); k.tooBig(mtu) {
		return r.drop(n, dev, k, Where{
			Layer: "route", Cause: CauseMTU, Reason: "PKT_TOO_BIG", Ref: snap.RefLink(n.n.ID, rt.dev.Name),
			Detail: fmt.Sprintf("%d bytes do not fit the MTU %d of %s", k.frameLen(), mtu, rt.dev.Name),
		})
	}
	key := runDev{n, rt.dev.Index}
	r.visits[key]++
	r.circling = r.circling || r.visits[key] > 3
	r.hop(n, dev, "route", rt.text, "ok", k, rt.ref, rt.rule)
	k.TTL--
	r.redirect(n, dev, k)
	if f := r.nf(n, "forward", dev.Index, rt.dev.Index, k); f != nil {
		return f
	}
	return r.output(n, k, dev.Index)
}

// deliver is ip_local_deliver: INPUT, then whoever takes it.
func (r *run) deliver(n *netns, dev *snap.Link, k *skb) *fate {
	k.wire = 0
	if f := r.nf(n, "input", dev.Index, 0, k); f != nil {
		return f
	}
	if f := r.ipvs(n, dev, k); f != nil {
		return f
	}
	if f := r.xfrmCheck(n, "in", dev, k); f != nil {
		return f
	}
	if k.encap != nil {
		return r.decap(n, dev, k)
	}
	f := r.fates.new()
	f.kind, f.ns, f.dev, f.pkt = fateArrived, n, dev, *k
	return f
}

// outside ends the walk where the snapshot ends.
func (r *run) outside(n *netns, dev *snap.Link, k *skb) *fate {
	if f := r.strays(n, dev, k); f != nil {
		return f
	}
	if f := r.ledAway(n, dev, k); f != nil {
		return f
	}
	if k.TTL == 1 && !r.reply && k.encap == nil && k.Dst.IsGlobalUnicast() && n.awayFrom(dev, k.Dst) {
		return r.drop(n, dev, k, Where{Layer: "route", Cause: CauseTTL, Detail: "the TTL is used up at the first router beyond " + dev.Name})
	}
	if r.quiet == 0 {
		r.hop(n, dev, "send", "leaves by "+dev.Name, "ok", k)
	}
	return &fate{kind: fateOutside, ns: n, dev: dev, pkt: *k, where: Where{
		Netns: n.n.ID, Device: dev.Name, Layer: "link", Cause: CauseOutside, Reply: r.reply, Ref: snap.RefLink(n.n.ID, dev.Name),
		Detail: "it leaves what is known by " + dev.Name + " of " + n.n.ID,
	}}
}

// awayFrom says whether routes tell who is on a device's wire, and an address is none of
// them: whoever has it is behind a router there.
func (n *netns) awayFrom(dev *snap.Link, to netip.Addr) bool {
	known := false
	for i := range n.n.Routes {
		r := &n.n.Routes[i]
		if r.Oif != dev.Index || r.Gateway.IsValid() || r.Type != "unicast" || r.Family != snap.FamilyOf(to) {
			continue
		}
		if r.Dst.Contains(to) {
			return false
		}
		known = true
	}
	return known
}
