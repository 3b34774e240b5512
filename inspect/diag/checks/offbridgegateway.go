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

// offBridgeGateways: the default route names another gateway than the network has, and
// nobody answers for it. That gateway is beyond this host: only what fails is wrong.
func offBridgeGateways(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for k := range in.Snap.Containers {
		c := &in.Snap.Containers[k]
		ns, _, want := offBridgeAt(in, c)
		if ns == nil || in.Snap.Container(ownerOf(ns)) != c {
			continue
		}
		gw := diag.DefaultGateway(ns)
		if !gw.IsValid() || gw == want || len(in.Graph.Owners(gw)) > 0 {
			continue
		}
		covers := coverFrom(in, ns.ID, sim.CauseNeighFailed)
		covers.Names = coverNames(in, func(n *diag.NameCase) bool { return n.Ask.Netns == ns.ID && upstreamCut(n) })
		if len(covers.Traces)+len(covers.Names) == 0 || !inVain(ns, gw) {
			continue
		}
		n := in.Snap.NetworkOf(c.Engine, &c.Endpoints[0])
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

// inVain says whether the kernel asked for an address in vain.
func inVain(ns *snap.Netns, a netip.Addr) bool {
	for _, n := range ns.Neighs {
		if n.IP == a {
			return n.State == "failed" || n.State == "incomplete"
		}
	}
	return false
}

// fixOffBridge gives the container its network's gateway back.
func fixOffBridge(in *diag.Input, f *diag.Finding) []fixups.Op {
	for k := range in.Snap.Containers {
		ns, l, want := offBridgeAt(in, &in.Snap.Containers[k])
		if ns == nil || ns.ID != f.Subject.Netns {
			continue
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
