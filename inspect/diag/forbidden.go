package diag

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Bounds of the negative proof: flows that are simulated, and live questions
// that are put: first for those that the model lets through, then for those
// that it does not.
const (
	maxForbidden = 8192
	maxHoles     = 24
	maxWalls     = 24
)

// closedPort is one that nothing is expected at: a packet to it that reaches the
// container is refused by the container's own stack.
const closedPort = 9

// forbid derives the flows that engines promise to stop, and follows each:
// between networks (kind "between"), between members of a network without ICC
// ("icc"), out of internal networks ("internal"), and from the host's
// neighbours to container addresses ("direct").
func (in *Input) forbid(o Options) {
	e := &expecter{in: in, host: in.Snap.HostNs(), seen: map[string]bool{}, max: maxForbidden}
	if e.host == nil {
		return
	}
	for i := range in.Snap.Networks {
		n := &in.Snap.Networks[i]
		if n.Driver != "bridge" || !keepsApart(in.Snap, n) {
			continue
		}
		ms := e.members(n)
		if !n.ICC {
			e.apart(n, ms)
		}
		if n.Internal {
			e.locked(n, ms)
		}
		e.between(n, ms)
		e.direct(n, ms)
	}
	in.Forbidden = in.only(e.flows, o.Only)
	in.sealed(e, o)
	for i := range in.Forbidden {
		f := &in.Forbidden[i]
		f.Trace = in.World.Trace(f.Flow)
		f.Probe = in.probeOf(f)
		f.Astray = in.caught(f)
	}
}

// caught says of a forbidden flow that somebody on the way takes it for its own: a
// proxy that rules redirect to, in the sender's namespace (a service mesh) or in the
// host's. An answer is that one's, then.
func (in *Input) caught(f *FlowCase) bool {
	c, t := in.Snap.Container(f.Target), f.Trace
	if t.Proxy != nil {
		t = t.Proxy
	}
	return c != nil && c.Netns != "" && t.Arrived != "" && t.Arrived != c.Netns
}

// sealed are the names of the world that containers of internal networks ask for.
func (in *Input) sealed(e *expecter, o Options) {
	for i := range in.Snap.Containers {
		c := &in.Snap.Containers[i]
		if c.State != "running" || c.Netns == "" || c.Netns == e.host.ID || in.Snap.Resolver(c.Ref) == nil || !e.onlyInternal(c) {
			continue
		}
		if len(o.Only) > 0 && !slices.Contains(o.Only, c.Netns) {
			continue
		}
		in.Sealed = append(in.Sealed, in.WorldName(c))
	}
}

// WorldName is the way of any name of the Internet that a container asks for.
func (in *Input) WorldName(c *snap.Container) NameCase {
	n := NameCase{From: c.Name, World: true, Because: []snap.Ref{snap.RefResolver(c.Ref)}, Ask: NameAsk{Netns: c.Netns, Container: c.Ref, Name: worldName}}
	n.Path = in.path(&n)
	return n
}

// onlyInternal says whether all networks of a container are internal.
func (e *expecter) onlyInternal(c *snap.Container) bool {
	for i := range c.Endpoints {
		if n := e.in.Snap.NetworkOf(c.Engine, &c.Endpoints[i]); n == nil || !n.Internal {
			return false
		}
	}
	return len(c.Endpoints) > 0
}

// keepsApart says whether the network's engine keeps its networks apart: Docker
// and our own do, netavark where the network says so (podman-network-create(1):
// isolate).
func keepsApart(s *snap.Snapshot, n *snap.Network) bool {
	switch n.Engine {
	case "docker":
		e := s.Engine(n.Engine)
		return e != nil && e.IPTables && e.Rules != "none" && !e.Rootless
	case "podman":
		return n.Options["isolate"] == "true" || n.Options["isolate"] == "strict"
	}
	if e := s.Engine(n.Engine); e != nil && n.Engine == "netdoctor" {
		return strings.HasPrefix(e.Rules, "docker-") // as that generation of Docker does
	}
	return false
}

// to is a flow to a member: to a port where it listens, unless that one is published and
// open by the network's own mode, or by an engine that leaves the members' own addresses
// open (dockerd(8): --allow-direct-routing).
func (e *expecter) to(kind string, from member, n *snap.Network, m member) FlowCase {
	f := FlowCase{
		Kind: kind, From: from.c.Name, To: m.c.Name, Network: n.Ref, Target: m.c.Ref,
		Because: []snap.Ref{snap.RefNetwork(n.Ref)},
		Flow:    sim.Flow{From: from.c.Netns, Dst: m.e.IPv4.Addr(), Proto: snap.TCP, Dport: closedPort},
	}
	s := Listening(e.in.Snap.Ns(m.c.Netns), m.e.IPv4.Addr())
	eng := e.in.Snap.Engine(n.Engine)
	open := n.GatewayMode4 == "routed" || eng != nil && eng.DirectRouting
	if s != nil && !(open && publishes(m.c, s.Local.Port())) {
		f.Flow.Dport = s.Local.Port()
	}
	f.To += ":" + portText(snap.TCP, f.Flow.Dport)
	return f
}

// publishes says that a container publishes a port of its own; with gateway mode routed
// no port of the host belongs to it.
func publishes(c *snap.Container, port uint16) bool {
	return slices.ContainsFunc(c.Ports, func(p snap.Port) bool { return p.ContainerPort == port && p.Proto == snap.TCP })
}

// apart: members of a network without ICC.
func (e *expecter) apart(n *snap.Network, ms []member) {
	for a := range ms {
		for b := range ms {
			if a != b && ms[a].c.Netns != ms[b].c.Netns {
				e.add(e.to("icc", ms[a], n, ms[b]))
			}
		}
	}
}

// between: from this network's members to those of the others that they share
// no network with. Past twelve members a side each reaches for two others: every
// address is then tried.
func (e *expecter) between(n *snap.Network, ms []member) {
	for i := range e.in.Snap.Networks {
		o := &e.in.Snap.Networks[i]
		if o == n || o.Driver != "bridge" || o.Engine != n.Engine || !keepsApart(e.in.Snap, o) || o.GatewayMode4 == "nat-unprotected" {
			continue
		}
		others := e.members(o)
		for a := range ms {
			for b := range others {
				if len(ms) > 12 && len(others) > 12 && (a+b)%len(others) > 1 {
					continue
				}
				if ms[a].c.Netns != others[b].c.Netns && !e.together(ms[a].c, others[b].c) {
					e.add(e.to("between", ms[a], o, others[b]))
				}
			}
		}
	}
}

// together says whether two containers share a network.
func (e *expecter) together(a, b *snap.Container) bool {
	for i := range a.Endpoints {
		n := e.in.Snap.NetworkOf(a.Engine, &a.Endpoints[i])
		for j := range b.Endpoints {
			if n != nil && e.in.Snap.NetworkOf(b.Engine, &b.Endpoints[j]) == n {
				return true
			}
		}
	}
	return false
}

// locked: a member of nothing but internal networks reaches neither the world
// nor, at an address of the host, what others publish.
func (e *expecter) locked(n *snap.Network, ms []member) {
	var at []netip.Addr
	for _, p := range n.Pools {
		if p.Gateway.Is4() {
			at = append(at, p.Gateway)
		}
	}
	for _, up := range Uplinks(e.in.Snap) {
		for _, a := range e.host.AddrsOf(up.Index) {
			if a.Prefix.Addr().Is4() {
				at = append(at, a.Prefix.Addr())
				break
			}
		}
	}
	for _, m := range ms {
		if !e.onlyInternal(m.c) {
			continue
		}
		base := FlowCase{Kind: "internal", From: m.c.Name, Network: n.Ref, Because: []snap.Ref{snap.RefNetwork(n.Ref)}}
		f := base
		f.To = "internet"
		f.Flow = sim.Flow{From: m.c.Netns, Dst: netip.MustParseAddr(outsideWorld[0]), Proto: snap.TCP, Dport: 443, StopOutside: true}
		e.add(f)
		for i := range e.in.Snap.Containers {
			c := &e.in.Snap.Containers[i]
			if c.State != "running" || c.Netns == "" || c.Netns == e.host.ID || e.together(m.c, c) {
				continue
			}
			for j := range c.Ports {
				p := &c.Ports[j]
				for _, ip := range at {
					if p.HostPort == 0 || p.Proto != snap.TCP || !CoversAddr(p, ip) {
						continue
					}
					f := base
					f.To, f.Target, f.Port = netip.AddrPortFrom(ip, p.HostPort).String()+"/tcp", c.Ref, p
					f.Flow = sim.Flow{From: m.c.Netns, Dst: ip, Proto: snap.TCP, Dport: p.HostPort}
					e.add(f)
				}
			}
		}
	}
}

// direct: a neighbour of the host that has a route to a container's address
// gets nowhere.
func (e *expecter) direct(n *snap.Network, ms []member) {
	docker := e.in.Snap.Engine(n.Engine)
	open := docker != nil && docker.DirectRouting
	if n.Engine != "docker" || open || n.GatewayMode4 != "" && n.GatewayMode4 != "nat" {
		return
	}
	for _, up := range Uplinks(e.in.Snap) {
		src := sources(e.host, up)
		for _, m := range ms {
			f := e.to("direct", m, n, m)
			f.From, f.Outside = "a neighbour on "+up.Name, true
			f.Flow.From, f.Flow.Iif, f.Flow.Src, f.Flow.StopOutside = e.host.ID, up.Name, src[max(len(src)-2, 0)], true
			e.add(f)
		}
	}
}

// GetsIn says of a forbidden flow whether it comes to where it must not, by the
// model or as a live answer shows.
func (f *FlowCase) GetsIn() bool {
	if f.Astray {
		return false
	}
	if p := ProbeSays(f.Probe); p == "delivered" || p == "refused" && f.Port == nil {
		return true
	}
	return f.predictedIn()
}

func (f *FlowCase) predictedIn() bool {
	t := f.Trace
	if t == nil {
		return false
	}
	if f.Target == "" {
		return t.LeftHost != "" && f.Works()
	}
	if t.Proxy != nil {
		t = t.Proxy
	}
	return t.Arrived != "" && (t.Arrived != f.Flow.From || f.Outside) && (f.Works() || t.Verdict == sim.Refused)
}

// refutations appends the live questions of the negative proof.
func (in *Input) refutations(out []snap.Probe) []snap.Probe {
	var holes, walls []snap.Probe
	for i := range in.Forbidden {
		f := &in.Forbidden[i]
		q, ok := in.Question(f)
		if !ok || f.Target == "" || f.Astray {
			continue
		}
		if f.predictedIn() {
			holes = append(holes, q)
		} else {
			walls = append(walls, q)
		}
	}
	for i := range in.Sealed {
		for _, s := range in.Sealed[i].Path.Servers {
			holes = append(holes, snap.Probe{Kind: "dns", From: s.AskedFrom, Dst: s.Addr, DNS: &snap.DNSProbe{Name: ".", Type: "NS"}})
			break // the first one is what the container itself asks
		}
	}
	return unique(unique(out, holes, maxHoles), spread(walls, maxWalls), maxWalls)
}

// spread picks n of a list at equal distances.
func spread(list []snap.Probe, n int) []snap.Probe {
	if len(list) <= n {
		return list
	}
	out := make([]snap.Probe, 0, n)
	for i := range n {
		out = append(out, list[i*len(list)/n])
	}
	return out
}
