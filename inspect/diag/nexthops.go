package diag

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxHops bounds the next hops that are asked for.
const maxHops = 16

// Hop is one gateway of a route of this host's: one of several of its next hops, or
// the only one of the host's IPv6 default route.
type Hop struct {
	Netns   *snap.Netns
	Route   int // into Netns.Routes
	Index   int // into its Nexthops; -1: the route has but this one
	Gateway netip.Addr
	Link    *snap.Link
	// Probe asked who has the gateway; nil: nothing was sent.
	Probe *snap.Probe
	// Neigh is what the namespace remembers of it; nil: nothing.
	Neigh *snap.Neigh
}

// Hops are the gateways on devices that ask for neighbours, by route.
func (in *Input) Hops() []Hop {
	var out []Hop
	for i := range in.Snap.Netns {
		ns := &in.Snap.Netns[i]
		if !ns.Class.Ours() || ns.Light {
			continue
		}
		for k := range ns.Routes {
			r := &ns.Routes[k]
			if r.Type != "unicast" || r.Table == snap.TableLocal {
				continue
			}
			add := func(index int, gw netip.Addr, oif int) {
				l := ns.LinkAt(oif)
				if !gw.IsValid() || l == nil || !l.Up || !l.LowerUp || l.NoARP || l.Loopback || l.MAC == "" || len(out) >= maxHops {
					return
				}
				h := Hop{Netns: ns, Route: k, Index: index, Gateway: gw, Link: l}
				for j := range ns.Neighs {
					if n := &ns.Neighs[j]; n.Index == oif && n.IP == gw && !n.Proxy {
						h.Neigh = n
					}
				}
				for j := range in.Snap.Probes {
					if p := &in.Snap.Probes[j]; (p.Kind == "neigh" || p.Kind == "arp") && p.From == ns.ID && p.Dst.Addr() == h.asked() {
						h.Probe = p
					}
				}
				out = append(out, h)
			}
			for j, n := range r.Nexthops {
				add(j, n.Gateway, n.Oif)
			}
			if len(r.Nexthops) == 0 && ns.ID == in.Snap.Host.Netns && r.Family == snap.IPv6 && r.Dst.Bits() == 0 && r.Table == snap.TableMain {
				add(-1, r.Gateway, r.Oif)
			}
		}
	}
	return out
}

// asked is the gateway as a question names it: a link-local one by its device.
func (h *Hop) asked() netip.Addr {
	if h.Gateway.IsLinkLocalUnicast() && h.Gateway.Is6() {
		return h.Gateway.WithZone(h.Link.Name)
	}
	return h.Gateway
}

// Dead says whether nobody on the wire has the gateway: it was asked for in vain, or
// the kernel has done so.
func (h *Hop) Dead() bool {
	if h.known() {
		return false
	}
	if p := h.Probe; p != nil {
		return p.Outcome == snap.TimedOut && p.Sent > 0
	}
	return h.Neigh != nil && h.Neigh.State == "failed"
}

// known says whether the kernel has the gateway's address, and lately used it.
func (h *Hop) known() bool {
	return h.Neigh != nil && (h.Neigh.State == "permanent" || h.Neigh.State == "noarp" || h.Neigh.State == "reachable")
}

// askedBy says whether a flow that was asked for may be led by the gateway.
func (in *Input) askedBy(h *Hop) bool {
	return slices.ContainsFunc(in.Flows, func(f FlowCase) bool {
		dst := f.Trace.ExitDst.Addr()
		if !dst.IsValid() {
			dst = f.Flow.Dst
		}
		return slices.ContainsFunc(in.World.Route(h.Netns.ID, sim.RouteQuery{Dst: dst}).Ways, func(w sim.RouteWay) bool { return w.Gateway == h.Gateway })
	})
}

// hopQuestions ask who has the gateways of routes with several, and of the IPv6
// default route: a connection is led by one of them, which no single probe shows.
func (in *Input) hopQuestions() []snap.Probe {
	var out []snap.Probe
	hops := in.Hops()
	for i := range hops {
		h := &hops[i]
		if h.known() || in.onlyAsked && !in.askedBy(h) {
			continue
		}
		q := snap.Probe{Kind: "neigh", From: h.Netns.ID, Dst: netip.AddrPortFrom(h.asked(), 0)}
		if !slices.ContainsFunc(out, func(x snap.Probe) bool { return x.From == q.From && x.Dst == q.Dst }) {
			out = append(out, q)
		}
	}
	return out
}
