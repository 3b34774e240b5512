package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd1101: a network's bridge is down.
func nd1101() diag.Check {
	return diag.Check{
		Code: "ND1101", Name: "bridge-down", Severity: diag.Error, Since: "0.1",
		Title: "The bridge of a network is administratively down",
		Doc: `All containers of a network hang on one bridge. While that device is down it
passes no frame between them and takes none for the host, though every veth
still looks healthy. Network managers (NetworkManager, networkd, ifupdown)
that think the bridge is theirs, and "ip link set … down" in scripts, do this.

See it by hand:
    ip link show BRIDGE                      the flags lack UP
    ip route show dev BRIDGE                 its routes are gone

Sources: net/bridge/br_device.c: br_dev_open; moby#40217`,
		Detect: detectND1101,
		Fix:    fixND1101,
	}
}

func detectND1101(in *diag.Input) []diag.Finding {
	host := in.Snap.HostNs()
	if host == nil {
		return nil
	}
	var out []diag.Finding
	for i := range host.Links {
		l := &host.Links[i]
		if l.Bridge == nil || l.Up {
			continue
		}
		n := in.Graph.NetworkOfBridge(l.Name)
		who := "nobody's"
		used := len(in.Graph.Ports(host, l)) > 0
		if n != nil {
			who = "network " + n.Name
			used = inUse(in, n) || used && n.Name == "docker_gwbridge" // whose members Docker names nowhere
		}
		if !used {
			continue
		}
		out = append(out, diag.Finding{
			Summary:  fmt.Sprintf("%s is down: bridge of %s, %s", l.Name, who, diag.Count(len(in.Graph.Ports(host, l)), "port")),
			Cause:    fmt.Sprintf("the bridge device %s is administratively down, so it forwards nothing between its ports and nothing to or from this host", l.Name),
			Subject:  diag.Subject{Kind: "bridge", Name: l.Name, Netns: host.ID},
			Evidence: []diag.Evidence{ev("ip link show "+l.Name, linkLine(l), snap.RefLink(host.ID, l.Name))},
			Covers:   coverDevice(in, host.ID, l.Name, sim.CauseLinkDown, sim.CauseNoRoute, sim.CauseNeighFailed),
			Weight:   80,
		})
	}
	return out
}

// fixND1101 sets the bridge up and gives back the IPv6 gateway address, which the
// kernel took off it (net/ipv6/addrconf.c: addrconf_ifdown).
func fixND1101(in *diag.Input, f *diag.Finding) []fixups.Op {
	ops := linkUpFix(in, f)
	host := in.Snap.HostNs()
	if host == nil {
		return ops
	}
	for _, g := range sixBridges(in, host) {
		if g.Subject.Name == f.Subject.Name {
			ops = append(ops, fixND2102(in, &g)...)
		}
	}
	return ops
}
