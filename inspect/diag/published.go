package diag

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// CoversAddr says whether a published port is bound to an address of the host.
func CoversAddr(p *snap.Port, dst netip.Addr) bool {
	switch ip := p.HostIP.Unmap(); {
	case !p.HostIP.IsValid():
		return true
	case ip.IsUnspecified():
		return ip.Is4() == dst.Is4()
	default:
		return ip == dst
	}
}

// PublishedAt is the running container that publishes a port of the host at an
// address, and how; of those that publish the port at other addresses only one
// is given with at false; nil when there is none.
func (in *Input) PublishedAt(dst netip.Addr, port uint16, proto snap.Proto) (c *snap.Container, p *snap.Port, at bool) {
	for i := range in.Snap.Containers {
		x := &in.Snap.Containers[i]
		for j := range x.Ports {
			q := &x.Ports[j]
			if !x.Running() || q.HostPort != port || q.Proto != proto || port == 0 {
				continue
			}
			if CoversAddr(q, dst) {
				return x, q, true
			}
			if c == nil {
				c, p = x, q
			}
		}
	}
	return c, p, false
}

// aim finds the container that an asked flow to a published port is meant for.
func (in *Input) aim(f *FlowCase) {
	host := in.Snap.HostNs()
	if f.Target != "" || host == nil {
		return
	}
	if _, mine := host.HasAddr(f.Flow.Dst); !mine && !f.Flow.Dst.IsLoopback() {
		return
	}
	if f.Flow.Dst.IsLoopback() && f.Flow.From != host.ID {
		return
	}
	if c, p, ok := in.PublishedAt(f.Flow.Dst, f.Flow.Dport, f.Flow.Proto); ok {
		f.Target, f.Port = c.Ref, p
		return
	}
	for i := range in.Snap.Containers { // one that has ended, and whose port nobody has taken over
		c := &in.Snap.Containers[i]
		for j := range c.Ports {
			p := &c.Ports[j]
			if f.Asked && !c.Running() && f.Flow.Dport != 0 && p.HostPort == f.Flow.Dport && p.Proto == f.Flow.Proto && CoversAddr(p, f.Flow.Dst) {
				f.Target, f.Port = c.Ref, p
				return
			}
		}
	}
}

// astray says whether the flow is answered, but by somebody else than the
// container that publishes the port: a placeholder socket of the engine, or
// another program on the host, or a machine that a rule sends it on to. A socket whose process could not be seen may be that
// of the engine's proxy.
func (in *Input) astray(f *FlowCase) bool {
	if (f.Asked || f.Kind == "turned") && in.turned(f) {
		return true
	}
	c := in.Snap.Container(f.Target)
	if c == nil || f.Port == nil || c.Netns == "" {
		return false
	}
	if f.Trace.LeftHost != "" && f.Outside && in.SentBeyond(f).IsValid() {
		return true
	}
	if f.Trace.Verdict != sim.Delivered || f.Trace.Arrived == "" {
		return false
	}
	t := f.Trace
	if t.Proxy != nil {
		t = t.Proxy
	}
	eng := in.Snap.Engine(c.Engine)
	if t.Socket != nil && forwards(t.Socket.Process) {
		return false
	}
	if t.Socket != nil && t.Socket.Process == nil && t.Arrived == in.Snap.Host.Netns && eng != nil && eng.UserlandProxy {
		return false
	}
	return t.Arrived != c.Netns
}

// forwards says whether a process carries published ports into the namespace of a
// user's own containers: without root there is no DNAT (rootlesskit pkg/port/builtin;
// podman cmd/rootlessport; passt(1); slirp4netns(1)).
func forwards(p *snap.Process) bool {
	return p != nil && (p.Name == "rootlesskit" || p.Name == "rootlessport" || p.UserNAT())
}

// publishedOwn: a container reaches its own published port at the host's address,
// where its engine relies on hairpin mode for that. With a userland proxy the way
// leads over the host's own INPUT, which may well be closed; and where the members of a
// network are kept apart, its rule drops what comes back by the same bridge.
func (e *expecter) publishedOwn(c *snap.Container, p *snap.Port, ups []*snap.Link) {
	eng := e.in.Snap.Engine(c.Engine)
	if eng == nil || eng.Name != "docker" || eng.UserlandProxy || !eng.IPTables {
		return
	}
	if n := e.publisher(c); n != nil && !n.ICC {
		return
	}
	for _, up := range ups {
		for _, a := range e.host.AddrsOf(up.Index) {
			ip := a.Prefix.Addr()
			if !ip.Is4() || !CoversAddr(p, ip) {
				continue
			}
			e.add(FlowCase{
				Kind: "published-own", From: c.Name, To: netip.AddrPortFrom(ip, p.HostPort).String() + "/" + string(p.Proto),
				Target: c.Ref, Port: p, Because: []snap.Ref{snap.RefContainer(c.Ref)},
				Flow: sim.Flow{From: c.Netns, Dst: ip, Proto: p.Proto, Dport: p.HostPort},
			})
			return // one address is enough
		}
	}
}

// publisher is the network whose bridge leads a container's published ports to it, nil
// when it is on none that is known.
func (e *expecter) publisher(c *snap.Container) *snap.Network {
	var first *snap.Network
	var ep *snap.Endpoint
	for i := range c.Endpoints {
		x := &c.Endpoints[i]
		if n := e.in.Snap.NetworkOf(c.Engine, x); n != nil && (first == nil || snap.GatewayOrder(x, n, ep, first) < 0) {
			first, ep = n, x
		}
	}
	return first
}

// shut says of an uplink that the host forwards nothing that comes in by it, although it
// does forward and its own traffic goes by another one: setting ip_forward sets all devices
// (net/ipv4/devinet.c: inet_forward_change), so that somebody has closed this one, such as a
// card for management.
func (e *expecter) shut(up *snap.Link) bool {
	global, _ := e.host.Sysctl("net/ipv4/ip_forward")
	own, ok := e.host.Sysctl("net/ipv4/conf/" + up.Name + "/forwarding")
	r := e.in.World.Route(e.host.ID, sim.RouteQuery{Dst: netip.MustParseAddr(outsideWorld[0])})
	return global == "1" && ok && own == "0" && len(r.Ways) > 0 && r.Ways[0].Dev != up.Name
}

// doors are the devices by which published ports are reached: the uplinks, and those that
// have a default route in a table of their own which a mark leads to, as a second
// provider's has for the answers to what came in by it (lartc.org, 4.2).
func (e *expecter) doors() []*snap.Link {
	out := Uplinks(e.in.Snap)
	for _, r := range e.host.Routes {
		if r.Type != "unicast" || r.Dst.Bits() != 0 || r.Family != snap.IPv4 || !slices.ContainsFunc(e.host.Rules, func(p snap.PolicyRule) bool { return p.Mark != 0 && p.Table == r.Table && p.Action == "table" }) {
			continue
		}
		if l := e.host.LinkAt(r.Oif); !slices.Contains(out, l) && slices.Contains(Outward(e.in.Snap), l) {
			out = append(out, l)
		}
	}
	return slices.DeleteFunc(out, e.shut)
}
