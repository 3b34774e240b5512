package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd1107: a container's veth is on no bridge, or on the wrong one.
//
// The host's end of a container's veth must be a port of the network's bridge.
// Without a master it is a wire that ends in the air: all devices are up, yet the
// container reaches nobody. A race between the engine and a network manager that
// takes over new devices does this.
//
// See it by hand:
//
//	bridge link show                         the veth is not listed
//	ip link show VETH                        has no "master BRIDGE"
//
// Sources: net/bridge/br_if.c: br_add_if; moby#26492, coreos/docker#30
func nd1107() diag.Check {
	return diag.Check{
		Code: "ND1107", Name: "not-on-bridge", Severity: diag.Error, Since: "0.1",
		Title:  "A container's veth is not a port of its network's bridge",
		Detect: detectND1107,
		Fix:    fixND1107,
	}
}

func detectND1107(in *diag.Input) []diag.Finding {
	host := in.Snap.HostNs()
	var out []diag.Finding
	for _, a := range attachments(in) {
		if a.host == nil || a.n.Bridge == "" {
			continue
		}
		br := host.Link(a.n.Bridge)
		if br == nil || a.host.Master == br.Index {
			continue
		}
		where := "on no bridge"
		if m := host.LinkAt(a.host.Master); m != nil {
			where = "a port of " + m.Name
		}
		out = append(out, diag.Finding{
			Summary:  fmt.Sprintf("%s is %s: %s's %s is not attached to %s (network %s)", a.host.Name, where, a.c.Name, a.link.Name, br.Name, a.n.Name),
			Cause:    fmt.Sprintf("the host's end of the veth of %s has no master %s, so its frames reach nobody on the network", a.c.Name, br.Name),
			Subject:  diag.Subject{Kind: "link", Name: a.host.Name, Netns: host.ID},
			Evidence: []diag.Evidence{ev("ip link show "+a.host.Name, linkLine(a.host)+" (no master "+br.Name+")", snap.RefLink(host.ID, a.host.Name))},
			Covers:   coverDevice(in, host.ID, a.host.Name), // whatever rules then say of a device that they do not know
			Weight:   82,
		})
	}
	return append(append(out, plainOffBridge(in)...), movedAway(in)...)
}

// movedAway: the other end of a container's veth is in a namespace that is not the
// host's, where no bridge of the network is.
func movedAway(in *diag.Input) []diag.Finding {
	host := in.Snap.HostNs()
	var out []diag.Finding
	for _, a := range attachments(in) {
		if a.host != nil || a.link == nil || a.link.Kind != "veth" || a.n.Driver != "bridge" || host.Link(a.n.Bridge) == nil {
			continue
		}
		there := in.Snap.Ns(a.link.PeerNetns)
		if there == nil || there == host {
			continue
		}
		end := there.LinkAt(a.link.Peer)
		if end == nil {
			continue
		}
		covers := coverFrom(in, a.ns.ID, sim.CauseNeighFailed, sim.CauseNoCarrier, sim.CauseLinkDown, sim.CauseNoRoute)
		for i := range in.Flows {
			if f := &in.Flows[i]; f.Broken() && (f.Target == a.c.Ref || f.Flow.Dst == a.e.IPv4.Addr()) {
				covers.Traces = append(covers.Traces, i)
			}
		}
		covers.Traces = mergeInts(covers.Traces, nil)
		covers.Names = mergeInts(covers.Names, coverNames(in, func(n *diag.NameCase) bool { return n.Ask.Netns == a.ns.ID && upstreamCut(n) }))
		ip := "ip -n " + there.ID
		out = append(out, diag.Finding{
			Summary: fmt.Sprintf("the veth of %s ends in %s, as %s, and not at %s of this host (network %s)", a.c.Name, in.Who(there.ID), end.Name, a.n.Bridge, a.n.Name),
			Cause:   fmt.Sprintf("somebody moved the host's end of %s into another namespace, so its frames reach nobody on the network", a.link.Name),
			Subject: diag.Subject{Kind: "link", Name: end.Name, Netns: there.ID},
			Evidence: []diag.Evidence{
				ev(ipIn(in, a.ns.ID, "-d link show "+a.link.Name), linkLine(a.link), snap.RefLink(a.ns.ID, a.link.Name)),
				ev(ip+" -d link show "+end.Name, linkLine(end), snap.RefLink(there.ID, end.Name)),
			},
			Covers: covers,
			Advice: fmt.Sprintf("find out who moved it; back: %s link set %s netns 1, then ip link set %s master %s up (netns 1: as seen from the host)", ip, end.Name, end.Name, a.n.Bridge),
			Weight: 82,
		})
	}
	return out
}

// plainOffBridge: a namespace of no engine whose gateway is a bridge's address, and
// whose veth is no port of any.
func plainOffBridge(in *diag.Input) []diag.Finding {
	host := in.Snap.HostNs()
	var out []diag.Finding
	for _, p := range in.Plains() {
		if p.Bridge == nil || p.Host.Master != 0 || !holdsAddr(host, p.Bridge, p.Gateway) {
			continue
		}
		covers := coverDevice(in, host.ID, p.Host.Name)
		for _, more := range []diag.Cover{coverFrom(in, p.NS.ID, sim.CauseNeighFailed, sim.CauseNoCarrier), coverNeighbour(in, host.ID, p.Bridge.Name, p.NS.ID)} {
			covers.Traces = append(covers.Traces, more.Traces...)
		}
		if len(covers.Traces) == 0 {
			continue
		}
		out = append(out, diag.Finding{
			Summary: fmt.Sprintf("%s is on no bridge: %s's %s is not attached to %s, which has its gateway %s", p.Host.Name, p.NS.ID, p.Link.Name, p.Bridge.Name, p.Gateway),
			Cause:   fmt.Sprintf("the host's end of the veth of %s has no master %s, so what is sent to %s reaches nobody", p.NS.ID, p.Bridge.Name, p.Addr.Addr()),
			Subject: diag.Subject{Kind: "link", Name: p.Host.Name, Netns: host.ID},
			Evidence: []diag.Evidence{
				ev("ip link show "+p.Host.Name, linkLine(p.Host)+" (no master "+p.Bridge.Name+")", snap.RefLink(host.ID, p.Host.Name)),
				ev(ipIn(in, p.NS.ID, "route show default"), "default via "+p.Gateway.String(), snap.RefItem(p.NS.ID, "route", defaultRoute(p.NS))),
			},
			Covers: covers,
			Weight: 82,
		})
	}
	return out
}

// holdsAddr says whether a device has an address.
func holdsAddr(ns *snap.Netns, l *snap.Link, a netip.Addr) bool {
	return slices.ContainsFunc(ns.AddrsOf(l.Index), func(x snap.Addr) bool { return x.Prefix.Addr() == a })
}

// coverNeighbour are the flows of a namespace that die, or whose answers do, in
// another one at a device that finds no neighbour.
func coverNeighbour(in *diag.Input, at, dev, from string) diag.Cover {
	var c diag.Cover
	for i := range in.Flows {
		f := &in.Flows[i]
		if w := f.Trace.Where; f.Broken() && f.Flow.From == from && w != nil && w.Netns == at && w.Device == dev {
			c.Traces = append(c.Traces, i)
		}
	}
	return c
}
