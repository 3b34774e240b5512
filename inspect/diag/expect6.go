package diag

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// outsideWorld6 stand for "somewhere in the IPv6 Internet", as outsideWorld
// does for IPv4. Nothing is ever sent to them.
var outsideWorld6 = [...]string{"2606:4700:4700::1111", "2620:fe::fe"}

// six: on networks with IPv6, members reach each other by it, and the world
// where the host itself has an IPv6 way to it.
func (e *expecter) six() {
	world := reaches6(e.host)
	if f := (sim.Flow{From: e.host.ID, Dst: netip.MustParseAddr(outsideWorld6[0]), Proto: snap.TCP, Dport: 443, StopOutside: true}); world && Deaf(e.in.World.Trace(f)) {
		e.add(FlowCase{Kind: "egress", From: "host", To: "internet (IPv6)", Because: []snap.Ref{snap.RefNetns(e.host.ID)}, Flow: f})
	}
	if world {
		e.plain6()
	}
	for i := range e.in.Snap.Networks {
		n := &e.in.Snap.Networks[i]
		if !n.IPv6 || n.Driver != "bridge" {
			continue
		}
		var ms []member
		for _, m := range e.members(n) {
			if m.e.IPv6.IsValid() {
				ms = append(ms, m)
			}
		}
		for a := range ms {
			if b := ms[(a+1)%len(ms)]; n.ICC && !KeptApart(n) && b.c.Netns != ms[a].c.Netns {
				e.add(FlowCase{
					Kind: "peer", From: ms[a].c.Name, To: b.c.Name + " (IPv6)", Network: n.Ref, Target: b.c.Ref,
					Because: []snap.Ref{snap.RefNetwork(n.Ref), snap.RefContainer(b.c.Ref)},
					Flow:    sim.Flow{From: ms[a].c.Netns, Dst: b.e.IPv6.Addr(), Proto: snap.ICMPv6},
				})
			}
			if !world || !n.Outward() || !ms[a].e.Gateway6.IsValid() {
				continue
			}
			for _, w := range outsideWorld6 {
				e.add(FlowCase{
					Kind: "egress", From: ms[a].c.Name, To: "internet (IPv6)", Network: n.Ref, Because: []snap.Ref{snap.RefNetwork(n.Ref)},
					Flow: sim.Flow{From: ms[a].c.Netns, Dst: netip.MustParseAddr(w), Proto: snap.TCP, Dport: 443, StopOutside: true},
				})
			}
		}
	}
}

// plain6: a namespace of no engine whose IPv6 default route leads to this host is meant to
// reach the world by it, as plain has it, where this host does. Its address must be one
// that the world routes, or that this host translates: of others nobody makes use, as
// programs prefer IPv4 then (RFC 6724, section 5, rule 6).
func (e *expecter) plain6() {
	f := sim.Flow{From: e.host.ID, Dst: netip.MustParseAddr(outsideWorld6[0]), Proto: snap.TCP, Dport: 443, StopOutside: true}
	if own := (FlowCase{Trace: e.in.World.Trace(f)}); own.Broken() {
		return // who closes it to the host itself means it
	}
	for i := range e.in.Snap.Netns {
		ns := &e.in.Snap.Netns[i]
		gw := defaultGateway(ns, snap.IPv6)
		if _, here := e.host.HasAddr(gw); !here || ns.Class != snap.ClassAttached || len(ns.Containers) > 0 {
			continue
		}
		f.From = ns.ID
		src := e.in.ifOpen(f).ExitSrc.Addr()
		if src.IsValid() && !private(src) || !src.IsValid() && global6(ns) {
			e.add(FlowCase{Kind: "egress", From: ns.ID, To: "internet (IPv6)", Because: []snap.Ref{snap.RefNetns(ns.ID)}, Flow: f})
		}
	}
}

// Deaf says whether a packet ends because a rule stops the question for a neighbour,
// or the answer to it: to whoever asked, the neighbour looks dead.
func Deaf(t *sim.Trace) bool {
	w := t.Where
	return t.Verdict == sim.Dropped && w != nil && w.Layer == "neigh" && w.Rule != nil
}

// published6: who knocks at a port published for IPv6 is let in, where something on
// the host takes it: Docker says [::] of every port, whether or not it can serve
// it there (moby daemon/libnetwork/portmapper). Podman's are led on by rules alone.
func (e *expecter) published6(c *snap.Container, p *snap.Port, ups []*snap.Link) {
	for _, up := range ups {
		for _, a := range e.host.AddrsOf(up.Index) {
			ip := a.Prefix.Addr()
			if !ip.Is6() || !ip.IsGlobalUnicast() || !CoversAddr(p, ip) || !e.takes(p, ip) && !byRules6(c) {
				continue
			}
			for _, src := range sources6(e.host, up, a.Prefix) {
				e.add(FlowCase{
					Kind: "published", From: "outside (" + src.String() + ")", To: netip.AddrPortFrom(ip, p.HostPort).String() + "/" + string(p.Proto),
					Target: c.Ref, Port: p, Outside: true, Because: []snap.Ref{snap.RefContainer(c.Ref)},
					Flow: sim.Flow{From: e.host.ID, Iif: up.Name, Src: src, Dst: ip, Proto: p.Proto, Dport: p.HostPort, StopOutside: true},
				})
			}
			break // one address of the uplink is enough
		}
	}
}

// byRules6 says that a container's ports are led to it by rules for IPv6, and by
// nothing else: Podman's, where it has an address for them.
func byRules6(c *snap.Container) bool {
	return c != nil && c.Engine == "podman" && slices.ContainsFunc(c.Endpoints, func(ep snap.Endpoint) bool { return ep.IPv6.IsValid() })
}

// takes says whether a socket of the host takes what comes to a published port.
func (e *expecter) takes(p *snap.Port, to netip.Addr) bool {
	return slices.ContainsFunc(e.host.Sockets, func(s snap.Socket) bool {
		return s.Proto == p.Proto && s.Local.Port() == p.HostPort && !s.Remote.IsValid() && TakesAddr(&s, to)
	})
}

// sources6 are senders beyond an uplink, as sources gives them for IPv4: a neighbour,
// and where the host has a way to it the Internet.
func sources6(host *snap.Netns, up *snap.Link, on netip.Prefix) []netip.Addr {
	var out []netip.Addr
	for ip := on.Masked().Addr().Next(); on.Contains(ip) && len(out) == 0; ip = ip.Next() { // the first is the routers' anycast, never a sender: RFC 4291 2.6.1
		if _, mine := host.HasAddr(ip); !mine {
			out = append(out, ip)
		}
	}
	for _, r := range host.Routes {
		if r.Family == snap.IPv6 && r.Table == snap.TableMain && r.Type == "unicast" && r.Dst.Bits() == 0 && r.Oif == up.Index {
			return append(out, netip.MustParseAddr(outsideWorld6[1]))
		}
	}
	return out
}

// reaches6 says whether the host has an IPv6 default route of its own and a
// global address to use it with.
func reaches6(host *snap.Netns) bool {
	return global6(host) && slices.ContainsFunc(host.Routes, func(r snap.Route) bool {
		return r.Family == snap.IPv6 && r.Table == snap.TableMain && r.Type == "unicast" && r.Dst.Bits() == 0
	})
}

// global6 says whether a namespace has an IPv6 address that the world routes.
func global6(ns *snap.Netns) bool {
	return slices.ContainsFunc(ns.Addrs, func(a snap.Addr) bool {
		ip := a.Prefix.Addr()
		return ip.Is6() && ip.IsGlobalUnicast() && !ip.IsPrivate()
	})
}
