package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// passedOver are the ports that running containers were to publish and that nobody serves,
// as all their networks are internal. Where the host's own network or macvlan is what
// passes over -p, the program is there at another address.
func passedOver(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Snap.Containers {
		c := &in.Snap.Containers[i]
		if !c.Running() || len(c.Unbound) == 0 || len(c.Endpoints) == 0 || slices.ContainsFunc(c.Endpoints, func(e snap.Endpoint) bool {
			n := in.Snap.NetworkOf(c.Engine, &e)
			return n == nil || !n.Internal
		}) {
			continue
		}
		p := &c.Unbound[0]
		if slices.ContainsFunc(in.Flows, func(f diag.FlowCase) bool { return f.Asked && f.Flow.Dport == p.HostPort && f.Flow.Proto == p.Proto }) {
			continue // who asks for it is told of it
		}
		why, advice := whyUnbound(in, c, p)
		more := ""
		if n := len(c.Unbound) - 1; n > 0 {
			more = fmt.Sprintf(" (and %s)", diag.Count(n, "other port"))
		}
		out = append(out, diag.Finding{
			Severity: diag.Warning,
			Summary:  fmt.Sprintf("port %d/%s%s of %s is not published: it was started with -p %d:%d, but %s", p.HostPort, p.Proto, more, c.Name, p.HostPort, p.ContainerPort, why),
			Cause:    "where an engine does not translate addresses it passes over -p, with a warning at most",
			Subject:  diag.Subject{Kind: "container", Name: c.Name, Netns: c.Netns},
			Evidence: []diag.Evidence{ev(diag.InspectCommand(c), fmt.Sprintf("PortBindings %d/%s -> %d, NetworkMode %s", p.ContainerPort, p.Proto, p.HostPort, c.NetworkMode), snap.RefContainer(c.Ref))},
			Advice:   advice,
			Weight:   30,
		})
	}
	return out
}

// unbound is a running container that was to publish the port which a flow asks for.
func unbound(in *diag.Input, f *diag.FlowCase) (*snap.Container, *snap.Port) {
	for i := range in.Snap.Containers {
		c := &in.Snap.Containers[i]
		for k := range c.Unbound {
			if p := &c.Unbound[k]; c.Running() && p.HostPort == f.Flow.Dport && p.Proto == f.Flow.Proto && diag.CoversAddr(p, f.Flow.Dst) {
				return c, p
			}
		}
	}
	return nil, nil
}

// whyUnbound says why a container's engine did not bind a port, and what serves instead.
func whyUnbound(in *diag.Input, c *snap.Container, p *snap.Port) (why, advice string) {
	switch {
	case c.Netns == in.Snap.Host.Netns:
		return "shares this host's network, where -p does nothing", fmt.Sprintf("ask port %d, if %s listens there, or make %s anew without --network host", p.ContainerPort, c.Name, c.Name)
	case len(c.Endpoints) == 0:
		return "is on no network", fmt.Sprintf("make %s anew on a bridge network", c.Name)
	}
	why, advice = "the engine did not bind it", fmt.Sprintf("restart %s", c.Name)
	for i := range c.Endpoints {
		e := &c.Endpoints[i]
		switch n := in.Snap.NetworkOf(c.Engine, e); {
		case n == nil:
		case n.Internal:
			return "network " + n.Name + " is internal, and nobody outside gets in there", fmt.Sprintf("attach %s to a network that is not internal, too: %s, and start it again", c.Name, diag.ConnectCommand(c.Engine, "", "NETWORK", c.Name))
		case n.Driver != "bridge" && n.Driver != "overlay":
			return fmt.Sprintf("network %s is of driver %s, where -p does nothing", n.Name, n.Driver), fmt.Sprintf("ask its own address: %s", netip.AddrPortFrom(e.IPv4.Addr(), p.ContainerPort))
		}
	}
	return why, advice
}
