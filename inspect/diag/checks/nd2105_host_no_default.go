package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2105: the host itself has no default route.
func nd2105() diag.Check {
	return diag.Check{
		Code: "ND2105", Name: "host-no-default-route", Severity: diag.Error, Since: "0.1",
		Title: "The host has no default route",
		Doc: `Without a default route the host answers its containers "Network is
unreachable" for everything that is not on a network it is attached to. VPN
clients that disconnect badly, DHCP leases that ran out and manual changes are
the usual causes. Which gateway is right is known only to whoever runs the
network, so netdoctor proposes, and does not guess.

See it by hand:
    ip route show default                    is empty
    journalctl -u NetworkManager -u systemd-networkd

Sources: net/ipv4/route.c: ip_route_input_slow`,
		After:  []diag.Code{"ND1108", "ND2206", "ND2207", "ND3205"},
		Detect: detectND2105,
	}
}

func detectND2105(in *diag.Input) []diag.Finding {
	host := in.Snap.HostNs()
	if host == nil || hasDefault(host) || host.Light {
		return nil
	}
	covers := coverFrom(in, host.ID, sim.CauseNoRoute)
	if len(covers.Traces) == 0 {
		return nil // a host without a way out, and nobody who needs one
	}
	f := diag.Finding{
		Summary:  "this host has no default route: containers hear \"Network is unreachable\" for everything outside",
		Cause:    "the main routing table of the host has no default route",
		Subject:  diag.Subject{Kind: "route", Name: "default", Netns: host.ID},
		Evidence: []diag.Evidence{ev("ip route show default", "(no default route)", snap.RefNetns(host.ID))},
		Covers:   covers,
		Weight:   88,
		Advice:   "renew the lease or restart the network service that should have set it; by hand: ip route add default via GATEWAY dev DEVICE",
	}
	if !slices.ContainsFunc(in.Snap.Containers, func(c snap.Container) bool { return c.Running() }) {
		f.Summary = "this host has no default route: nothing outside can be reached"
	}
	f.Covers.Names = coverNames(in, upstreamCut)
	if bare := withoutAddress(in, host); len(bare) > 0 {
		f.Summary = fmt.Sprintf("%s has no IPv4 address, and so this host has no default route: nothing outside can be reached", bare[0].Name)
		f.Cause = fmt.Sprintf("%s is up and lost its address: the kernel drops the routes by a gateway that is on no subnet of the host any more", bare[0].Name)
		f.Evidence = append(f.Evidence, ev("ip addr show dev "+bare[0].Name, bare[0].Name+": no IPv4 address", snap.RefLink(host.ID, bare[0].Name)))
		f.Advice = fmt.Sprintf("renew the lease or restart the network service that should have set it; by hand: ip addr add ADDRESS/LENGTH dev %s; ip route add default via GATEWAY", bare[0].Name)
		return []diag.Finding{f}
	}
	if alone(in.Snap, host) {
		f.Severity = diag.Info
		f.Summary = "this host has no way out at all: no device leads anywhere but to its own containers"
		f.Cause = "no device with an address leads out of this host, and so no default route can"
		f.Advice = "nothing to do where it is kept apart on purpose; containers that need no world do well on an internal network (docker network create --internal)"
	}
	if up := diag.Uplinks(in.Snap); len(up) == 1 {
		var near []string
		for _, nb := range host.Neighs {
			if nb.Index == up[0].Index && nb.IP.Is4() && nb.MAC != "" && nb.State != "failed" {
				near = append(near, nb.IP.String())
			}
		}
		if len(near) > 0 {
			f.Advice += fmt.Sprintf(" (neighbours seen on %s: %v)", up[0].Name, near)
		}
	}
	return []diag.Finding{f}
}

// withoutAddress are the devices of the host that could lead to the world, are
// up, and have no IPv4 address.
func withoutAddress(in *diag.Input, host *snap.Netns) []*snap.Link {
	var out []*snap.Link
	for i := range host.Links {
		l := &host.Links[i]
		peer := in.Snap.Ns(l.PeerNetns)
		switch {
		case !l.Up || !l.LowerUp || l.Loopback || l.Master != 0 || l.Bridge != nil:
		case l.Kind != "" && l.Kind != "veth" && l.Kind != "vlan" && l.Kind != "bond":
		case l.Kind == "veth" && (l.PeerNetns == host.ID || peer != nil && peer.Class.Ours()):
		case slices.ContainsFunc(host.AddrsOf(l.Index), func(a snap.Addr) bool { return a.Prefix.Addr().Is4() }):
		case slices.ContainsFunc(host.Links, func(o snap.Link) bool { return o.Peer == l.Index && o.PeerNetns == host.ID && o.Kind != "veth" }):
		default:
			out = append(out, l)
		}
	}
	return out
}

// alone says whether no device of the host that could lead out was ever given an
// address: it is kept apart, rather than cut off.
func alone(s *snap.Snapshot, host *snap.Netns) bool {
	return !slices.ContainsFunc(diag.Uplinks(s), func(l *snap.Link) bool {
		return slices.ContainsFunc(host.AddrsOf(l.Index), func(a snap.Addr) bool { return !a.Prefix.Addr().IsLinkLocalUnicast() })
	})
}
