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
// MAC address. None before they were asked, see RouterQuestions.
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

// RouterQuestions are those by which a router is found when the host has no default
// route, or its gateway is not there: a name server that somebody here needs is asked
// by each neighbour that the host knows on its uplinks, and by the first and the last
// address of their subnets, where routers are put by custom. That is no guess: only
// who brings the answer is believed. They come after the answers of all Rounds.
func (in *Input) RouterQuestions() []snap.Probe {
	host := in.Snap.HostNs()
	server := in.cutOffServer()
	if host == nil || host.Light {
		return nil
	}
	if dead := in.DeadTunnels(); !server.IsValid() && len(dead) > 0 {
		if gw := DefaultGateway(host); gw.IsValid() && dead[0].Server.IsValid() { // does the uplink carry what the tunnel does not?
			return []snap.Probe{{Kind: "router", From: host.ID, Dst: dead[0].Server, Via: gw}}
		}
	}
	if !server.IsValid() {
		return nil
	}
	var out []snap.Probe
	add := func(a netip.Addr) {
		own := slices.ContainsFunc(host.Addrs, func(x snap.Addr) bool { return x.Prefix.Addr() == a })
		if !own && !slices.ContainsFunc(out, func(q snap.Probe) bool { return q.Via == a }) {
			out = append(out, snap.Probe{Kind: "router", From: host.ID, Dst: server, Via: a})
		}
	}
	if gw := DefaultGateway(host); gw.IsValid() {
		add(gw)
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

// Silence is a gateway that is not there.
type Silence struct {
	Gateway netip.Addr
	Flows   []int       // that die of it, among those that are followed that far
	Where   *sim.Where  // what the model says of it; nil: nothing
	Probe   *snap.Probe // that died of it; nil: none was sent that way
	// Idle says that it is there and carries nothing, as Probe shows, while another
	// neighbour does.
	Idle bool
}

// SilentGateway is the gateway of the host's IPv4 default route when the packets that
// are handed to it die for want of its MAC address: the model knows all who are on
// the wire, or a probe died of it; or when it carries nothing and another neighbour
// does. nil: there is none, or it does what it is for.
func (in *Input) SilentGateway() *Silence {
	host := in.Snap.HostNs()
	if host == nil || !DefaultGateway(host).IsValid() || host.Light {
		return nil
	}
	s := Silence{Gateway: DefaultGateway(host)}
	dies := func(t *sim.Trace, dst netip.Addr) bool {
		w := t.Where
		return t.Verdict == sim.Dropped && w != nil && !w.Reply && w.Cause == sim.CauseNeighFailed && w.Netns == host.ID && in.leadsBy(dst, s.Gateway)
	}
	for i := range in.Flows {
		if f := &in.Flows[i]; f.Broken() && !f.Excused && dies(f.Trace, f.Flow.Dst) {
			s.Flows, s.Where = append(s.Flows, i), f.Trace.Where
		}
	}
	for _, server := range in.worldServers() {
		if t := in.World.Trace(sim.Flow{From: host.ID, Dst: server.Addr(), Proto: snap.UDP, Dport: server.Port()}); s.Where == nil && dies(t, server.Addr()) {
			s.Where = t.Where
		}
	}
	for i := range in.Snap.Probes {
		p := &in.Snap.Probes[i]
		if p.Kind == "router" {
			switch {
			case p.Via != s.Gateway:
			case p.Outcome != snap.TimedOut:
				return nil // it is there
			case p.MAC != "" && len(in.Routers()) > 0:
				return &Silence{Gateway: s.Gateway, Probe: p, Idle: true}
			case p.MAC != "":
				return nil // nobody else carries anything either
			}
			continue
		}
		if diedOfNeighbour(p, host) && in.leadsBy(p.Dst.Addr(), s.Gateway) {
			s.Probe = p
		}
	}
	if s.Where == nil && s.Probe == nil {
		return nil
	}
	return &s
}

// diedOfNeighbour says whether the host gave up a probe, and not its answer, for want
// of the next hop's MAC address: it was seen to, or it says so.
func diedOfNeighbour(p *snap.Probe, host *snap.Netns) bool {
	if d := p.Died; d != nil {
		return d.Reason == "NEIGH_FAILED" && d.Netns == host.ID && !d.Answer
	}
	if p.Errno != "EHOSTUNREACH" {
		return false
	}
	_, own := host.HasAddr(p.By)
	return own || !p.By.IsValid() && p.From == host.ID
}

// leadsBy says whether the host's way to an address is by that gateway alone.
func (in *Input) leadsBy(dst, gw netip.Addr) bool {
	r := in.World.Route(in.Snap.Host.Netns, sim.RouteQuery{Dst: dst})
	return len(r.Ways) == 1 && r.Ways[0].Gateway == gw
}

// cutOffServer is a name server that names of this host need and that the host has
// no route to, or one that does not answer by the gateway; zero: there is none.
func (in *Input) cutOffServer() netip.AddrPort {
	host := in.Snap.HostNs()
	if host == nil {
		return netip.AddrPort{}
	}
	gw, silent := DefaultGateway(host), in.SilentGateway()
	for _, s := range in.worldServers() {
		switch {
		case !gw.IsValid() && in.World.Route(host.ID, sim.RouteQuery{Dst: s.Addr()}).Errno != "":
			return s
		case gw.IsValid() && (silent != nil || in.unanswered(s) || in.lostBy(gw)) && in.leadsBy(s.Addr(), gw):
			return s
		}
	}
	return netip.AddrPort{}
}

// lostBy says whether a flow that was asked for is led by a gateway, and neither the
// sender nor the host itself gets an answer.
func (in *Input) lostBy(gw netip.Addr) bool {
	return slices.ContainsFunc(in.Flows, func(f FlowCase) bool {
		return f.Asked && f.Trace.LeftHost != "" && f.Trace.LeftNetns == in.Snap.Host.Netns && ProbeSays(f.Probe) == "dropped" && in.TwinSays(&f) == "dropped" && in.leadsBy(f.Flow.Dst, gw)
	})
}

// unanswered says whether the host itself asked a name server in vain.
func (in *Input) unanswered(server netip.AddrPort) bool {
	lost := false
	for i := range in.Snap.Probes {
		p := &in.Snap.Probes[i]
		if p.Kind != "dns" || p.From != in.Snap.Host.Netns || p.Dst != server {
			continue
		}
		if p.Outcome == snap.Answered {
			return false
		}
		lost = lost || p.Outcome == snap.TimedOut
	}
	return lost
}

// worldServers are the IPv4 name servers that somebody on this host has written down
// or would be led to, loopback addresses apart.
func (in *Input) worldServers() []netip.AddrPort {
	var out []netip.AddrPort
	add := func(a netip.Addr, port uint16) {
		if s := netip.AddrPortFrom(a.Unmap(), port); s.Addr().Is4() && s.Addr().IsGlobalUnicast() && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	for i := range in.Names {
		if p := in.Names[i].Path; p != nil {
			for _, s := range p.Servers {
				add(s.Addr.Addr(), s.Addr.Port())
			}
		}
	}
	for i := range in.Snap.Resolvers {
		r := &in.Snap.Resolvers[i]
		for _, a := range slices.Concat(r.ResolvConf.Nameservers, r.Upstreams) {
			add(a, 53)
		}
	}
	return out
}

// onLink says whether an address is of a subnet of the device.
func onLink(ns *snap.Netns, l *snap.Link, a netip.Addr) bool {
	return slices.ContainsFunc(ns.AddrsOf(l.Index), func(x snap.Addr) bool { return x.Prefix.Contains(a) })
}
