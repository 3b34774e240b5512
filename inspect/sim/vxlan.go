package sim

import (
	"fmt"
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// vxlanXmit is vxlan_xmit (drivers/net/vxlan): the device's own FDB says which
// tunnel end has the MAC, and the frame goes there in a UDP packet.
func (r *run) vxlanXmit(n *netns, dev *snap.Link, k *skb) *fate {
	r.spoil() // the tunnel's own neighbours and ends
	v := dev.Vxlan
	if v == nil || v.External {
		return r.unknown(n, dev, k, Where{Layer: "vxlan", Cause: CauseModel, Ref: snap.RefLink(n.n.ID, dev.Name), Detail: "what " + dev.Name + " does depends on programs"})
	}
	if v.Proxy && !v.L3Miss && k.arp != nil && !(k.Family == snap.IPv6 && k.arp.reply) {
		return r.vxlanAnswers(n, dev, k)
	}
	var dsts []netip.Addr
	if d, ok := r.tunnels[runFDB{n, fdbKey{bridge: dev.Index, mac: k.DstMAC}}]; ok {
		dsts = append(dsts, d)
	}
	for _, mac := range []string{k.DstMAC, "00:00:00:00:00:00"} {
		if len(dsts) > 0 {
			break
		}
		for i := range n.n.FDB {
			e := &n.n.FDB[i]
			if e.Index == dev.Index && e.MAC == mac && e.Dst.IsValid() {
				dsts = append(dsts, e.Dst)
			}
		}
	}
	if len(dsts) == 0 && v.Remote.IsValid() {
		dsts = append(dsts, v.Remote)
	}
	if len(dsts) == 0 {
		return r.drop(n, dev, k, Where{Layer: "vxlan", Cause: CauseVxlan, Ref: snap.RefLink(n.n.ID, dev.Name), Detail: dev.Name + " knows no tunnel end for " + k.DstMAC})
	}
	// The device may live in another namespace than its lower one (Docker's
	// overlay): the outer packet is made where the device was created, which
	// IFLA_LINK_NETNSID tells (vxlan_get_link_net).
	home := n
	if dev.PeerNetns != "" || dev.PeerNSID >= 0 {
		if home = r.w.ns[dev.PeerNetns]; home == nil {
			return r.leave(n, dev, nil, k)
		}
	}
	var copies []copyTo
	for _, d := range dsts {
		copies = append(copies, copyTo{home, dev, func(c *skb) *fate { return r.vxlanTo(n, home, dev, d, c) }})
	}
	return r.spread(k, copies)
}

// vxlanAnswers is arp_reduce and neigh_reduce (drivers/net/vxlan): a device that is a
// proxy lets no question of a neighbour out, nor an answer of ARP, and answers those
// questions for which it has a neighbour entry that is connected. One with l3miss asks
// a program for the others.
func (r *run) vxlanAnswers(n *netns, dev *snap.Link, k *skb) *fate {
	q := k.arp
	no := func(what string) *fate {
		return r.drop(n, dev, k, Where{Layer: "vxlan", Cause: CauseNeighFailed, Reason: "NEIGH_FAILED", Ref: snap.RefLink(n.n.ID, dev.Name), Detail: dev.Name + " answers for the other hosts itself (proxy), and " + what})
	}
	if q.reply {
		return no("lets no answer out")
	}
	for i := range n.n.Neighs {
		e := &n.n.Neighs[i]
		if e.Index != dev.Index || e.IP != q.tip || e.Proxy || e.State != "permanent" && e.State != "reachable" && e.State != "noarp" {
			continue
		}
		a := r.packets.new()
		a.arp = &arpMsg{reply: true, sip: q.tip, tip: q.sip, sha: e.MAC, holder: n, dev: dev}
		if a.nd(136, q.sip); k.Family == snap.ARP {
			a.Family, a.EtherType, a.ARPOp, a.Len = snap.ARP, 0x0806, 2, 28
		}
		a.SrcMAC, a.DstMAC, a.Src = e.MAC, q.sha, q.tip
		return r.receive(n, dev, a)
	}
	return no("has no neighbour entry for " + q.tip.String())
}

func (r *run) vxlanTo(from, home *netns, dev *snap.Link, dst netip.Addr, inner *skb) *fate {
	v := dev.Vxlan
	if dst.IsMulticast() {
		return r.outside(home, dev, inner)
	}
	in := *inner
	in.dropCT()
	in.unbridge()
	in.route, in.Local, in.Mark = nil, nil, 0
	size := inner.frameLen() // of each fragment: what the sender cut is not put together here
	o := &skb{encap: &encap{v.VNI, in}}
	o.Family, o.Proto, o.Src, o.Dst, o.TTL = snap.FamilyOf(dst), snap.IPProtoUDP, v.Local, dst, 64
	o.Sport, o.Dport, o.Len = 50000, v.Port, size+14+8+8+20
	if o.Dport == 0 {
		o.Dport = 4789
	}
	if o.Family == snap.IPv6 {
		o.Len += 20
	}
	r.hop(home, dev, "vxlan", fmt.Sprintf("VNI %d to %s", v.VNI, dst), "ok", inner)
	rt := home.routeOut(r.routes.new(), o.lookup(), false, r.pickWay(home))
	if rt.errno != "" {
		f := r.routeFate(home, dev, o, rt)
		f.where.Cause, f.where.Layer = CauseVxlan, "vxlan"
		return f
	}
	// skb_tunnel_check_pmtu: a port of a bridge answers too big itself.
	head := 50
	if o.Family == snap.IPv6 {
		head = 70
	}
	if from.bridgeOf(dev) != nil && (inner.DF && inner.Family == snap.IPv4 || inner.Family == snap.IPv6) && size > rt.mtuOf()-head {
		return r.drop(from, dev, inner, Where{
			Layer: "vxlan", Cause: CauseMTU, Reason: "PKT_TOO_BIG", Ref: snap.RefLink(from.n.ID, dev.Name),
			Detail: fmt.Sprintf("%d bytes do not fit the MTU %d of %s with the %d bytes of the tunnel", size, rt.mtuOf(), rt.dev.Name, head),
		})
	}
	o.Src, o.route = rt.src, rt
	return r.localOut(home, o)
}

// decap is vxlan_rcv: the UDP packet reached a tunnel end.
func (r *run) decap(n *netns, dev *snap.Link, k *skb) *fate {
	e := k.encap
	for _, w := range r.w.order {
		for i := range w.n.Links {
			l := &w.n.Links[i]
			if l.Vxlan == nil || l.Vxlan.VNI != e.vni || l.Vxlan.Port != k.Dport && l.Vxlan.Port != 0 {
				continue
			}
			if l.PeerNetns != n.n.ID && (l.PeerNetns != "" || w != n) || w.n.Light {
				continue
			}
			inner := e.inner
			if l.Vxlan.Learning { // vxlan_snoop
				r.tunnels[runFDB{w, fdbKey{bridge: l.Index, mac: inner.SrcMAC}}] = k.Src
			}
			r.hop(w, l, "vxlan", fmt.Sprintf("VNI %d taken out of its packet", e.vni), "ok", &inner)
			return r.receive(w, l, &inner)
		}
	}
	return r.drop(n, dev, k, Where{Layer: "vxlan", Cause: CauseVxlan, Reason: "NO_SOCKET", Detail: fmt.Sprintf("%s has no device for VNI %d on port %d", n.n.ID, e.vni, k.Dport)})
}
