package diag

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxRouters bounds the neighbours that are tried as routers, each with one
// question to one name server.
const maxRouters = 8

// Router is a neighbour of the host that was seen to carry packets to the world.
type Router struct {
	Link  *snap.Link
	Addr  netip.Addr
	Probe *snap.Probe
}

// Routers are the neighbours on the host's uplinks that carried a question to a name
// server, of which the host has no route, and had the answer come back: one for each
// MAC address. None before they were asked, see Rounds.
func (in *Input) Routers() []Router {
	var out []Router
	host := in.Snap.HostNs()
	if host == nil {
		return nil
	}
	for i := range in.Snap.Probes {
		p := &in.Snap.Probes[i]
		if p.Kind != "router" || p.From != host.ID || p.Outcome != snap.Answered {
			continue
		}
		for _, l := range Uplinks(in.Snap) {
			if onLink(host, l, p.Via) && !slices.ContainsFunc(out, func(r Router) bool { return r.Addr == p.Via || r.Probe.MAC == p.MAC }) {
				out = append(out, Router{l, p.Via, p})
			}
		}
	}
	return out
}

// routerQuestions are those by which a router is found when the host lost its
// default route: a name server that somebody here needs is asked by each neighbour
// that the host knows on its uplinks, and by the first and the last address of
// their subnets, where routers are put by custom. That is no guess: only who brings
// the answer is believed.
func (in *Input) routerQuestions() []snap.Probe {
	host := in.Snap.HostNs()
	server := in.cutOffServer()
	if host == nil || host.Light || !server.IsValid() {
		return nil
	}
	var out []snap.Probe
	add := func(a netip.Addr) {
		own := slices.ContainsFunc(host.Addrs, func(x snap.Addr) bool { return x.Prefix.Addr() == a })
		if !own && !slices.ContainsFunc(out, func(q snap.Probe) bool { return q.Via == a }) {
			out = append(out, snap.Probe{Kind: "router", From: host.ID, Dst: server, Via: a})
		}
	}
	for _, l := range Uplinks(in.Snap) {
		if !l.Up || !l.LowerUp || l.NoARP {
			continue
		}
		for _, n := range host.Neighs {
			if n.Index == l.Index && n.IP.Is4() && n.MAC != "" && n.State != "failed" && !n.Proxy && onLink(host, l, n.IP) {
				add(n.IP)
			}
		}
		for _, a := range host.AddrsOf(l.Index) {
			if p := a.Prefix.Masked(); p.Addr().Is4() && p.Bits() <= 30 && !p.Addr().IsLinkLocalUnicast() {
				add(p.Addr().Next())
				add(snap.LastAddr(p).Prev())
			}
		}
	}
	return out[:min(len(out), maxRouters)]
}

// cutOffServer is a name server that names of this host need and that the host has
// no route to; zero: there is none, or the host has a default route.
func (in *Input) cutOffServer() netip.AddrPort {
	host := in.Snap.HostNs()
	if host == nil || DefaultGateway(host).IsValid() {
		return netip.AddrPort{}
	}
	for i := range in.Names {
		if in.Names[i].Path == nil {
			continue
		}
		for _, s := range in.Names[i].Path.Servers {
			a := s.Addr.Addr().Unmap()
			if a.Is4() && a.IsGlobalUnicast() && in.World.Route(host.ID, sim.RouteQuery{Dst: a}).Errno != "" {
				return netip.AddrPortFrom(a, s.Addr.Port())
			}
		}
	}
	return netip.AddrPort{}
}

// onLink says whether an address is of a subnet of the device.
func onLink(ns *snap.Netns, l *snap.Link, a netip.Addr) bool {
	return slices.ContainsFunc(ns.AddrsOf(l.Index), func(x snap.Addr) bool { return x.Prefix.Contains(a) })
}
