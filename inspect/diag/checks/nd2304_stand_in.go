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

// nd2304: the host does not answer for an address that it stands in for.
//
// Some set-ups need a host that answers for addresses of others. Where a container's
// veth is on no bridge (Calico, CNI's ptp), its gateway is often an address that nobody
// has, 169.254.1.1, and the host answers for it with proxy_arp on its end of the veth.
// And where a network's IPv6 subnet is cut out of the uplink's own, the routers there
// take the containers for neighbours: the host must answer for each with proxy_ndp and
// an entry, or a daemon (ndppd) must. So is it with IPv4 where a host routes single
// addresses of the uplink's subnet to namespaces of its own, and proxy_arp.
//
// See it by hand:
//
//	sysctl net.ipv4.conf.VETH.proxy_arp net.ipv6.conf.UPLINK.proxy_ndp
//	ip -6 neigh show proxy
//	tcpdump -ni UPLINK icmp6                 neighbor solicitations without an answer
//
// Sources: net/ipv4/arp.c: arp_process; net/ipv6/ndisc.c: ndisc_recv_ns, pndisc_is_router;
// docs.docker.com, "Use IPv6 networking"; docs.tigera.io, "Why can't I see the 169.254.1.1 address"
func nd2304() diag.Check {
	return diag.Check{
		Code: "ND2304", Name: "no-stand-in", Severity: diag.Error, Since: "0.2",
		Title: "The host does not answer ARP or ND for an address that it stands in for",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, s := range unanswers(in) {
				out = append(out, s.finding)
			}
			return out
		},
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			for _, s := range unanswers(in) {
				if s.finding.Subject == f.Subject {
					return s.ops
				}
			}
			return nil
		},
	}
}

// standIn is an address that this host does not answer for, and what makes it.
type standIn struct {
	finding diag.Finding
	ops     []fixups.Op
}

func unanswers(in *diag.Input) []standIn {
	host := in.Snap.HostNs()
	if host == nil || host.Light {
		return nil
	}
	out := noGateways(in, host)
	for _, up := range diag.Uplinks(in.Snap) {
		if !diag.Programmed(up) {
			out = append(append(out, noNeighbours(in, host, up)...), noNeighbours4(in, host, up)...)
		}
	}
	return out
}

// noGateways: routed namespaces whose gateway nobody has, and nobody answers for.
func noGateways(in *diag.Input, host *snap.Netns) []standIn {
	var out []standIn
	for _, x := range in.Routed() {
		if _, ok := host.HasAddr(x.Gateway); ok || proxyOn(host, "ipv4", x.Host.Name, "proxy_arp") || entryFor(host, x.Host, x.Gateway) {
			continue
		}
		if slices.ContainsFunc(x.NS.Neighs, func(n snap.Neigh) bool { return n.IP == x.Gateway && n.State == "permanent" && !n.Proxy }) {
			continue
		}
		key := "net/ipv4/conf/" + x.Host.Name + "/proxy_arp"
		f := diag.Finding{
			Summary: fmt.Sprintf("%s sends to gateway %s, which nobody has, and the host does not answer for it: %s is 0", in.Who(x.NS.ID), x.Gateway, fixups.SysctlName(key)),
			Cause:   fmt.Sprintf("the veth %s leads to nobody but the host, which answers ARP for addresses that are not its own only with proxy_arp", x.Host.Name),
			Subject: diag.Subject{Kind: "sysctl", Name: fixups.SysctlName(key), Netns: host.ID},
			Evidence: []diag.Evidence{
				ev("sysctl "+fixups.SysctlName(key), fixups.SysctlName(key)+" = 0", snap.RefSysctl(host.ID, key)),
				ev(ipIn(in, x.NS.ID, "route show default"), "default via "+x.Gateway.String()+" dev "+x.Link.Name, snap.RefItem(x.NS.ID, "route", defaultRoute(x.NS))),
			},
			Covers: fromPlain(in, x.NS.ID),
			Weight: 87,
		}
		f.Covers.Traces = append(f.Covers.Traces, coverFrom(in, x.NS.ID, sim.CauseNeighFailed).Traces...)
		slices.Sort(f.Covers.Traces)
		f.Covers.Traces = slices.Compact(f.Covers.Traces)
		if len(x.NS.Pids) == 0 && len(f.Covers.Traces) == 0 {
			f.Severity = diag.Warning
		}
		out = append(out, standIn{f, []fixups.Op{&fixups.SysctlSet{Where: at(in, host.ID), Key: key, Value: "1"}}})
	}
	return out
}

// standsInFor says whether this host was told to answer on a device for addresses of a
// subnet, so that who is there takes its members for neighbours.
func standsInFor(host *snap.Netns, dev *snap.Link, subnet netip.Prefix) bool {
	family, key := "ipv4", "proxy_arp"
	if subnet.Addr().Is6() {
		family, key = "ipv6", "proxy_ndp"
	}
	return proxyOn(host, family, dev.Name, key) || slices.ContainsFunc(host.Neighs, func(n snap.Neigh) bool {
		return n.Proxy && (n.Index == dev.Index || n.Index == 0) && subnet.Contains(n.IP)
	})
}

// noNeighbours: containers whose IPv6 address is one of the uplink's own subnet, and
// that the routers there look for in vain. That somebody meant this host to answer is
// told by its switch, by its entries, or by answers that did not come while the
// host's own did; a router may have a route to the network instead.
func noNeighbours(in *diag.Input, host *snap.Netns, up *snap.Link) []standIn {
	on := proxyOn(host, "ipv6", up.Name, "proxy_ndp")
	some := slices.ContainsFunc(host.Neighs, func(n snap.Neigh) bool { return n.Proxy && n.IP.Is6() && n.Index == up.Index })
	if slices.ContainsFunc(host.Sockets, func(s snap.Socket) bool { return s.Process != nil && strings.Contains(s.Process.Name, "ndp") }) {
		return nil
	}
	var out []standIn
	for _, x := range neighbours6(in, host, up) {
		ip := x.ip
		entry := entryFor(host, up, ip)
		lost, asked := soughtInVain(in, x.ns.ID, up, ip), askedOver(in, host, up, ip)
		if on && entry || !on && !entry && len(lost)+len(asked) == 0 {
			continue
		}
		key := "net/ipv6/conf/" + up.Name + "/proxy_ndp"
		f := diag.Finding{
			Summary: fmt.Sprintf("nobody on %s answers for %s of %s, an address of that device's own subnet", up.Name, ip, in.Who(x.ns.ID)),
			Cause:   "routers on the uplink take the container for a neighbour and ask for its MAC; this host would answer with proxy_ndp and an entry for the address",
			Subject: diag.Subject{Kind: "address", Name: ip.String(), Netns: host.ID},
			Covers:  diag.Cover{Traces: append(lost, asked...)},
			Weight:  70,
		}
		w := at(in, host.ID)
		var ops []fixups.Op
		if !on {
			f.Summary += ": " + fixups.SysctlName(key) + " is 0"
			f.Evidence = append(f.Evidence, ev("sysctl "+fixups.SysctlName(key), fixups.SysctlName(key)+" = 0", snap.RefSysctl(host.ID, key)))
			ops = append(ops, &fixups.SysctlSet{Where: w, Key: key, Value: "1"})
		}
		if !entry {
			f.Summary += ": there is no proxy entry for it"
			f.Evidence = append(f.Evidence, ev("ip -6 neigh show proxy dev "+up.Name, "(no "+ip.String()+")", snap.RefLink(host.ID, up.Name)))
			ops = append(ops, &fixups.NeighSet{Where: w, Dev: up.Name, Neigh: snap.Neigh{Index: up.Index, IP: ip, Proxy: true, State: "none"}})
		}
		if len(lost) == 0 && !entry && !some && !meantToAnswer(in, host, up, x.ns.ID, ip) {
			f.Severity = diag.Warning
		}
		out = append(out, standIn{f, ops})
	}
	return out
}

// neighbour6 is an address of a device's own subnet that is in a namespace behind the host.
type neighbour6 struct {
	ns *snap.Netns
	ip netip.Addr
}

// neighbours6 are those to which the host has a way by another device.
func neighbours6(in *diag.Input, host *snap.Netns, up *snap.Link) []neighbour6 {
	var out []neighbour6
	for i := range in.Snap.Netns {
		ns := &in.Snap.Netns[i]
		if ns == host || !ns.Class.Ours() {
			continue
		}
		for _, a := range ns.Addrs {
			ip := a.Prefix.Addr()
			if !ip.Is6() || a.Scope != "global" || !subnetHolds(host, up, ip) {
				continue
			}
			if _, own := host.HasAddr(ip); own {
				continue
			}
			if r := in.World.Route(host.ID, sim.RouteQuery{Dst: ip}); len(r.Ways) == 1 && r.Ways[0].Dev != up.Name {
				out = append(out, neighbour6{ns, ip})
			}
		}
	}
	return out
}

// askedOver are the flows that somebody asked for, from a sender who is on the device's wire
// and takes the address for a neighbour's.
func askedOver(in *diag.Input, host *snap.Netns, up *snap.Link, ip netip.Addr) []int {
	var out []int
	for i := range in.Flows {
		if f := &in.Flows[i]; f.Asked && f.Outside && f.Flow.Iif == up.Name && f.Flow.Dst == ip && subnetHolds(host, up, f.Flow.Src) {
			out = append(out, i)
		}
	}
	return out
}

// meantToAnswer says whether the device's own switch is on, while what the container sends
// to the world leaves by it with the container's address: all answers depend on it then.
func meantToAnswer(in *diag.Input, host *snap.Netns, up *snap.Link, from string, ip netip.Addr) bool {
	if v, ok := host.Sysctl("net/ipv6/conf/" + up.Name + "/proxy_ndp"); !ok || v == "0" {
		return false
	}
	out := sim.Flow{From: from, Dst: netip.MustParseAddr("2620:fe::fe"), Proto: snap.TCP, Dport: 443, StopOutside: true}
	t := in.World.Trace(out)
	return t.LeftHost == up.Name && t.ExitSrc.Addr() == ip
}

// noNeighbours4 is the same of IPv4: addresses of the uplink's own subnet that this host
// routes to namespaces of its own. In clouds the network knows them without being told by
// ARP, so that only a question that was put counts, and got no answer while the host's own
// did; or one about a sender of that subnet, who would ask.
func noNeighbours4(in *diag.Input, host *snap.Netns, up *snap.Link) []standIn {
	var out []standIn
	for i := range in.Flows {
		f := &in.Flows[i]
		ip, sev := f.Trace.ExitSrc.Addr(), diag.Error
		if f.Outside && f.Flow.Iif == up.Name && subnetHolds(host, up, f.Flow.Src) {
			ip, sev = f.Flow.Dst, diag.Warning
		}
		if !f.Asked || !ip.Is4() || !subnetHolds(host, up, ip) || len(in.Graph.Owners(ip)) != 1 || !f.Outside && len(soughtInVain(in, f.Flow.From, up, ip)) == 0 {
			continue
		}
		o := in.Graph.Owners(ip)[0]
		r := in.World.Route(host.ID, sim.RouteQuery{Dst: ip})
		if o.Netns == host || !o.Netns.Class.Ours() || len(r.Ways) != 1 || r.Ways[0].Dev == up.Name || up.Master != 0 || proxyOn(host, "ipv4", up.Name, "proxy_arp") || entryFor(host, up, ip) {
			continue
		}
		key := "net/ipv4/conf/" + up.Name + "/proxy_arp"
		out = append(out, standIn{diag.Finding{
			Summary:  fmt.Sprintf("nobody on %s answers ARP for %s of %s, an address of that device's own subnet", up.Name, ip, in.Who(o.Netns.ID)),
			Cause:    "who is on that wire takes it for a neighbour and asks for its MAC; this host routes to it, and answers only with proxy_arp or a proxy entry",
			Severity: sev,
			Subject:  diag.Subject{Kind: "address", Name: ip.String(), Netns: host.ID},
			Evidence: []diag.Evidence{
				ev("sysctl "+fixups.SysctlName(key), fixups.SysctlName(key)+" = 0", snap.RefSysctl(host.ID, key)),
				ev("ip neigh show proxy dev "+up.Name, "(no "+ip.String()+")", snap.RefLink(host.ID, up.Name)),
			},
			Covers: diag.Cover{Traces: []int{i}},
			Weight: 70,
		}, []fixups.Op{&fixups.NeighSet{Where: at(in, host.ID), Dev: up.Name, Neigh: snap.Neigh{Index: up.Index, IP: ip, Proxy: true, State: "none"}}}})
	}
	return out
}

// soughtInVain are the flows of a namespace that left by the uplink with that address,
// and were not answered where the host's own were.
func soughtInVain(in *diag.Input, from string, up *snap.Link, ip netip.Addr) []int {
	var out []int
	for i := range in.Flows {
		f := &in.Flows[i]
		if f.Flow.From == from && !f.Excused && f.Trace.LeftHost == up.Name && f.Trace.ExitSrc.Addr() == ip && diag.ProbeSays(f.Probe) == "dropped" &&
			!diedHere(in, f.Probe) && in.TwinSays(f) == "delivered" {
			out = append(out, i)
		}
	}
	return out
}

// proxyOn says whether a device answers for others, by its own switch or all devices'.
func proxyOn(ns *snap.Netns, family, dev, key string) bool {
	for _, d := range []string{"all", dev} {
		if v, ok := ns.Sysctl("net/" + family + "/conf/" + d + "/" + key); ok && v != "0" {
			return true
		}
	}
	return false
}

// entryFor says whether there is a proxy entry for the address.
func entryFor(ns *snap.Netns, l *snap.Link, ip netip.Addr) bool {
	return slices.ContainsFunc(ns.Neighs, func(n snap.Neigh) bool { return n.Proxy && n.IP == ip && (n.Index == l.Index || n.Index == 0) })
}

// subnetHolds says whether the device has a subnet that holds the address.
func subnetHolds(ns *snap.Netns, l *snap.Link, ip netip.Addr) bool {
	return slices.ContainsFunc(ns.AddrsOf(l.Index), func(a snap.Addr) bool {
		return !a.Prefix.IsSingleIP() && a.Prefix.Contains(ip) && !a.Prefix.Addr().IsLinkLocalUnicast()
	})
}
