package checks

import (
	"fmt"
	"net/netip"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// offBridge is the subject of findings about a container on a macvlan or ipvlan alone.
const offBridge = "default of a macvlan"

// offBridgeAt is the device of a container whose only network is a macvlan or ipvlan
// that leads outwards, and the gateway that the network has; nil for any other.
func offBridgeAt(in *diag.Input, c *snap.Container) (*snap.Netns, *snap.Link, netip.Addr) {
	ns := in.Netns(c.Netns)
	if !c.Running() || ns == nil || ns.ID == in.Snap.Host.Netns || len(c.Endpoints) != 1 {
		return nil, nil, netip.Addr{}
	}
	e := &c.Endpoints[0]
	n := in.Snap.NetworkOf(c.Engine, e)
	if n == nil || n.Driver != "macvlan" && n.Driver != "ipvlan" || !n.Outward() {
		return nil, nil, netip.Addr{}
	}
	gw := e.Gateway4
	if !gw.IsValid() {
		gw, _ = gateway4(n)
	}
	l := inside(ns, c, e)
	if l == nil || !gw.Is4() {
		return nil, nil, netip.Addr{}
	}
	return ns, l, gw
}

// offBridgeGateways: nobody answers for the gateway of the default route, which is another
// than the network has, or that one itself. That gateway is beyond this host: only what fails is wrong.
func offBridgeGateways(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for k := range in.Snap.Containers {
		c := &in.Snap.Containers[k]
		ns, _, want := offBridgeAt(in, c)
		if ns == nil || in.Snap.Container(ownerOf(ns)) != c {
			continue
		}
		gw := diag.DefaultGateway(ns)
		if !gw.IsValid() || len(in.Graph.Owners(gw)) > 0 {
			continue
		}
		covers := coverFrom(in, ns.ID, sim.CauseNeighFailed)
		covers.Names = coverNames(in, func(n *diag.NameCase) bool { return n.Ask.Netns == ns.ID && upstreamCut(n) })
		if len(covers.Traces)+len(covers.Names) == 0 || !inVain(ns, gw) && !nobodyThere(in, ns, gw) {
			continue
		}
		n := in.Snap.NetworkOf(c.Engine, &c.Endpoints[0])
		if host := in.Snap.HostNs(); gw == want && (host == nil || gw == diag.DefaultGateway(host)) {
			continue // the router is down, for all on that wire (ND2305)
		}
		if gw == want {
			out = append(out, gatewayAmiss(in, ns, n, c, gw, covers))
			continue
		}
		out = append(out, diag.Finding{
			Summary: fmt.Sprintf("%s sends to gateway %s, which answers no ARP; network %s has %s", c.Name, gw, n.Name, want),
			Cause:   fmt.Sprintf("the default route of %s names the gateway %s, but the gateway of network %s is %s", c.Name, gw, n.Name, want),
			Subject: diag.Subject{Kind: "route", Name: offBridge, Netns: ns.ID},
			Evidence: []diag.Evidence{
				ev(ipIn(in, ns.ID, "route show default"), "default via "+gw.String(), snap.RefItem(ns.ID, "route", defaultRoute(ns))),
				ev(diag.NetworkCommand(n), "gateway "+want.String(), snap.RefNetwork(n.Ref)),
			},
			Covers: covers,
			Weight: 84,
		})
	}
	return out
}

// gatewayAmiss: the network itself names a gateway that nobody has, as with a wrong digit. The
// host sends by the same wire: its own gateway is the one that was meant, most likely.
func gatewayAmiss(in *diag.Input, ns *snap.Netns, n *snap.Network, c *snap.Container, gw netip.Addr, covers diag.Cover) diag.Finding {
	f := diag.Finding{
		Summary: fmt.Sprintf("network %s says gateway %s, and nobody answers ARP for that address: %s gets no further than its own subnet", n.Name, gw, c.Name),
		Cause:   fmt.Sprintf("a gateway of a %s network is a router of the wire behind %s, and the engine takes any address for it unasked", n.Driver, n.Parent),
		Subject: diag.Subject{Kind: "route", Name: offBridge, Netns: ns.ID},
		Evidence: []diag.Evidence{
			ev(ipIn(in, ns.ID, "route show default"), "default via "+gw.String(), snap.RefItem(ns.ID, "route", defaultRoute(ns))),
			ev(diag.NetworkCommand(n), "gateway "+gw.String(), snap.RefNetwork(n.Ref)),
		},
		Covers: covers,
		Weight: 84,
		Advice: "make the network again with --gateway and the address of that wire's router",
	}
	if own := parentGateway(in, n, c); own.IsValid() {
		host := in.Snap.HostNs()
		f.Summary += fmt.Sprintf("; this host's own gateway on that subnet is %s", own)
		f.Evidence = append(f.Evidence, ev("ip route show default", "default via "+own.String(), snap.RefItem(host.ID, "route", defaultRoute(host))))
		f.Advice = fmt.Sprintf("each start of a container on %s brings it back: make the network again, with --gateway %s", n.Name, own)
	}
	return f
}

// parentGateway is the gateway of this host's own default route where that leads over a
// network's parent, into the subnet of a container there, and to somebody who is not known
// to be silent; invalid where it does not.
func parentGateway(in *diag.Input, n *snap.Network, c *snap.Container) netip.Addr {
	host := in.Snap.HostNs()
	gw, i := diag.DefaultGateway(host), defaultRoute(host)
	if i < 0 || !gw.IsValid() || host.Routes[i].Gateway != gw || inVain(host, gw) || !c.Endpoints[0].IPv4.Masked().Contains(gw) {
		return netip.Addr{}
	}
	if l := host.LinkAt(host.Routes[i].Oif); l == nil || l.Name != n.Parent {
		return netip.Addr{}
	}
	return gw
}

// nobodyThere says whether all that is on a wire is known, and nothing of it has the address.
func nobodyThere(in *diag.Input, ns *snap.Netns, a netip.Addr) bool {
	t := in.World.Trace(sim.Flow{From: ns.ID, Dst: a, Proto: snap.ICMP})
	return t.Verdict == sim.Dropped && t.Where != nil && t.Where.Cause == sim.CauseNeighFailed && t.Where.Netns == ns.ID
}

// inVain says whether the kernel asked for an address in vain.
func inVain(ns *snap.Netns, a netip.Addr) bool {
	for _, n := range ns.Neighs {
		if n.IP == a {
			return n.State == "failed" || n.State == "incomplete"
		}
	}
	return false
}

// fixOffBridge gives the container its network's gateway back, or the host's where the
// network's is the silent one.
func fixOffBridge(in *diag.Input, f *diag.Finding) []fixups.Op {
	for k := range in.Snap.Containers {
		c := &in.Snap.Containers[k]
		ns, l, want := offBridgeAt(in, c)
		if ns == nil || ns.ID != f.Subject.Netns {
			continue
		}
		if diag.DefaultGateway(ns) == want {
			if want = parentGateway(in, in.Snap.NetworkOf(c.Engine, &c.Endpoints[0]), c); !want.IsValid() {
				return nil
			}
		}
		i := defaultRoute(ns)
		r, ok := defaultVia(ns, l, want.String())
		if i < 0 || !ok {
			return nil
		}
		return []fixups.Op{fixups.NewRouteDel(in.Snap, ns.ID, ns.Routes[i]), fixups.NewRouteAdd(in.Snap, ns.ID, r)}
	}
	return nil
}
