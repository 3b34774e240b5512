package diag

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxTunnelEnds bounds the other ends of one VXLAN device that are looked at.
const maxTunnelEnds = 8

// tunnels: what this host's VXLAN devices send to the other ends gets out, and what
// those send comes in.
func (e *expecter) tunnels() {
	for i := range e.host.Links {
		l := &e.host.Links[i]
		v := l.Vxlan
		if v == nil || !l.Up || v.External {
			continue
		}
		for _, n := range Unplaced(e.host, l) {
			e.add(FlowCase{
				Kind: "tunnel", From: "host", To: n.IP.String(), Because: []snap.Ref{snap.RefLink(e.host.ID, l.Name)},
				Flow: sim.Flow{From: e.host.ID, Dst: n.IP, Proto: snap.ICMP, StopOutside: true},
			})
		}
		for _, end := range e.ends(l) {
			to := netip.AddrPortFrom(end, v.Port)
			e.add(FlowCase{
				Kind: "tunnel", From: "host", To: to.String() + "/udp", Because: []snap.Ref{snap.RefLink(e.host.ID, l.Name)},
				Flow: sim.Flow{From: e.host.ID, Dst: end, Proto: snap.UDP, Dport: v.Port, StopOutside: true},
			})
		}
		if !v.Local.IsValid() || !v.Local.Is4() {
			continue
		}
		lower := e.host.LinkAt(v.Lower)
		if _, mine := e.host.HasAddr(v.Local); !mine || lower == nil {
			continue
		}
		for _, end := range e.ends(l) {
			e.add(FlowCase{
				Kind: "tunnel", From: "VXLAN end " + end.String(), To: netip.AddrPortFrom(v.Local, v.Port).String() + "/udp", Outside: true,
				Because: []snap.Ref{snap.RefLink(e.host.ID, l.Name)},
				Flow:    sim.Flow{From: e.host.ID, Iif: lower.Name, Src: end, Dst: v.Local, Proto: snap.UDP, Dport: v.Port, StopOutside: true},
			})
		}
	}
}

// Unplaced are the lasting IPv4 neighbours of a VXLAN device that routes go by, and for
// whose MAC it has nowhere to send (drivers/net/vxlan/vxlan_core.c: vxlan_xmit): it has no
// forwarding entry of it, and neither floods, learns, nor asks a program.
func Unplaced(ns *snap.Netns, l *snap.Link) []*snap.Neigh {
	var out []*snap.Neigh
	if v := l.Vxlan; v == nil || v.External || v.Learning || v.L2Miss || v.L3Miss || v.Remote.IsValid() {
		return nil
	}
	for i := range ns.Neighs {
		n := &ns.Neighs[i]
		if n.Index != l.Index || !n.IP.Is4() || n.State != "permanent" || slices.ContainsFunc(ns.FDB, func(e snap.FDBEntry) bool {
			return e.Index == l.Index && (e.MAC == n.MAC || e.MAC == "00:00:00:00:00:00")
		}) {
			continue
		}
		if slices.ContainsFunc(ns.Routes, func(r snap.Route) bool { return r.Oif == l.Index && r.Gateway == n.IP }) {
			out = append(out, n)
		}
	}
	return out
}

// ends are the other ends that a VXLAN device knows, by its own setting and its
// forwarding entries.
func (e *expecter) ends(l *snap.Link) []netip.Addr {
	var out []netip.Addr
	add := func(a netip.Addr) {
		if a.Is4() && !a.IsMulticast() && !a.IsUnspecified() && !slices.Contains(out, a) && len(out) < maxTunnelEnds {
			out = append(out, a)
		}
	}
	add(l.Vxlan.Remote)
	for _, f := range e.host.FDB {
		if f.Index == l.Index {
			add(f.Dst)
		}
	}
	return out
}

// shutTunnel says whether a flow to a neighbour behind a tunnel dies at a port of the
// bridge that tunnel and sender are on: the port is isolated, blocked, in another VLAN,
// or is given no broadcasts.
func (in *Input) shutTunnel(f *FlowCase) bool {
	host, ns := in.Snap.HostNs(), in.Snap.Ns(f.Flow.From)
	w := RulePlace(f.Trace.Where)
	if w == nil || host == nil || ns == nil || !in.ours(w.Netns) || len(in.Graph.Owners(f.Flow.Dst)) > 0 ||
		!slices.Contains([]sim.Cause{sim.CauseBridgeFlood, sim.CauseIsolated, sim.CausePortState, sim.CauseVlan}, w.Cause) {
		return false
	}
	for i := range ns.Links {
		l := &ns.Links[i]
		if l.Kind != "veth" || l.PeerNetns != host.ID || !slices.ContainsFunc(ns.AddrsOf(l.Index), func(a snap.Addr) bool { return a.Prefix.Contains(f.Flow.Dst) }) {
			continue
		}
		if end := host.LinkAt(l.Peer); end != nil && end.Master != 0 {
			if br := host.LinkAt(end.Master); br != nil && slices.ContainsFunc(in.Graph.Ports(host, br), func(p *snap.Link) bool { return p.Vxlan != nil && p.Up }) {
				return true
			}
		}
	}
	return false
}
