package sim

import (
	"fmt"
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// vxlanXmit is vxlan_xmit (drivers/net/vxlan): the device's own FDB says which
// tunnel end has the MAC, and the frame goes there in a UDP packet.
func (r *run) vxlanXmit(n *netns, dev *snap.Link, k *skb) *fate {
	v := dev.Vxlan
	if v == nil || v.External {
		return r.unknown(n, dev, k, Where{Layer: "vxlan", Cause: CauseModel, Ref: snap.RefLink(n.n.ID, dev.Name), Detail: "what " + dev.Name + " does depends on programs"})
	}
	var dsts []netip.Addr
	for _, mac := range []string{k.DstMAC, "00:00:00:00:00:00"} {
		for i := range n.n.FDB {
			e := &n.n.FDB[i]
			if e.Index == dev.Index && e.MAC == mac && e.Dst.IsValid() {
				dsts = append(dsts, e.Dst)
			}
		}
		if len(dsts) > 0 {
			break
		}
	}
	if len(dsts) == 0 && v.Remote.IsValid() {
		dsts = append(dsts, v.Remote)
	}
	if len(dsts) == 0 {
		return r.drop(n, dev, k, Where{Layer: "vxlan", Cause: CauseVxlan, Ref: snap.RefLink(n.n.ID, dev.Name), Detail: dev.Name + " knows no tunnel end for " + k.DstMAC})
	}
	// The device may live in another namespace than its lower one (Docker's
	// overlay): the outer packet is made where the device was created.
	home := n
	if h := r.w.ns[dev.PeerNetns]; h != nil {
		home = h
	} else if r.w.snap.HostNs() != nil && v.Lower == 0 {
		home = r.w.ns[r.w.snap.Host.Netns]
	}
	var copies []copyTo
	for _, d := range dsts {
		copies = append(copies, copyTo{home, dev, func(c *skb) *fate { return r.vxlanTo(home, dev, d, c) }})
	}
	return r.spread(k, copies)
}

func (r *run) vxlanTo(home *netns, dev *snap.Link, dst netip.Addr, inner *skb) *fate {
	v := dev.Vxlan
	if dst.IsMulticast() {
		return r.outside(home, dev, inner)
	}
	in := *inner
	in.dropCT()
	in.unbridge()
	in.route, in.Local, in.Mark = nil, nil, 0
	o := &skb{encap: &encap{v.VNI, in}}
	o.Family, o.Proto, o.Src, o.Dst, o.TTL = snap.FamilyOf(dst), 17, v.Local, dst, 64
	o.Sport, o.Dport, o.Len = 50000, v.Port, inner.Len+14+8+8+20
	if o.Dport == 0 {
		o.Dport = 4789
	}
	if o.Family == snap.IPv6 {
		o.Len += 20
	}
	r.hop(home, dev, "vxlan", fmt.Sprintf("VNI %d to %s", v.VNI, dst), "ok", inner)
	rt := home.routeOut(o.lookup(), false, r.pickWay(home))
	if rt.errno != "" {
		f := r.routeFate(home, dev, o, rt)
		f.where.Cause, f.where.Layer = CauseVxlan, "vxlan"
		return f
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
			if w != n && l.PeerNetns != n.n.ID && !(l.Peer == 0 && n.n.ID == r.w.snap.Host.Netns) {
				continue
			}
			inner := e.inner
			r.hop(w, l, "vxlan", fmt.Sprintf("VNI %d taken out of its packet", e.vni), "ok", &inner)
			return r.receive(w, l, &inner)
		}
	}
	return r.drop(n, dev, k, Where{Layer: "vxlan", Cause: CauseVxlan, Reason: "NO_SOCKET", Detail: fmt.Sprintf("%s has no device for VNI %d on port %d", n.n.ID, e.vni, k.Dport)})
}
