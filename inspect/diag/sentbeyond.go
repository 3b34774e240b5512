package diag

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// SentBeyond is the address of a machine beyond this host that a DNAT rule sends a flow
// to, although a container here publishes the port; invalid: none does.
func (in *Input) SentBeyond(f *FlowCase) netip.Addr {
	if f.Port == nil || in.Snap.Container(f.Target) == nil {
		return netip.Addr{}
	}
	k := slices.IndexFunc(f.Trace.NATed, func(n rules.NAT) bool { return !n.Src && n.AddrMin.IsValid() })
	if k < 0 {
		return netip.Addr{}
	}
	to := f.Trace.NATed[k].AddrMin
	if to.IsLoopback() || len(in.Graph.Owners(to)) > 0 || in.Graph.NetworkOfAddr(to) != nil || !in.outThere(to) {
		return netip.Addr{}
	}
	return to
}

// outThere says whether the host's way to an address leads out of it, and to none of its
// bridges.
func (in *Input) outThere(to netip.Addr) bool {
	ways := in.World.Route(in.Snap.Host.Netns, sim.RouteQuery{Dst: to}).Ways
	return len(ways) > 0 && !slices.ContainsFunc(ways, func(w sim.RouteWay) bool {
		return !slices.ContainsFunc(Outward(in.Snap), func(l *snap.Link) bool { return l.Name == w.Dev })
	})
}

// askBeyond are the questions of who is there at the addresses of SentBeyond that are of
// an uplink's own subnet.
func (in *Input) askBeyond() []snap.Probe {
	var out []snap.Probe
	host := in.Snap.HostNs()
	for i := range in.Flows {
		to := in.SentBeyond(&in.Flows[i])
		if !to.Is4() || slices.ContainsFunc(out, func(q snap.Probe) bool { return q.Dst.Addr() == to }) {
			continue
		}
		for _, l := range Uplinks(in.Snap) {
			if onLink(host, l, to) && len(out) < maxPinned {
				out = append(out, snap.Probe{Kind: "arp", From: host.ID, Dst: netip.AddrPortFrom(to, 0)})
			}
		}
	}
	return out
}

// Neighbour is what the host heard when it asked the wire for an address: the probe, whose
// MAC is that of who answered; nil: it was not asked.
func (in *Input) Neighbour(a netip.Addr) *snap.Probe {
	for i := len(in.Snap.Probes) - 1; i >= 0; i-- {
		if p := &in.Snap.Probes[i]; p.Kind == "arp" && p.From == in.Snap.Host.Netns && p.Dst.Addr() == a && (p.Outcome == snap.Answered || p.Outcome == snap.TimedOut) {
			return p
		}
	}
	return nil
}
