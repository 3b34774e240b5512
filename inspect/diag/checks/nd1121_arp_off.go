package checks

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd1121: a device of a container network asks and answers no ARP.
//
// A device with NOARP answers nobody who asks for its address, and asks nobody: the
// kernel takes the device's own MAC for every neighbour, so each frame comes back to
// the port that it was sent by. No engine sets it on a veth or a bridge. Devices that
// carry bare IP packets (tunnels, modems, ipvlan in the modes L3 and L3S) have it by
// right, and are left out. With mcast_solicit=0 a device asks nobody either, unless a
// program does that in its stead (app_solicit): it knows only who asked it lately, so
// that connections work by chance.
//
// See it by hand:
//
//	ip link show dev DEVICE                  <...,NOARP,...>
//	ip neigh show dev DEVICE                 every neighbour has the device's own MAC, NOARP
//	sysctl net.ipv4.neigh.DEVICE.mcast_solicit
//
// Sources: net/ipv4/arp.c: arp_constructor, arp_process; ip-link(8): arp;
// net/core/neighbour.c: __neigh_event_send; arp(7): mcast_solicit
func nd1121() diag.Check {
	return diag.Check{
		Code: "ND1121", Name: "arp-off", Severity: diag.Error, Since: "0.1",
		Title: "ARP is switched off on a device of a container network, or on the uplink",
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
			return append(out, silenced(in)...)
		},
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			if f.Subject.Kind == "sysctl" { // the kernel's own value (net/ipv4/arp.c: arp_tbl)
				return []fixups.Op{&fixups.SysctlSet{Where: at(in, f.Subject.Netns), Key: f.Subject.Name, Value: "3"}}
			}
			return []fixups.Op{&fixups.LinkARP{Where: at(in, f.Subject.Netns), Name: f.Subject.Name, Enable: true}}
		},
	}
}

// asksKey is the end of the sysctl of how often a device asks; see [snap.AsksKey].
const asksKey = "/mcast_solicit"

// silenced are the devices that were told to ask nobody.
func silenced(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Snap.Netns {
		ns := &in.Snap.Netns[i]
		if !ns.Class.Ours() || ns.Light {
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(ns.Sysctls)) {
			l := ns.Link(fixups.SysctlDev(key))
			if !strings.HasSuffix(key, asksKey) || ns.Sysctls[key] != "0" || l == nil || !l.Up || l.NoARP || l.Loopback || l.Master != 0 || bareIP(l) {
				continue
			}
			f := diag.Finding{
				Summary:  fmt.Sprintf("%s of %s asks no neighbour for its address: mcast_solicit is 0", l.Name, in.Who(ns.ID)),
				Cause:    "packets to who has not asked for this end lately die at once (NEIGH_FAILED)",
				Subject:  diag.Subject{Kind: "sysctl", Name: key, Netns: ns.ID},
				Evidence: []diag.Evidence{ev(in.IPCommand(ns.ID, "sysctl "+fixups.SysctlName(key)), fixups.SysctlName(key)+" = 0", snap.RefSysctl(ns.ID, key))},
				Weight:   91,
			}
			if slices.ContainsFunc(ns.Addrs, func(a snap.Addr) bool {
				return a.Index == l.Index && !a.Prefix.Addr().IsLinkLocalUnicast() && snap.AsksKey(snap.FamilyOf(a.Prefix.Addr()), l.Name) == key
			}) {
				out = append(out, f)
			}
		}
	}
	for i := range out {
		f := &out[i]
		for k := range in.Flows {
			if w := in.Flows[k].Trace.Where; w != nil && w.Ref == f.Evidence[0].Ref || in.Flows[k].Asked && leavesBy(in, in.Flows[k].Trace, f.Subject.Netns, fixups.SysctlDev(f.Subject.Name)) {
				f.Covers.Traces = append(f.Covers.Traces, k)
			}
		}
	}
	return out
}

// leavesBy says whether a packet, or its answer, is routed out of a device.
func leavesBy(in *diag.Input, t *sim.Trace, netns, dev string) bool {
	return slices.ContainsFunc(slices.Concat(t.Forward, t.Reply), func(h sim.Hop) bool {
		if h.Stage != "route" || h.Netns != netns || len(h.Because) == 0 {
			return false
		}
		v, _ := in.Snap.At(h.Because[0])
		r, ok := v.(*snap.Route)
		l := in.Netns(netns).Link(dev)
		return ok && l != nil && r.Oif == l.Index
	})
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
