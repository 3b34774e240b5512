package diag

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// outsideWorld are addresses that stand for "somewhere in the Internet" in
// predictions. Nothing is ever sent to them.
var outsideWorld = [...]string{"1.1.1.1", "9.9.9.9"}

// maxExpected bounds the flows that are followed on one host.
const maxExpected = 4096

// expecter collects the flows that this host's own configuration says must work.
type expecter struct {
	in    *Input
	host  *snap.Netns
	flows []FlowCase
	names []NameCase
	seen  map[string]bool
	max   int
}

// expect derives the cases.
func expect(in *Input) ([]FlowCase, []NameCase) {
	e := &expecter{in: in, host: in.Snap.HostNs(), seen: map[string]bool{}, max: maxExpected}
	if e.host == nil {
		return nil, nil
	}
	e.peers()
	e.egress()
	e.userEgress()
	e.six()
	e.tunnels()
	e.published()
	e.bannedOwn()
	e.balanced()
	e.untracked()
	e.plain()
	e.wired()
	e.diverted()
	e.meddled()
	e.relays()
	e.forwarded()
	e.tried()
	e.resolving()
	return e.flows, e.names
}

// add keeps a flow once.
func (e *expecter) add(f FlowCase) {
	key := f.Kind + "|" + f.From + "|" + f.To + "|" + f.Flow.Src.String()
	if e.seen[key] || len(e.flows) >= e.max {
		return
	}
	e.seen[key] = true
	e.flows = append(e.flows, f)
}

// KeptApart says whether a network was made in a mode in which its members exchange
// nothing, whatever is between them (docs.docker.com, macvlan and ipvlan; podman-
// network-create(1)).
func KeptApart(n *snap.Network) bool {
	switch n.Driver {
	case "macvlan":
		return n.Options["macvlan_mode"] == "private" || n.Options["mode"] == "private"
	case "ipvlan":
		return n.Options["ipvlan_flag"] == "private"
	}
	return false
}

// member is a running container of a network, with its endpoint there.
type member struct {
	c *snap.Container
	e *snap.Endpoint
}

func (e *expecter) members(n *snap.Network) []member {
	var out []member
	for i := range e.in.Snap.Containers {
		c := &e.in.Snap.Containers[i]
		if c.State != "running" || c.Netns == "" || c.Netns == e.host.ID || c.Engine != n.Engine {
			continue
		}
		for j := range c.Endpoints {
			if ep := &c.Endpoints[j]; e.in.Snap.NetworkOf(c.Engine, ep) == n && ep.IPv4.IsValid() {
				out = append(out, member{c, ep})
			}
		}
	}
	return out
}

// peers: containers of one network reach each other, unless the network says
// that they must not. Small networks are looked at as a whole, in large ones
// each member reaches its two neighbours: every link is then crossed.
func (e *expecter) peers() {
	for i := range e.in.Snap.Networks {
		n := &e.in.Snap.Networks[i]
		if n.Driver != "bridge" && n.Driver != "overlay" && n.Driver != "macvlan" {
			continue
		}
		if !n.ICC && n.Driver == "bridge" || n.Ingress || KeptApart(n) {
			continue // Docker's own rules keep the tasks apart on an ingress network
		}
		ms := e.members(n)
		reach := len(ms)
		if reach > 6 {
			reach = 3
		}
		for a := range ms {
			for d := 1; d < reach; d++ {
				b := (a + d) % len(ms)
				e.peer(n, ms[a], ms[b])
			}
		}
	}
}

// peer is one flow between two members: to a port where the other listens,
// else an echo request.
func (e *expecter) peer(n *snap.Network, a, b member) {
	if a.c.Netns == b.c.Netns {
		return
	}
	f := FlowCase{
		Kind: "peer", From: a.c.Name, Network: n.Ref, Target: b.c.Ref,
		Because: []snap.Ref{snap.RefNetwork(n.Ref), snap.RefContainer(b.c.Ref)},
		Flow:    sim.Flow{From: a.c.Netns, Dst: b.e.IPv4.Addr(), Proto: snap.ICMP},
	}
	f.To = b.c.Name + "/icmp"
	if s := Listening(e.in.Snap.Ns(b.c.Netns), b.e.IPv4.Addr()); s != nil {
		f.Flow.Proto, f.Flow.Dport = snap.TCP, s.Local.Port()
		f.To = b.c.Name + ":" + portText(snap.TCP, s.Local.Port())
	}
	e.add(f)
}

// Listening is a TCP socket of the namespace that would take connections to
// the address: the one with the lowest port; nil when there is none.
func Listening(ns *snap.Netns, to netip.Addr) *snap.Socket {
	if ns == nil {
		return nil
	}
	var best *snap.Socket
	for i := range ns.Sockets {
		s := &ns.Sockets[i]
		if s.Proto != snap.TCP || !TakesAddr(s, to) || s.Remote.IsValid() {
			continue
		}
		if best == nil || s.Local.Port() < best.Local.Port() {
			best = s
		}
	}
	return best
}

// TakesAddr says whether a socket's local address accepts packets to an address.
func TakesAddr(s *snap.Socket, to netip.Addr) bool {
	l := s.Local.Addr()
	switch {
	case l == to:
		return true
	case !l.IsUnspecified():
		return l.Is4In6() && l.Unmap() == to
	case l.Is4():
		return to.Is4()
	}
	return !to.Is4() || !s.V6Only
}

// egress: containers of networks that are not internal reach the world. Where
// the world ends is not known, so the way to the edge of this host counts, and
// what would become of an answer.
func (e *expecter) egress() {
	for i := range e.in.Snap.Networks {
		n := &e.in.Snap.Networks[i]
		if !n.Outward() || n.Driver != "bridge" || e.gatewayless(n) {
			continue
		}
		for _, m := range e.members(n) {
			if !e.isGatewayNet(m, n) {
				continue
			}
			for _, w := range outsideWorld {
				e.add(FlowCase{
					Kind: "egress", From: m.c.Name, To: "internet", Network: n.Ref,
					Because: []snap.Ref{snap.RefNetwork(n.Ref)},
					Flow:    sim.Flow{From: m.c.Netns, Dst: netip.MustParseAddr(w), Proto: snap.TCP, Dport: 443, StopOutside: true},
				})
			}
		}
	}
}

// gatewayless says that a network's owner made it without a gateway on this host,
// and that nobody can be one, as only its members are on its bridge: they have each
// other, no more.
func (e *expecter) gatewayless(n *snap.Network) bool {
	br := e.host.Link(n.Bridge)
	if br == nil || !n.GatewayElsewhere() || slices.ContainsFunc(n.Pools, func(p snap.Pool) bool { return len(e.in.Graph.Owners(p.Gateway)) > 0 }) {
		return false
	}
	ports := 0
	for i := range e.host.Links {
		if e.host.Links[i].Master == br.Index {
			ports++
		}
	}
	return ports <= len(e.members(n))
}

// isGatewayNet says whether the network is the one that the container's
// default route should use: its only one that is not internal, or, of several,
// the one that its default route names now.
func (e *expecter) isGatewayNet(m member, n *snap.Network) bool {
	var outer []*snap.Network
	for i := range m.c.Endpoints {
		if x := e.in.Snap.NetworkOf(m.c.Engine, &m.c.Endpoints[i]); x != nil && x.Outward() {
			outer = append(outer, x)
		}
	}
	if len(outer) < 2 {
		return true
	}
	ns := e.in.Snap.Ns(m.c.Netns)
	if ns == nil {
		return false
	}
	for _, r := range ns.Routes {
		if r.Family == snap.IPv4 && r.Table == snap.TableMain && r.Dst.Bits() == 0 {
			return e.in.Graph.NetworkOfAddr(r.Gateway) == n
		}
	}
	return outer[0] == n // nothing names one: any missing default route is one fault, told once
}

// Uplinks are the host's devices that lead to the world: those of its default
// routes; when there is none, all that lead out.
func Uplinks(s *snap.Snapshot) []*snap.Link {
	host := s.HostNs()
	if host == nil {
		return nil
	}
	var out []*snap.Link
	take := func(index int) {
		if l := host.LinkAt(index); l != nil && !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	for _, r := range host.Routes {
		if r.Type != "unicast" || r.Dst.Bits() != 0 || r.Table != snap.TableMain {
			continue
		}
		take(r.Oif)
		for _, h := range r.Nexthops {
			take(h.Oif)
		}
	}
	if len(out) > 0 {
		return out
	}
	return Outward(s)
}

// Outward are the host's devices that lead out of it, by a default route or
// not: with an address, and neither to a bridge of its own nor to one of its
// namespaces. One that is down may have lost its address.
func Outward(s *snap.Snapshot) []*snap.Link {
	host := s.HostNs()
	if host == nil {
		return nil
	}
	var out []*snap.Link
	for i := range host.Links {
		l := &host.Links[i]
		if l.Loopback || l.Master != 0 || l.Bridge != nil || len(host.AddrsOf(l.Index)) == 0 && l.Up {
			continue
		}
		if p := s.Ns(l.PeerNetns); l.Kind == "veth" && p != nil && p.Class.Ours() {
			continue
		}
		switch l.Kind {
		case "", "veth", "vlan", "bond", "macvlan", "ipvlan", "team":
			out = append(out, l)
		}
	}
	return out
}

// sources are senders beyond an uplink, from near to far: the gateway, another
// neighbour on that link, somebody in the Internet. A published port that is
// fenced off for some of them may be so by will; for all of them it is broken.
func sources(host *snap.Netns, up *snap.Link) []netip.Addr {
	var out []netip.Addr
	for _, r := range host.Routes {
		if r.Family == snap.IPv4 && r.Oif == up.Index && r.Dst.Bits() == 0 && r.Gateway.Is4() {
			out = append(out, r.Gateway)
		}
	}
	for _, a := range host.AddrsOf(up.Index) {
		if !a.Prefix.Addr().Is4() || a.Prefix.Bits() > 30 {
			continue
		}
		for ip := a.Prefix.Masked().Addr().Next(); a.Prefix.Contains(ip); ip = ip.Next() {
			if _, mine := host.HasAddr(ip); !mine && !slices.Contains(out, ip) {
				out = append(out, ip)
				break
			}
		}
	}
	return append(out, netip.MustParseAddr(outsideWorld[0]))
}

// published: who knocks at a published port from outside reaches the container.
func (e *expecter) published() {
	ups := e.doors()
	for i := range e.in.Snap.Containers {
		c := &e.in.Snap.Containers[i]
		if c.State != "running" || c.Netns == "" || c.Netns == e.host.ID {
			continue
		}
		for j := range c.Ports {
			p := &c.Ports[j]
			if p.HostPort == 0 || !(p.Proto == snap.TCP || p.Proto == snap.UDP) {
				continue
			}
			if p.HostIP.Is6() && !p.HostIP.Is4In6() {
				e.published6(c, p, ups)
				continue
			}
			e.publishedLocal(c, p)
			if p.HostIP.IsLoopback() {
				continue
			}
			e.publishedOwn(c, p, ups)
			for _, up := range ups {
				e.publishedFrom(c, p, up)
			}
		}
	}
}

func (e *expecter) publishedFrom(c *snap.Container, p *snap.Port, up *snap.Link) {
	for _, a := range e.host.AddrsOf(up.Index) {
		ip := a.Prefix.Addr()
		if !ip.Is4() || p.HostIP.IsValid() && !p.HostIP.IsUnspecified() && p.HostIP != ip {
			continue
		}
		for _, src := range sources(e.host, up) {
			e.add(FlowCase{
				Kind: "published", From: "outside (" + src.String() + ")", To: netip.AddrPortFrom(ip, p.HostPort).String() + "/" + string(p.Proto),
				Target: c.Ref, Port: p, Outside: true, Because: []snap.Ref{snap.RefContainer(c.Ref)},
				Flow: sim.Flow{From: e.host.ID, Iif: up.Name, Src: src, Dst: ip, Proto: p.Proto, Dport: p.HostPort, StopOutside: true},
			})
		}
		e.banned(c, p, up, ip)
		return // one address of the uplink is enough
	}
}

func portText(p snap.Proto, port uint16) string {
	return strconv.Itoa(int(port)) + "/" + string(p)
}

// publishedLocal: the host itself reaches a published port, at the loopback
// address where it is published for all addresses.
func (e *expecter) publishedLocal(c *snap.Container, p *snap.Port) {
	dst := p.HostIP
	if !dst.IsValid() || dst.IsUnspecified() {
		dst = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if _, ok := e.host.HasAddr(dst); !ok && !dst.IsLoopback() {
		return
	}
	e.add(FlowCase{
		Kind: "published-local", From: "host", To: netip.AddrPortFrom(dst, p.HostPort).String() + "/" + string(p.Proto),
		Target: c.Ref, Port: p, Because: []snap.Ref{snap.RefContainer(c.Ref)},
		Flow: sim.Flow{From: e.host.ID, Dst: dst, Proto: p.Proto, Dport: p.HostPort},
	})
}
