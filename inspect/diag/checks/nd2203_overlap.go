package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2203: an engine's network and a route of the host claim the same addresses.
//
// The longest prefix wins. A VPN's route that is more specific than a container
// network's takes its containers' traffic away; a container network that lies inside
// a company's range, or on top of it, takes the company's servers away from this host
// and its containers. Engines look for free ranges when a network is made, but only
// at routes without gateway, and not at what is brought up later.
//
// See it by hand:
//
//	ip route get ADDRESS                     by which device it really leaves
//	docker network inspect NET               IPAM.Config[0].Subnet
//
// Sources: moby libnetwork/netutils/utils_linux.go: InferReservedNetworks; net/ipv4/fib_trie.c
func nd2203() diag.Check {
	return diag.Check{
		Code: "ND2203", Name: "subnet-overlap", Severity: diag.Error, Since: "0.1",
		Title:  "A container network and another route of the host cover the same addresses",
		Detect: detectND2203,
	}
}

func detectND2203(in *diag.Input) []diag.Finding {
	host := in.Snap.HostNs()
	var out []diag.Finding
	if host == nil {
		return nil
	}
	for i := range in.Snap.Networks {
		n := &in.Snap.Networks[i]
		if n.Driver != "bridge" || n.Bridge == "" {
			continue
		}
		for _, p := range n.Pools {
			if !p.Subnet.IsValid() {
				continue
			}
			for k := range host.Routes {
				if f, ok := overlap(in, n, p.Subnet.Masked(), k); ok {
					out = append(out, f)
				}
			}
			out = append(out, vainly(in, n, p.Subnet.Masked())...)
		}
	}
	return out
}

// overlap compares a network's subnet with one route of the host.
func overlap(in *diag.Input, n *snap.Network, subnet netip.Prefix, k int) (diag.Finding, bool) {
	host := in.Snap.HostNs()
	r := host.Routes[k]
	dev := host.LinkAt(r.Oif)
	if r.Type != "unicast" || r.Table == snap.TableLocal || !asked(host, r.Table) || r.Dst.Bits() < 2 || r.Dst.Addr().Is6() && r.Dst.Bits() < 4 || dev == nil || dev.Name == n.Bridge || !r.Dst.Overlaps(subnet) {
		return diag.Finding{}, false
	}
	stray := strayOps(in, n, r)
	if m := in.Graph.NetworkOfBridge(dev.Name); m != nil && !handMade(r, dev) && stray == nil {
		return diag.Finding{}, false // engines keep their own networks apart
	}
	line, source := routeLine(in, host.ID, snap.RefItem(host.ID, "route", k))
	f := diag.Finding{
		Subject:    diag.Subject{Kind: "network", Name: networkName(in, n), Netns: host.ID},
		Confidence: diag.Predicted,
		Evidence: []diag.Evidence{
			ev(source, line, snap.RefItem(host.ID, "route", k)),
			ev(diag.NetworkCommand(n), "subnet "+subnet.String(), snap.RefNetwork(n.Ref)),
		},
		Advice: fmt.Sprintf("make network %s anew with a subnet that nobody else uses, or keep the range out of what brings the route on %s (split tunnel)", n.Name, dev.Name),
		Weight: 78,
	}
	if w := shorter(in, host.ID, dev.Name, r.Dst); r.Protocol == "kernel" && w != "" {
		f.Advice = fmt.Sprintf("where %s is too wide for %s, correct the prefix length of its address%s; else make network %s anew with a subnet that nobody else uses", r.Dst, dev.Name, w, n.Name)
	}
	if r.Dst.Bits() == subnet.Bits() && ownFirst(in, n, k) {
		return diag.Finding{}, false // of two with one prefix and metric the first is taken (net/ipv4/fib_trie.c: fib_table_insert)
	}
	if r.Dst.Bits() < subnet.Bits() {
		if r.Protocol == "kernel" && cutsOff(in, n, subnet, dev, &f) {
			return f, true
		}
		if goesBy(in, host, subnet, k) {
			return diag.Finding{}, false // its table is asked first, and what it does there ND2205 says
		}
		if standsInFor(host, dev, subnet) {
			return diag.Finding{}, false // cut out of the uplink's own subnet on purpose; ND2304 says where that does not work
		}
		f.Severity, f.Weight = diag.Info, 5
		f.Summary = fmt.Sprintf("network %s (%s) lies inside %s, which is routed by %s: addresses of that range behind %s can't be reached", n.Name, subnet, r.Dst, dev.Name, dev.Name)
		f.Cause = "what this host sends there goes by the network's own route"
		return f, true
	}
	f.Summary = fmt.Sprintf("route %s by %s shadows network %s (%s): packets to its containers leave by %s", r.Dst, dev.Name, n.Name, subnet, dev.Name)
	f.Cause = fmt.Sprintf("%s is more specific than the connected route of %s, so the longest prefix leads away from the bridge", r.Dst, n.Bridge)
	if r.Dst.Bits() == subnet.Bits() {
		f.Cause = fmt.Sprintf("of two routes to %s the host takes the one by %s, so what is for the containers leaves there", subnet, dev.Name)
	}
	f.Cure = []fixups.Op{&fixups.RouteDel{Where: at(in, host.ID), Route: r, Devs: []string{dev.Name}}}
	if handMade(r, dev) {
		f.Fix = &diag.Fix{Ops: f.Cure, Survives: "until somebody adds the route again"}
		f.Advice = "nothing but the bridge leads to those addresses: the route is taken away; whatever added it may do so again"
	}
	if stray != nil {
		gw, _ := gateway4(n)
		f.Summary = fmt.Sprintf("%s has %s, the gateway address of network %s, too: packets to its containers leave by %s", dev.Name, gw, n.Name, dev.Name)
		f.Cause = fmt.Sprintf("with that address came the route %s by %s, which is taken before the one by %s", r.Dst, dev.Name, n.Bridge)
		f.Cure = stray
		f.Fix = &diag.Fix{Ops: stray, Survives: "until reboot"}
		f.Advice = "the address belongs on the network's bridge alone; whatever put it there may do so again"
	}
	var hit bool
	if f.Covers.Traces, hit = ledAway(in, n, r); !hit {
		f.Severity = diag.Warning
		if host.Link(n.Bridge) == nil { // a file of a package, Podman's or containerd's, that nobody has run anything on
			f.Severity, f.Weight = diag.Info, 5
		}
	}
	return f, true
}

// ledAway are the flows that a route takes away from a network; hit says whether one of
// the network's containers has an address that it covers.
func ledAway(in *diag.Input, n *snap.Network, r snap.Route) (flows []int, hit bool) {
	host := in.Snap.Host.Netns
	for _, a := range attachments(in) {
		if a.n != n || !r.Dst.Contains(a.e.IPv4.Addr()) && !(a.e.IPv6.IsValid() && r.Dst.Contains(a.e.IPv6.Addr())) {
			continue
		}
		hit = true
		for i := range in.Flows {
			fl := &in.Flows[i]
			if (fl.Target == a.c.Ref && (fl.Flow.From == host || fl.Outside)) || fl.Flow.From == a.ns.ID && fl.Trace.LeftHost != "" || r.Dst.Contains(fl.Flow.Dst) && fl.Flow.From == host {
				flows = append(flows, i)
			}
		}
	}
	slices.Sort(flows)
	return slices.Compact(flows), hit
}

// strayOps take away the address that a connected route came with, where it is a
// network's gateway address on another device than its bridge; nil otherwise.
func strayOps(in *diag.Input, n *snap.Network, r snap.Route) []fixups.Op {
	host := in.Snap.HostNs()
	br := host.Link(n.Bridge)
	gw, _ := gateway4(n)
	if br == nil || !gw.IsValid() || r.Protocol != "kernel" || r.PrefSrc != gw || !holdsAddr(host, br, gw) {
		return nil
	}
	ops := unstray(in, host, br, gw)
	if len(ops) == 0 {
		return nil
	}
	for _, x := range disconnected(in) { // the kernel does not make it anew when the other one goes
		if x.ns == host && x.link == br && !x.local {
			ops = append(ops, x.ops(in)...)
		}
	}
	return ops
}

// handMade says whether a route is one that a person or a script adds: no
// tunnel's, no routing daemon's, no DHCP client's (rtnetlink(7): RTPROT_BOOT, RTPROT_STATIC).
func handMade(r snap.Route, dev *snap.Link) bool {
	return (r.Protocol == "boot" || r.Protocol == "static") && !diag.IsTunnel(dev)
}

// asked says whether a routing rule asks a table at all; where none was read the
// kernel's own rules are there.
func asked(ns *snap.Netns, table uint32) bool {
	return table == snap.TableMain || slices.ContainsFunc(ns.Rules, func(r snap.PolicyRule) bool { return r.Action == "table" && r.Table == table })
}

// goesBy says whether the host's k-th route is what its packets to a container network go by.
func goesBy(in *diag.Input, host *snap.Netns, subnet netip.Prefix, k int) bool {
	dst := subnet.Addr().Next().Next() // the first is mostly the host's own
	return subnet.Contains(dst) && in.World.Route(host.ID, sim.RouteQuery{Dst: dst}).Route == snap.RefItem(host.ID, "route", k)
}

// ownFirst says whether the route to a network's bridge comes before the host's
// k-th route, to the same prefix by another device.
func ownFirst(in *diag.Input, n *snap.Network, k int) bool {
	host := in.Snap.HostNs()
	br := host.Link(n.Bridge)
	for i := range k {
		if r := &host.Routes[i]; br != nil && r.Oif == br.Index && r.Table == host.Routes[k].Table && r.Dst == host.Routes[k].Dst && r.Metric <= host.Routes[k].Metric {
			return true
		}
	}
	return false
}

// vainly tells of a network that no container is on, while programs ask for
// addresses in its subnet: they mean machines elsewhere, which the network's
// route hides.
func vainly(in *diag.Input, n *snap.Network, subnet netip.Prefix) []diag.Finding {
	host := in.Snap.HostNs()
	br := host.Link(n.Bridge)
	if br == nil || members(in, n) > 0 {
		return nil
	}
	asked, proof := sought(in, br, subnet)
	if !asked.IsValid() {
		return nil
	}
	f := diag.Finding{
		Summary: fmt.Sprintf("network %s (%s) has no container, but %s in it is asked for, in vain: the network hides whoever has that address elsewhere", n.Name, subnet, asked),
		Cause:   fmt.Sprintf("the connected route of %s covers %s, so packets for it end on an empty bridge instead of leaving by the default route", n.Bridge, asked),
		Subject: diag.Subject{Kind: "network", Name: networkName(in, n), Netns: host.ID},
		Evidence: []diag.Evidence{
			proof,
			ev(diag.NetworkCommand(n), "subnet "+subnet.String()+", no containers", snap.RefNetwork(n.Ref)),
		},
		Advice: fmt.Sprintf("if it is not needed: %s; else make it anew with another subnet", diag.RemoveCommand(n)),
		Weight: 79,
	}
	for k := range in.Flows {
		if fl := &in.Flows[k]; subnet.Contains(fl.Flow.Dst) {
			f.Covers.Traces = append(f.Covers.Traces, k)
		}
	}
	return []diag.Finding{f}
}

// sought is an address on a bridge that is asked for in vain, and what shows it:
// a neighbour that did not answer, a connection that somebody tries right now, or the
// route that takes what a person asks for.
func sought(in *diag.Input, br *snap.Link, subnet netip.Prefix) (netip.Addr, diag.Evidence) {
	host := in.Snap.HostNs()
	for i, x := range host.Neighs {
		if x.Index == br.Index && (x.State == "failed" || x.State == "incomplete") && subnet.Contains(x.IP) {
			return x.IP, ev("ip neigh show dev "+br.Name, fmt.Sprintf("%s dev %s %s", x.IP, br.Name, x.State), snap.RefItem(host.ID, "neigh", i))
		}
	}
	for i := range in.Flows {
		f := &in.Flows[i]
		if _, mine := host.HasAddr(f.Flow.Dst); mine || !subnet.Contains(f.Flow.Dst) {
			continue
		}
		if f.Kind == "tried" {
			return f.Flow.Dst, diag.Tried(f)
		}
		k := slices.IndexFunc(host.Routes, func(r snap.Route) bool { return r.Oif == br.Index && r.Dst == subnet })
		if f.Asked && f.Broken() && k >= 0 {
			ref := snap.RefItem(host.ID, "route", k)
			line, source := routeLine(in, host.ID, ref)
			return f.Flow.Dst, ev(source, line, ref)
		}
	}
	return netip.Addr{}, diag.Evidence{}
}
