package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd1101: a network's bridge is down.
//
// All containers of a network hang on one bridge. While that device is down it
// passes no frame between them and takes none for the host, though every veth
// still looks healthy. Network managers (NetworkManager, networkd, ifupdown)
// that think the bridge is theirs, and "ip link set … down" in scripts, do this.
//
// See it by hand:
//
//	ip link show BRIDGE                      the flags lack UP
//	ip route show dev BRIDGE                 its routes are gone
//
// Sources: net/bridge/br_device.c: br_dev_open; moby#40217
func nd1101() diag.Check {
	return diag.Check{
		Code: "ND1101", Name: "bridge-down", Severity: diag.Error, Since: "0.1",
		Title:  "The bridge of a network is administratively down",
		Detect: detectND1101,
		Fix:    fixND1101,
	}
}

func detectND1101(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Snap.Netns {
		ns := &in.Snap.Netns[i]
		for j := range ns.Links {
			l := &ns.Links[j]
			if l.Bridge == nil || l.Up || !ns.Class.Ours() {
				continue
			}
			if f := bridgeDown(in, ns, l); f != nil {
				out = append(out, *f)
			}
		}
	}
	return out
}

// bridgeDown is what is said of a bridge that is down; nil where nobody uses it. Those of
// users' own engines are in namespaces beside the host's, where others may be down by will.
func bridgeDown(in *diag.Input, ns *snap.Netns, l *snap.Link) *diag.Finding {
	covers := coverDevice(in, ns.ID, l.Name, sim.CauseLinkDown, sim.CauseNoRoute, sim.CauseNeighFailed)
	ports := in.Graph.Ports(ns, l)
	who, used := "", slices.ContainsFunc(ports, func(p *snap.Link) bool { // who has both ends here, or left one down, uses it for nothing
		peer, ok := in.Graph.Peer(p)
		return ok && peer.Netns.ID != ns.ID || !ok && p.Up
	})
	if ns.ID == in.Snap.Host.Netns {
		who = "nobody's"
		if n := in.Graph.NetworkOfBridge(l.Name); n != nil {
			who = "network " + n.Name
			used = inUse(in, n) || used && n.Name == "docker_gwbridge" // whose members Docker names nowhere
		}
		who = "bridge of " + who
	} else {
		for _, p := range ports {
			covers.Traces = append(covers.Traces, coverDevice(in, ns.ID, p.Name, sim.CauseLinkDown).Traces...)
		}
		who, used = "bridge in "+in.Who(ns.ID), len(covers.Traces) > 0
	}
	if !used {
		return nil
	}
	return &diag.Finding{
		Summary:  fmt.Sprintf("%s is down: %s, %s", l.Name, who, diag.Count(len(ports), "port")),
		Cause:    fmt.Sprintf("the bridge device %s is administratively down, so it forwards nothing between its ports and nothing to or from %s", l.Name, map[bool]string{true: "this host", false: in.Who(ns.ID)}[ns.ID == in.Snap.Host.Netns]),
		Subject:  diag.Subject{Kind: "bridge", Name: l.Name, Netns: ns.ID},
		Evidence: []diag.Evidence{ev(in.IPCommand(ns.ID, "ip link show "+l.Name), linkLine(l), snap.RefLink(ns.ID, l.Name))},
		Covers:   covers,
		Weight:   80,
	}
}

// fixND1101 sets the bridge up and gives back the IPv6 gateway address, which the
// kernel took off it (net/ipv6/addrconf.c: addrconf_ifdown).
func fixND1101(in *diag.Input, f *diag.Finding) []fixups.Op {
	ops := linkUpFix(in, f)
	host := in.Snap.HostNs()
	if host == nil || f.Subject.Netns != host.ID {
		return ops
	}
	for _, g := range sixBridges(in, host) {
		if g.Subject.Name == f.Subject.Name {
			ops = append(ops, fixND2102(in, &g)...)
		}
	}
	return ops
}
