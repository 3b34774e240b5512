package diag

import (
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// plain: a namespace of no engine that has a default route through this host, or
// to a gateway that only this host could be, is meant to reach the world, and so is
// one whose addresses this host translates.
func (e *expecter) plain() {
	lost := map[string]bool{}
	for _, p := range e.in.Plains() {
		lost[p.NS.ID] = e.in.Lost(&p)
	}
	for _, x := range e.in.Routed() {
		lost[x.NS.ID] = true
	}
	for _, a := range e.in.Adrift() {
		lost[a.NS.ID] = true
	}
	for i := range e.in.Snap.Netns {
		ns := &e.in.Snap.Netns[i]
		if ns.Class != snap.ClassAttached || len(ns.Containers) > 0 || !lost[ns.ID] && !e.onward(ns) {
			continue
		}
		for _, w := range outsideWorld {
			e.add(FlowCase{
				Kind: "egress", From: ns.ID, To: "internet", Because: []snap.Ref{snap.RefNetns(ns.ID)},
				Flow: sim.Flow{From: ns.ID, Dst: netip.MustParseAddr(w), Proto: snap.TCP, Dport: 443, StopOutside: true},
			})
		}
	}
}

// onward says whether a namespace's default route leads to this host, by way of other
// namespaces of ours, each of which has a default route of its own: whoever was made
// the router of others is meant to route.
func (e *expecter) onward(ns *snap.Netns) bool {
	for range 8 {
		gw := DefaultGateway(ns)
		if !gw.IsValid() {
			return false
		}
		if _, here := e.host.HasAddr(gw); here {
			return true
		}
		owners := e.in.Graph.Owners(gw)
		if len(owners) != 1 || owners[0].Netns == ns || owners[0].Netns.Class != snap.ClassAttached || len(owners[0].Netns.Containers) > 0 {
			return false
		}
		ns = owners[0].Netns
	}
	return false
}

// DefaultGateway is the gateway of a namespace's IPv4 default route in the
// main table, invalid when there is none.
func DefaultGateway(ns *snap.Netns) netip.Addr { return defaultGateway(ns, snap.IPv4) }

func defaultGateway(ns *snap.Netns, family snap.Family) netip.Addr {
	best := netip.Addr{}
	metric := ^uint32(0)
	for _, r := range ns.Routes {
		if r.Family == family && r.Table == snap.TableMain && r.Type == "unicast" && r.Dst.Bits() == 0 && r.Gateway.IsValid() && r.Metric < metric {
			best, metric = r.Gateway, r.Metric
		}
	}
	return best
}
