package sim

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// xmit is dev_queue_xmit: egress hooks, traffic control, then the driver.
func (r *run) xmit(n *netns, dev *snap.Link, k *skb) *fate {
	if f := r.step(n, dev, k); f != nil {
		return f
	}
	if !dev.Up { // net/sched/sch_generic.c: dev_deactivate leaves noop_qdisc, which drops all
		return r.drop(n, dev, k, Where{Layer: "link", Cause: CauseLinkDown, Reason: "QDISC_DROP", Ref: snap.RefLink(n.n.ID, dev.Name), Detail: dev.Name + " of " + n.n.ID + " is down"})
	}
	if f := r.netdevHook(n, dev, "egress", k); f != nil {
		return f
	}
	if f := r.tc(n, dev, "egress", k); f != nil {
		return f
	}
	if f := r.qdisc(n, dev, k); f != nil {
		return f
	}
	switch dev.Kind {
	case "veth":
		return r.veth(n, dev, k)
	case "bridge":
		return r.bridgeXmit(n, dev, k)
	case "loopback":
		return r.receive(n, dev, k)
	case "vlan":
		return r.vlanXmit(n, dev, k)
	case "macvlan", "macvtap":
		return r.macvlanXmit(n, dev, k)
	case "vxlan":
		return r.vxlanXmit(n, dev, k)
	case "dummy":
		return r.drop(n, dev, k, Where{Layer: "link", Cause: CauseNoAnswer, Ref: snap.RefLink(n.n.ID, dev.Name), Detail: dev.Name + " is a dummy device, which throws everything away"})
	case "vrf":
		k.PktType = "host"
		return r.receive(n, dev, k)
	case "ipvlan", "ipvtap", "netkit", "team", "ifb":
		return r.unknown(n, dev, k, Where{Layer: "link", Cause: CauseModel, Ref: snap.RefLink(n.n.ID, dev.Name), Detail: "what a device of kind " + dev.Kind + " does is not followed"})
	}
	if dev.Loopback {
		return r.receive(n, dev, k)
	}
	if !dev.LowerUp && dev.OperState == "down" {
		return r.drop(n, dev, k, Where{Layer: "link", Cause: CauseNoCarrier, Ref: snap.RefLink(n.n.ID, dev.Name), Detail: dev.Name + " of " + n.n.ID + " has no carrier"})
	}
	return r.outside(n, dev, k)
}

// veth is veth_xmit (drivers/net/veth.c) with __dev_forward_skb.
func (r *run) veth(n *netns, dev *snap.Link, k *skb) *fate {
	far := r.w.ns[dev.PeerNetns]
	if dev.Peer == 0 || far == nil || far.n.Light {
		return r.leave(n, dev, far, k)
	}
	peer := far.links[dev.Peer]
	if peer == nil {
		return r.leave(n, dev, far, k)
	}
	if !peer.Up {
		return r.drop(n, dev, k, Where{
			Layer: "link", Cause: CauseNoCarrier, Reason: "DEV_READY", Ref: snap.RefLink(far.n.ID, peer.Name),
			Detail: fmt.Sprintf("%s of %s, the other end of %s, is down", peer.Name, far.n.ID, dev.Name),
		})
	}
	// is_skb_forwardable allows for one VLAN tag beyond the MTU.
	if k.frameLen() > peer.MTU+4 && peer.MTU > 0 {
		return r.drop(n, dev, k, Where{
			Layer: "link", Cause: CauseMTU, Ref: snap.RefLink(far.n.ID, peer.Name),
			Detail: fmt.Sprintf("%d bytes do not fit the MTU %d of %s of %s, the other end of %s", k.frameLen(), peer.MTU, peer.Name, far.n.ID, dev.Name),
		})
	}
	if n.n.Class.Ours() && !far.n.Class.Ours() {
		if r.stopOutside {
			return r.leave(n, dev, far, k)
		}
		if f := r.strays(n, dev, k); f != nil {
			return f
		}
		if !r.reply && r.quiet == 0 && r.leftHost == "" {
			r.leftHost, r.leftNetns, r.exit = dev.Name, n.n.ID, k.tuple()
		}
	}
	// skb_scrub_packet: what another namespace must not see.
	k.dropCT()
	k.unbridge()
	k.route, k.Local = nil, nil
	if far != n {
		k.Mark, k.Recent = 0, nil
	}
	k.Priority = 0
	return r.receive(far, peer, k)
}

// unbridge forgets what bridges noted on the packet.
func (k *skb) unbridge() {
	k.nfBridge, k.PhysIn, k.PhysOut, k.PhysBridged, k.brIn, k.isolated, k.vid = false, 0, 0, false, nil, false, 0
}

// leave ends the walk at a device whose other end is not known, or not ours.
func (r *run) leave(n *netns, dev *snap.Link, far *netns, k *skb) *fate {
	if !r.reply && r.quiet == 0 && r.leftHost == "" {
		r.leftHost, r.leftNetns, r.exit = dev.Name, n.n.ID, k.tuple()
	}
	f := r.outside(n, dev, k)
	if far != nil && far.n.Light {
		f.where.Detail = "what is in " + far.n.ID + " was not read"
	}
	return f
}

// receive is __netif_receive_skb_core: XDP, traffic control, ingress hooks,
// VLAN and the device's master, then the protocol.
func (r *run) receive(n *netns, dev *snap.Link, k *skb) *fate {
	if f := r.step(n, dev, k); f != nil {
		return f
	}
	if n.n.Light {
		return r.outside(n, dev, k)
	}
	if !dev.Up {
		reason := "DEV_READY"
		if dev.Loopback { // on its way out, as in xmit
			reason = "QDISC_DROP"
		}
		return r.drop(n, dev, k, Where{Layer: "link", Cause: CauseLinkDown, Reason: reason, Ref: snap.RefLink(n.n.ID, dev.Name), Detail: dev.Name + " of " + n.n.ID + " is down"})
	}
	if f := r.xdp(n, dev, k); f != nil {
		return f
	}
	switch {
	case dev.Loopback, dev.VRF != nil, dev.MAC == "":
		k.PktType = "host"
	case k.DstMAC == macBroadcast:
		k.PktType = "broadcast"
	case group(k.DstMAC):
		k.PktType = "multicast"
	case k.DstMAC == dev.MAC:
		k.PktType = "host"
	default:
		k.PktType = "otherhost"
	}
	if f := r.tc(n, dev, "ingress", k); f != nil {
		return f
	}
	if f := r.netdevHook(n, dev, "ingress", k); f != nil {
		return f
	}
	if k.VLAN != 0 {
		if f, ok := r.vlanRcv(n, dev, k); ok {
			return f
		}
	}
	if f, ok := r.macvlanRcv(n, dev, k); ok {
		return f
	}
	if br := n.bridgeOf(dev); br != nil {
		return r.bridgeRcv(n, dev, br, k)
	}
	if m := n.links[dev.Master]; m != nil && (m.Kind == "bond" || m.Kind == "team") {
		return r.receive(n, m, k)
	}
	return r.protocol(n, dev, k)
}

// protocol hands a frame to the stack.
func (r *run) protocol(n *netns, dev *snap.Link, k *skb) *fate {
	if k.VLAN != 0 {
		return r.drop(n, dev, k, Where{Layer: "link", Cause: CauseVlan, Ref: snap.RefLink(n.n.ID, dev.Name), Detail: fmt.Sprintf("%s has no device for VLAN %d", dev.Name, k.VLAN)})
	}
	if k.arp != nil {
		return r.arpRcv(n, dev, k)
	}
	return r.rcv(n, dev, k)
}

// netdevHook runs the chains of a device's own hooks.
func (r *run) netdevHook(n *netns, dev *snap.Link, hook string, k *skb) *fate {
	list := n.program().BaseChains(snap.Netdev, hook, dev.Name)
	if len(list) == 0 {
		return nil
	}
	iif, oif := k.Iif, k.Oif
	h := &hookState{hook: hook, in: dev.Index}
	k.Iif, k.Oif = dev.Index, 0
	if hook == "egress" {
		h.in, h.out, k.Iif, k.Oif = 0, dev.Index, 0, dev.Index
	}
	for _, b := range list {
		if _, f := r.chain(n, h, b, k); f != nil {
			return f
		}
	}
	k.Iif, k.Oif = iif, oif
	return nil
}
