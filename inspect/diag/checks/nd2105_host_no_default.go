package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2105: the host itself has no default route.
//
// Without a default route the host answers its containers "Network is
// unreachable" for everything that is not on a network it is attached to. VPN
// clients that disconnect badly, DHCP leases that ran out and manual changes are
// the usual causes; of IPv6 it is forwarding itself, which makes a host deaf to
// router advertisements unless accept_ra is 2. Which gateway is right is known only to
// whoever runs the network, so netdoctor does not guess: it hands a question to a name
// server to each neighbour on the uplink, and takes the one for the gateway that alone
// brings the answer. An IPv6 neighbour that is alone in calling itself a router it
// takes at its word.
//
// See it by hand:
//
//	ip route show default                    is empty
//	journalctl -u NetworkManager -u systemd-networkd
//
// Sources: net/ipv4/route.c: ip_route_input_slow; net/ipv6/ndisc.c: ndisc_router_discovery,
// include/net/ipv6.h: ipv6_accept_ra
func nd2105() diag.Check {
	return diag.Check{
		Code: "ND2105", Name: "host-no-default-route", Severity: diag.Error, Since: "0.1",
		Title:  "The host has no default route",
		After:  []diag.Code{"ND1108", "ND2206", "ND2207", "ND3205"},
		Detect: func(in *diag.Input) []diag.Finding { return append(detectND2105(in), hostNoDefault6(in)...) },
		Fix:    fixND2105,
	}
}

// fixND2105 adds the route by the one neighbour that was seen, or for IPv6 says, to be
// a router.
func fixND2105(in *diag.Input, f *diag.Finding) []fixups.Op {
	add := func(r snap.Route, dev string) []fixups.Op {
		return []fixups.Op{&fixups.RouteAdd{Where: at(in, f.Subject.Netns), Route: r, Devs: []string{dev}}}
	}
	if f.Subject.Name == "default6" {
		up, gw := onlyRouter6(in)
		if up == nil {
			return nil
		}
		return add(default6(up, gw), up.Name)
	}
	if rs := in.Routers(); len(rs) == 1 {
		if r, ok := defaultVia(in.Snap.HostNs(), rs[0].Link, rs[0].Addr.String()); ok {
			return add(r, rs[0].Link.Name)
		}
	}
	return nil
}

// hostNoDefault6: the host has a global IPv6 address and an IPv6 network, and no IPv6
// default route.
func hostNoDefault6(in *diag.Input) []diag.Finding {
	host := in.Snap.HostNs()
	if host == nil || host.Light || hasDefault6(host) || in.World.Route(host.ID, sim.RouteQuery{Dst: somewhere6}).Errno == "" {
		return nil
	}
	var ups []string
	for _, l := range diag.Uplinks(in.Snap) {
		if slices.ContainsFunc(host.AddrsOf(l.Index), func(a snap.Addr) bool {
			return a.Prefix.Addr().Is6() && a.Prefix.Addr().IsGlobalUnicast() && !a.Prefix.Addr().IsPrivate()
		}) {
			ups = append(ups, l.Name)
		}
	}
	var users []string
	for _, a := range attachments(in) {
		if a.e.IPv6.IsValid() && a.e.Gateway6.IsValid() && !a.n.Internal {
			users = append(users, a.c.Name)
		}
	}
	var covers diag.Cover
	for _, i := range coverFrom(in, host.ID, sim.CauseNoRoute).Traces {
		if in.Flows[i].Flow.Dst.Is6() {
			covers.Traces = append(covers.Traces, i)
		}
	}
	if len(covers.Traces) == 0 && (len(ups) == 0 || len(users) == 0) {
		return nil
	}
	f := diag.Finding{
		Severity: diag.Warning,
		Summary:  "this host has no IPv6 default route: containers hear \"no route to host\" for the IPv6 world",
		Cause:    "the main IPv6 routing table of the host has no default route",
		Subject:  diag.Subject{Kind: "route", Name: "default6", Netns: host.ID},
		Evidence: []diag.Evidence{ev("ip -6 route show default", "(no default route)", snap.RefNetns(host.ID))},
		Covers:   covers,
		Weight:   88,
		Advice:   "by hand: ip -6 route add default via ROUTER dev DEVICE",
	}
	up, gw := onlyRouter6(in)
	if len(covers.Traces) > 0 || up != nil && slices.Contains(ups, up.Name) {
		f.Severity = diag.Error // somebody asked, or there is a way out that is not taken
	}
	for _, l := range ups {
		key := "net/ipv6/conf/" + l + "/accept_ra"
		v, ok := host.Sysctl(key)
		if fwd, _ := host.Sysctl("net/ipv6/conf/" + l + "/forwarding"); ok && v == "1" && fwd == "1" {
			f.Evidence = append(f.Evidence, ev("sysctl "+fixups.SysctlName(key), fixups.SysctlName(key)+" = 1", snap.RefSysctl(host.ID, key)))
			f.Advice += fmt.Sprintf("; where a router advertises it: a host that forwards takes no advertisements with accept_ra=1, sysctl -w %s=2", fixups.SysctlName(key))
		}
	}
	if up != nil {
		f.Evidence = append(f.Evidence, ev("ip -6 neigh show dev "+up.Name, gw.String()+" router", snap.RefLink(host.ID, up.Name)))
	}
	return []diag.Finding{f}
}

// somewhere6 is an address that only a default route, or one to all of 2000::/3, leads to.
var somewhere6 = netip.MustParseAddr("2620:fe::fe")

// onlyRouter6 is the one neighbour on the one uplink that says of itself that it is a
// router (the R flag of its advertisements, RFC 4861 section 4.4); nil when there is
// none, or several are.
func onlyRouter6(in *diag.Input) (*snap.Link, netip.Addr) {
	var gw netip.Addr
	mac := ""
	up := diag.Uplinks(in.Snap)
	if len(up) != 1 {
		return nil, gw
	}
	for _, n := range in.Snap.HostNs().Neighs {
		if n.Index != up[0].Index || !n.Router || n.Proxy || !n.IP.Is6() || n.MAC == "" || n.State == "failed" {
			continue
		}
		if mac != "" && n.MAC != mac {
			return nil, gw
		}
		if mac == "" || gw.IsLinkLocalUnicast() && !n.IP.IsLinkLocalUnicast() {
			gw = n.IP // both are one router's
		}
		mac = n.MAC
	}
	if mac == "" {
		return nil, gw
	}
	return up[0], gw
}

func detectND2105(in *diag.Input) []diag.Finding {
	host := in.Snap.HostNs()
	if host == nil || hasDefault(host) || host.Light {
		return nil
	}
	var covers diag.Cover
	for _, i := range coverFrom(in, host.ID, sim.CauseNoRoute).Traces {
		if in.Flows[i].Flow.Dst.Is4() {
			covers.Traces = append(covers.Traces, i)
		}
	}
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
	if len(carried(in, &f)) == 0 {
		nearby(in, &f, host)
	}
	return []diag.Finding{f}
}

// carried tells which neighbours were seen to be routers, and what to do about it.
func carried(in *diag.Input, f *diag.Finding) []diag.Router {
	routers := in.Routers()
	var all []string
	for _, r := range routers {
		all = append(all, r.Addr.String())
		f.Evidence = append(f.Evidence, ev(fmt.Sprintf("probe %d", r.Probe.ID),
			fmt.Sprintf("a question to %s that was handed to %s (%s) on %s was answered", r.Probe.Dst.Addr(), r.Addr, r.Probe.MAC, r.Link.Name), snap.RefProbe(r.Probe.ID)))
	}
	switch len(routers) {
	case 0:
	case 1:
		f.Advice = fmt.Sprintf("for good: the gateway %s belongs where this host's network is set up (netplan, NetworkManager, systemd-networkd, /etc/network/interfaces), or renew the lease", routers[0].Addr)
	default:
		f.Advice += fmt.Sprintf(" (more than one neighbour carries packets to the world: %s)", strings.Join(all, ", "))
	}
	return routers
}

// nearby tells, when no neighbour was seen to be a router, which there are.
func nearby(in *diag.Input, f *diag.Finding, host *snap.Netns) {
	up := diag.Uplinks(in.Snap)
	if len(up) != 1 {
		return
	}
	var near []string
	for _, nb := range host.Neighs {
		if nb.Index == up[0].Index && nb.IP.Is4() && nb.MAC != "" && nb.State != "failed" {
			near = append(near, nb.IP.String())
		}
	}
	if len(near) > 0 {
		f.Advice += fmt.Sprintf(" (neighbours seen on %s: %s)", up[0].Name, strings.Join(near, ", "))
	}
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
