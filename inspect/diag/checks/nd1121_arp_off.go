package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd1121: a device of a container network asks and answers no ARP.
func nd1121() diag.Check {
	return diag.Check{
		Code: "ND1121", Name: "arp-off", Severity: diag.Error, Since: "0.1",
		Title: "ARP is switched off on a device of a container network, or on the uplink",
		Doc: `A device with NOARP answers nobody who asks for its address, and asks nobody: the
kernel takes the device's own MAC for every neighbour, so each frame comes back to
the port that it was sent by. No engine sets it on a veth or a bridge. Devices that
carry bare IP packets (tunnels, modems, ipvlan in the modes L3 and L3S) have it by
right, and are left out.

See it by hand:
    ip link show dev DEVICE                  <...,NOARP,...>
    ip neigh show dev DEVICE                 every neighbour has the device's own MAC, NOARP

Sources: net/ipv4/arp.c: arp_constructor, arp_process; ip-link(8): arp`,
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			host := in.Snap.HostNs()
			seen := map[*snap.Link]bool{}
			for _, a := range attachments(in) {
				for _, end := range []struct {
					ns  *snap.Netns
					dev *snap.Link
				}{{a.ns, a.link}, {host, host.Link(a.n.Bridge)}} {
					if end.dev == nil || !end.dev.NoARP || seen[end.dev] {
						continue
					}
					seen[end.dev] = true
					out = append(out, diag.Finding{
						Summary:  fmt.Sprintf("ARP is off on %s of %s (network %s): it finds no neighbour, and none finds it", end.dev.Name, in.Who(end.ns.ID), a.n.Name),
						Cause:    fmt.Sprintf("%s has the flag NOARP", end.dev.Name),
						Subject:  diag.Subject{Kind: "link", Name: end.dev.Name, Netns: end.ns.ID},
						Evidence: []diag.Evidence{ev(ipIn(in, end.ns.ID, "link show dev "+end.dev.Name), linkLine(end.dev), snap.RefLink(end.ns.ID, end.dev.Name))},
						Weight:   91,
					})
				}
			}
			for _, p := range in.Plains() {
				for _, end := range []struct {
					ns  *snap.Netns
					dev *snap.Link
				}{{p.NS, p.Link}, {host, p.Bridge}} {
					if end.dev == nil || !end.dev.NoARP || seen[end.dev] {
						continue
					}
					seen[end.dev] = true
					out = append(out, diag.Finding{
						Summary:  fmt.Sprintf("ARP is off on %s of %s, by which %s sends to %s: it finds no neighbour, and none finds it", end.dev.Name, in.Who(end.ns.ID), in.Who(p.NS.ID), p.Gateway),
						Cause:    fmt.Sprintf("%s has the flag NOARP", end.dev.Name),
						Subject:  diag.Subject{Kind: "link", Name: end.dev.Name, Netns: end.ns.ID},
						Evidence: []diag.Evidence{ev(ipIn(in, end.ns.ID, "link show dev "+end.dev.Name), linkLine(end.dev), snap.RefLink(end.ns.ID, end.dev.Name))},
						Covers:   fromPlain(in, p.NS.ID),
						Weight:   91,
					})
				}
			}
			for _, l := range diag.Uplinks(in.Snap) {
				if !l.NoARP || l.PointToPt || l.MAC == "" || bareIP(l) || seen[l] {
					continue
				}
				seen[l] = true
				out = append(out, diag.Finding{
					Summary:  fmt.Sprintf("ARP is off on %s, this host's uplink: it finds no neighbour, and none finds it", l.Name),
					Cause:    fmt.Sprintf("%s has the flag NOARP", l.Name),
					Subject:  diag.Subject{Kind: "link", Name: l.Name, Netns: host.ID},
					Evidence: []diag.Evidence{ev("ip link show dev "+l.Name, linkLine(l), snap.RefLink(host.ID, l.Name))},
					Covers:   leavingBy(in, l),
					Weight:   91,
				})
			}
			return out
		},
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			return []fixups.Op{&fixups.LinkARP{Where: at(in, f.Subject.Netns), Name: f.Subject.Name, Enable: true}}
		},
	}
}

// bareIP says whether a kind of device has no ARP by right though it has a MAC: one
// of ipvlan has none in the modes L3 and L3S (drivers/net/ipvlan/ipvlan_main.c:
// ipvlan_set_port_mode), a VRF's stands for its ports.
func bareIP(l *snap.Link) bool {
	switch l.Kind {
	case "dummy", "ipvlan", "vrf", "ifb":
		return true
	}
	return false
}

// leavingBy covers the flows that leave this host by a device and get no answer,
// and the names whose servers can't be asked.
func leavingBy(in *diag.Input, l *snap.Link) diag.Cover {
	c := diag.Cover{Names: coverNames(in, upstreamCut)}
	for i := range in.Flows {
		f := &in.Flows[i]
		if f.Trace.LeftHost == l.Name && (f.Broken() || f.Probe != nil && diag.ProbeSays(f.Probe) == "dropped") {
			c.Traces = append(c.Traces, i)
		}
	}
	return c
}
