package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// joined says whether a device takes packets to a group (net/ipv4/igmp.c:
// ip_check_mc_rcu, net/ipv6/mcast.c: ipv6_chk_mcast_addr). All take those to all.
func (n *netns) joined(dev *snap.Link, group netip.Addr) bool {
	if group == netip.AddrFrom4([4]byte{224, 0, 0, 1}) || group == netip.MustParseAddr("ff02::1") {
		return true
	}
	return slices.ContainsFunc(n.n.Groups, func(g snap.Group) bool { return g.Index == dev.Index && g.IP == group })
}

// memberBehind says whether the other end of a port's wire has joined a group.
func (w *World) memberBehind(p *snap.Link, group netip.Addr) bool {
	far := w.ns[p.PeerNetns]
	if p.Kind != "veth" || p.Peer == 0 || far == nil || far.n.Light {
		return false
	}
	peer := far.links[p.Peer]
	return peer != nil && far.joined(peer, group)
}

// unheard is why a multicast does not leave by a port, "" when it does
// (net/bridge/br_input.c: br_handle_frame_finish, br_forward.c: br_flood,
// br_multicast_flood): with somebody who asks for members only their ports get it,
// else all that are flooded to.
func (n *netns) unheard(br, from, p *snap.Link, group netip.Addr, vid int) string {
	b := br.Bridge
	asked := b != nil && b.McastSnooping && !group.IsLinkLocalMulticast() && (group.Is4() && b.Querier4 || group.Is6() && b.Querier6)
	if asked {
		for i := range n.n.MDB {
			if e := &n.n.MDB[i]; e.Bridge == br.Index && e.Port == p.Index && (e.Router || e.IP == group && (e.Vlan == 0 || e.Vlan == vid)) {
				return ""
			}
		}
		return fmt.Sprintf("%s sends %s only to ports that have asked for it (multicast_snooping, and a querier), and %s has not", br.Name, group, p.Name)
	}
	if p.Port != nil && !p.Port.McastFlood && from != nil {
		return "multicasts are not flooded to " + p.Name + " (mcast_flood off)"
	}
	return ""
}

// multicast is a packet to a group on a bridge. It is well when all members that are
// known get it; where none is known, when every port would.
func (r *run) multicast(n *netns, br, from *snap.Link, k *skb, up bool) *fate {
	var copies []copyTo
	var mute *fate
	for _, p := range n.ports[br.Index] {
		if p == from && (p.Port == nil || !p.Port.Hairpin) {
			continue
		}
		why := n.unheard(br, from, p, k.Dst, k.vid)
		if why == "" {
			copies = append(copies, copyTo{n, p, func(c *skb) *fate { return r.bridgeForward(n, br, from, p, c) }})
			continue
		}
		member := r.w.memberBehind(p, k.Dst)
		if mute == nil || member {
			mark := len(r.hops)
			mute = r.bridgeDrop(n, p, k, CauseBridgeFlood, why)
			mute.where.Reason = "" // no copy was made
			if mute.where.Ref = portRef(n, p); member {
				return mute
			}
			r.hops = r.hops[:mark]
		}
	}
	if up {
		copies = append(copies, copyTo{n, br, func(c *skb) *fate { return r.bridgeUp(n, from, br, c) }})
	}
	mark := len(r.hops)
	if len(copies) > 0 {
		if f := r.spread(k, copies); f != nil && f.kind != fateElsewise {
			return f
		}
	}
	r.hops = r.hops[:mark] // of one of many that have nothing to do with it
	switch {
	case mute != nil && strings.HasSuffix(mute.where.Detail, "(mcast_flood off)"):
		r.hop(n, mute.dev, "bridge "+br.Name, mute.where.Detail, "drop", k, mute.where.Ref)
		return mute
	}
	dev := br
	if from != nil {
		dev = from
	}
	out := r.fates.new()
	out.kind, out.ns, out.dev, out.pkt = fateGroup, n, dev, *k
	r.hop(n, dev, "bridge "+br.Name, fmt.Sprintf("to all who have joined %s: nobody here at present", k.Dst), "delivered", k)
	return out
}

// member takes a packet to a group in, or leaves it to others.
func (r *run) member(n *netns, dev *snap.Link, k *skb) *fate {
	if n.joined(dev, k.Dst) {
		return r.deliver(n, dev, k)
	}
	f := r.drop(n, dev, k, Where{Layer: "route", Cause: CauseNoMember, Ref: snap.RefLink(n.n.ID, dev.Name), Detail: dev.Name + " of " + n.n.ID + " has not joined " + k.Dst.String()})
	f.kind = fateElsewise
	return f
}
