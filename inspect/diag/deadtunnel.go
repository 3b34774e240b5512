package diag

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// DeadTunnel is a tunnel that the host's way to the world goes into, and from which no
// probe had an answer.
type DeadTunnel struct {
	Link *snap.Link
	To   netip.Addr      // what is asked through it in vain
	Way  sim.RouteResult // to that
	// Server is a name server that is asked through it; invalid: none is.
	Server netip.AddrPort
	Probe  *snap.Probe // that was lost in it
	// By is a question to the same server that was handed to the gateway of the host's
	// default route instead, and answered; nil: none was.
	By    *snap.Probe
	Flows []int // that are lost in it
	Names []int
}

// IsTunnel says whether a device leads to one peer, by way of others: a VPN's.
func IsTunnel(l *snap.Link) bool {
	return l.PointToPt || slices.Contains([]string{"tun", "wireguard", "ppp", "ipip", "gre", "sit", "vti", "xfrm"}, l.Kind)
}

// DeadTunnels are all of them.
func (in *Input) DeadTunnels() []DeadTunnel {
	host := in.Snap.HostNs()
	if host == nil {
		return nil
	}
	var out []DeadTunnel
	servers := in.worldServers()
	known := len(servers)
	for i := range in.Flows {
		if f := &in.Flows[i]; f.Trace.LeftHost != "" && f.Trace.LeftNetns == host.ID && ProbeSays(f.Probe) == "dropped" {
			servers = append(servers, netip.AddrPortFrom(f.Flow.Dst, 0))
		}
	}
	for i, s := range servers {
		way := in.World.Route(host.ID, sim.RouteQuery{Dst: s.Addr()})
		if len(way.Ways) != 1 || s.Addr().IsPrivate() {
			continue
		}
		l := host.Link(way.Ways[0].Dev)
		if l == nil || !IsTunnel(l) || slices.ContainsFunc(out, func(t DeadTunnel) bool { return t.Link == l }) {
			continue
		}
		t := DeadTunnel{Link: l, To: s.Addr(), Way: way}
		if i < known {
			t.Server = s
		}
		if in.fill(&t) {
			out = append(out, t)
		}
	}
	return out
}

// fill adds what probes and flows tell of a tunnel; false: something came back through it,
// or nothing was lost.
func (in *Input) fill(t *DeadTunnel) bool {
	host := in.Snap.HostNs()
	led := func(a netip.Addr) bool {
		if len(in.Graph.Owners(a)) > 0 {
			return false
		}
		r := in.World.Route(host.ID, sim.RouteQuery{Dst: a})
		return len(r.Ways) == 1 && r.Ways[0].Dev == t.Link.Name
	}
	for i := range in.Snap.Probes {
		p := &in.Snap.Probes[i]
		switch {
		case p.Kind == "router":
			if p.Outcome == snap.Answered && p.Dst == t.Server && p.Via == DefaultGateway(host) {
				t.By = p
			}
		case p.Kind == "arp" || p.Kind == "neigh" || !led(p.Dst.Addr()):
		case p.Outcome == snap.Answered || p.Outcome == snap.Refused:
			return false
		case p.Outcome == snap.TimedOut && p.Died == nil:
			t.Probe = p
		}
	}
	for i := range in.Flows {
		if f := &in.Flows[i]; f.Trace.LeftHost == t.Link.Name && f.Trace.LeftNetns == host.ID && ProbeSays(f.Probe) == "dropped" {
			t.Flows = append(t.Flows, i)
		}
	}
	for i := range in.Names {
		if n := &in.Names[i]; n.Bad() && n.Path.Problem.Server.IsValid() && led(n.Path.Problem.Server.Addr()) {
			t.Names = append(t.Names, i)
		}
	}
	return t.Probe != nil && len(t.Flows)+len(t.Names) > 0
}
