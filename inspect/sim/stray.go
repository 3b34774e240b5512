package sim

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// strays ends an answer that a router of ours sends away: it is for the namespace
// that asked, which is ours too, but the router knows no way to it and goes by its
// default route (net/ipv4/fib_trie.c:fib_table_lookup: the last to match). Nobody out
// there has a way to an address in here. Nil when that is not so.
func (r *run) strays(n *netns, dev *snap.Link, k *skb) *fate {
	if !r.reply || r.quiet > 0 || r.asker == nil || r.asker == n || !n.n.Class.Ours() || !r.asker.n.Class.Ours() {
		return nil
	}
	rt := k.route
	if rt == nil || rt.route == nil || rt.route.Dst.Bits() != 0 || !rt.gw.IsValid() || k.Dst != r.sent.src {
		return nil
	}
	if _, ok := r.asker.n.HasAddr(k.Dst); !ok {
		return nil
	}
	return r.drop(n, dev, k, Where{
		Layer: "route", Cause: CauseNoWayBack, Ref: snap.RefNetns(n.n.ID),
		Detail: fmt.Sprintf("%s has no route to %s of %s: the answer leaves by the default route, via %s", n.n.ID, k.Dst, r.asker.n.ID, rt.gw),
	})
}

// ledAway ends a packet for one of our containers that leaves what is known, though this
// very namespace has the container's wire and a connected route to it: another route,
// mostly of a table that a routing rule asks before the main one, took it first. Nobody out
// there has a way to an address in here. Nil when that is not so.
func (r *run) ledAway(n *netns, dev *snap.Link, k *skb) *fate {
	rt := k.route
	if r.quiet > 0 || !n.n.Class.Ours() || rt == nil || rt.route == nil || rt.kind != "unicast" {
		return nil
	}
	home := r.w.home(n, k.Dst)
	if home == nil || home == rt.dev || home == dev || home.Index == dev.Master {
		return nil
	}
	return r.drop(n, dev, k, Where{
		Layer: "route", Cause: CauseLedAway, Ref: rt.ref,
		Detail: fmt.Sprintf("%s is on %s of %s, but %s leads it out by %s", k.Dst, home.Name, n.n.ID, rt.text, dev.Name),
	})
}

// home is the device of a namespace that has a connected route to an address and the
// wire of the namespace of ours that holds it: that wire itself, or a bridge with no
// port but such ones. Nil when there is none.
func (w *World) home(n *netns, ip netip.Addr) *snap.Link {
	for _, h := range w.holders[ip] {
		if h == n || !h.n.Class.Ours() {
			continue
		}
		for _, i := range h.addrs[ip] {
			if l := w.wireOf(n, h, h.links[h.n.Addrs[i].Index]); l != nil && n.connected(l, ip) {
				return l
			}
		}
	}
	return nil
}

// wireOf is the device of n at the other end of l of h, or the bridge that it is a port
// of; nil where there is none that is up, or the bridge leads elsewhere, too.
func (w *World) wireOf(n, h *netns, l *snap.Link) *snap.Link {
	if l == nil || l.Kind != "veth" || l.PeerNetns != n.n.ID {
		return nil
	}
	end := n.links[l.Peer]
	if end == nil || !end.Up {
		return nil
	}
	if end.Master == 0 {
		return end
	}
	br := n.links[end.Master]
	if br == nil || !br.Up || br.Bridge == nil {
		return nil
	}
	for _, p := range n.ports[br.Index] {
		if far := w.ns[p.PeerNetns]; p.Kind != "veth" || far == nil || !far.n.Class.Ours() {
			return nil
		}
	}
	return br
}

// connected says whether the main table has the route to an address that came with an
// address of the device (net/ipv4/fib_frontend.c: fib_add_ifaddr).
func (n *netns) connected(l *snap.Link, ip netip.Addr) bool {
	return slices.ContainsFunc(n.n.Routes, func(r snap.Route) bool {
		return r.Oif == l.Index && r.Protocol == "kernel" && r.Table == snap.TableMain && r.Type == "unicast" && r.Dst.Contains(ip)
	})
}
