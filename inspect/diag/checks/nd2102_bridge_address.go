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

// nd2102: a bridge lacks its gateway address.
//
// The containers' default gateway is an address of the bridge on the host. When
// it is gone, nobody answers ARP for the gateway and the host has no route back to
// the subnet; containers of that network still reach each other. Network managers
// that "clean up" devices, and "ip addr flush", remove it; put back with a wrong
// prefix length it is there, and the connected route to the subnet is not; put on
// another device it takes the way back to the containers there. A network with
// com.docker.network.bridge.inhibit_ipv4 has none by will.
//
// See it by hand:
//
//	ip addr show dev BRIDGE                  the gateway address is not there
//	ip addr show to GATEWAY                  which device has it instead
//	docker network inspect NET               IPAM.Config[0].Gateway
//
// Sources: moby drivers/bridge/setup_ipv4_linux.go; moby#40217, moby#40170, systemd#28626
func nd2102() diag.Check {
	return diag.Check{
		Code: "ND2102", Name: "bridge-address-missing", Severity: diag.Error, Since: "0.1",
		Title:  "A network's bridge has lost its gateway address",
		After:  []diag.Code{"ND1101", "ND1106"},
		Detect: detectND2102,
		Fix:    fixND2102,
	}
}

func detectND2102(in *diag.Input) []diag.Finding {
	host := in.Snap.HostNs()
	if host == nil {
		return nil
	}
	var out []diag.Finding
	for i := range in.Snap.Networks {
		n := &in.Snap.Networks[i]
		if n.Driver != "bridge" || n.Bridge == "" || !inUse(in, n) || n.GatewayMode4 == "isolated" || n.GatewayElsewhere() {
			continue
		}
		br := host.Link(n.Bridge)
		gw, subnet := gateway4(n)
		if br == nil || !gw.IsValid() {
			continue
		}
		var have []string
		found, wrong := false, netip.Prefix{}
		for _, a := range host.AddrsOf(br.Index) {
			if a.Prefix.Addr() == gw {
				found = found || a.Prefix.Bits() <= subnet.Bits()
				wrong = a.Prefix
			}
			if a.Prefix.Addr().Is4() {
				have = append(have, a.Prefix.String())
			}
		}
		if found {
			continue
		}
		text := "no IPv4 address"
		if len(have) > 0 {
			text = strings.Join(have, ", ")
		}
		f := diag.Finding{
			Summary: fmt.Sprintf("%s has no address %s/%d: the gateway of network %s is missing", br.Name, gw, subnet.Bits(), n.Name),
			Cause:   fmt.Sprintf("the bridge %s lacks the gateway address %s/%d that the containers of %s send everything to", br.Name, gw, subnet.Bits(), n.Name),
			Subject: diag.Subject{Kind: "address", Name: br.Name, Netns: host.ID},
			Evidence: []diag.Evidence{
				ev("ip addr show dev "+br.Name, br.Name+": "+text, snap.RefLink(host.ID, br.Name)),
				ev(diag.NetworkCommand(n), fmt.Sprintf("gateway %s, subnet %s", gw, subnet), snap.RefNetwork(n.Ref)),
			},
			Weight: 85,
		}
		if a, ok := strayGateway(host, br, gw); ok {
			dev := host.LinkAt(a.Index).Name
			f.Summary = fmt.Sprintf("%s has no address %s/%d: the gateway of network %s is on %s instead", br.Name, gw, subnet.Bits(), n.Name, dev)
			f.Cause = fmt.Sprintf("the host holds %s on %s, so it sends what is for the containers of %s out there, where they are not", a.Prefix, dev, n.Name)
			f.Evidence = append(f.Evidence, ev("ip addr show dev "+dev, fmt.Sprintf("%s: %s", dev, a.Prefix), snap.RefLink(host.ID, dev)))
		}
		if wrong.IsValid() {
			f.Summary = fmt.Sprintf("%s has %s where network %s needs %s/%d: the connected route to its containers is missing", br.Name, wrong, n.Name, gw, subnet.Bits())
			f.Cause = fmt.Sprintf("the prefix length of the gateway address on %s is %d instead of %d, so the host has no connected route for %s", br.Name, wrong.Bits(), subnet.Bits(), subnet)
			if c := mends(in, fixND2102(in, &f)); len(c.Traces)+len(c.Names) == 0 {
				f.Severity = diag.Info // those that are there now are within reach
			}
		}
		out = append(out, f)
	}
	six := snap.Without(sixBridges(in, host), func(f diag.Finding) bool {
		br := host.Link(f.Subject.Name)
		return !br.Up || br.MTU < minMTU6 // ND1101 gives it back; a device so narrow has no IPv6 (net/ipv6/addrconf.c: addrconf_notify)
	})
	return slices.Concat(out, six, plainBridges(in, host))
}

// strayGateway is a network's gateway address on another device of the host than
// its bridge.
func strayGateway(host *snap.Netns, br *snap.Link, gw netip.Addr) (snap.Addr, bool) {
	for _, a := range host.Addrs {
		if l := host.LinkAt(a.Index); l != nil && a.Index != br.Index && a.Prefix.Addr() == gw && l.Name != "lo" {
			return a, true
		}
	}
	return snap.Addr{}, false
}

// unstray takes a network's gateway address off another device than its bridge;
// nothing where one of the host's ways to elsewhere leads over that device's side
// of the subnet.
func unstray(in *diag.Input, host *snap.Netns, br *snap.Link, gw netip.Addr) []fixups.Op {
	a, ok := strayGateway(host, br, gw)
	if !ok || slices.ContainsFunc(host.Routes, func(r snap.Route) bool {
		return r.Oif == a.Index && r.Gateway.IsValid() && a.Prefix.Masked().Contains(r.Gateway)
	}) {
		return nil
	}
	return []fixups.Op{&fixups.AddrDel{Where: at(in, host.ID), Dev: host.LinkAt(a.Index).Name, Prefix: a.Prefix, Peer: a.Peer}}
}

// sixBridges: the same of IPv6 gateways, as the engine gave them to the endpoints.
func sixBridges(in *diag.Input, host *snap.Netns) []diag.Finding {
	var out []diag.Finding
	for _, a := range attachments(in) {
		br := host.Link(a.n.Bridge)
		gw := a.e.Gateway6
		if br == nil || !gw.IsValid() || !a.e.IPv6.IsValid() || a.n.GatewayMode6 == "isolated" || (a.n.Engine == "podman" || a.n.Options[snap.OptIsGateway] != "") && a.n.GatewayElsewhere() || holdsAddr(host, br, gw) || len(in.Graph.Owners(gw)) > 0 ||
			host.Sysctls["net/ipv6/conf/all/disable_ipv6"] == "1" {
			continue
		}
		s := diag.Subject{Kind: "address6", Name: br.Name, Netns: host.ID}
		if sameSubject(out, s) >= 0 {
			continue
		}
		f := diag.Finding{
			Summary: fmt.Sprintf("%s has no address %s/%d: the IPv6 gateway of network %s is missing", br.Name, gw, a.e.IPv6.Bits(), a.n.Name),
			Cause:   fmt.Sprintf("the bridge %s lacks the IPv6 gateway address that the containers of %s send everything to", br.Name, a.n.Name),
			Subject: s,
			Evidence: []diag.Evidence{
				ev("ip -6 addr show dev "+br.Name, br.Name+": no "+gw.String(), snap.RefLink(host.ID, br.Name)),
				ev(diag.NetworkCommand(a.n), fmt.Sprintf("gateway %s", gw), snap.RefNetwork(a.n.Ref)),
			},
			Weight: 85,
		}
		if key := noIPv6On(br); host.Sysctls[key] == "1" {
			f.Summary = fmt.Sprintf("IPv6 is switched off on %s (disable_ipv6), the bridge of network %s: its gateway %s is gone", br.Name, a.n.Name, gw)
			f.Evidence[0] = ev("sysctl "+strings.ReplaceAll(key, "/", "."), key+" = 1", snap.RefSysctl(host.ID, key))
		}
		for _, b := range attachments(in) {
			for _, i := range coverFrom(in, b.ns.ID, sim.CauseNeighFailed).Traces {
				if b.n == a.n && in.Flows[i].Flow.Dst.Is6() {
					f.Covers.Traces = append(f.Covers.Traces, i)
				}
			}
		}
		out = append(out, f)
	}
	return out
}

// noIPv6On is the switch that deletes a device's IPv6 addresses when it is set
// (net/ipv6/addrconf.c: addrconf_disable_ipv6).
func noIPv6On(l *snap.Link) string { return "net/ipv6/conf/" + l.Name + "/disable_ipv6" }

// plainBridges: namespaces of no engine send to a gateway that nobody has, over a
// bridge without an address that no other machine is on.
func plainBridges(in *diag.Input, host *snap.Netns) []diag.Finding {
	var out []diag.Finding
	for _, p := range lostPlains(in) {
		want := netip.PrefixFrom(p.Gateway, p.Addr.Bits())
		out = append(out, diag.Finding{
			Summary: fmt.Sprintf("%s has no address %s: the gateway of %s is missing", p.Bridge.Name, want, p.NS.ID),
			Cause:   fmt.Sprintf("nobody has %s, that %s sends everything to, and the bridge %s, that only namespaces of this host are on, has no IPv4 address", p.Gateway, p.NS.ID, p.Bridge.Name),
			Subject: diag.Subject{Kind: "address", Name: p.Bridge.Name, Netns: host.ID},
			Evidence: []diag.Evidence{
				ev("ip addr show dev "+p.Bridge.Name, p.Bridge.Name+": no IPv4 address", snap.RefLink(host.ID, p.Bridge.Name)),
				ev(ipIn(in, p.NS.ID, "route show default"), "default via "+p.Gateway.String(), snap.RefItem(p.NS.ID, "route", defaultRoute(p.NS))),
			},
			Covers: fromPlain(in, p.NS.ID),
			Weight: 85,
		})
	}
	return out
}

// lostPlains are namespaces of no engine whose gateway must be the bridge, which
// has no IPv4 address: the first of each bridge.
func lostPlains(in *diag.Input) []diag.Plain {
	host := in.Snap.HostNs()
	var out []diag.Plain
	for _, p := range in.Plains() {
		seen := func(q diag.Plain) bool { return q.Bridge == p.Bridge }
		if p.Bridge == nil || slices.ContainsFunc(out, seen) {
			continue
		}
		if slices.ContainsFunc(host.AddrsOf(p.Bridge.Index), func(a snap.Addr) bool { return a.Prefix.Addr().Is4() }) || !in.Lost(&p) {
			continue
		}
		out = append(out, p)
	}
	return out
}

// fromPlain are the flows of a namespace that do not get through: each needs its
// gateway, also those that still know its hardware address.
func fromPlain(in *diag.Input, from string) diag.Cover {
	var c diag.Cover
	for i := range in.Flows {
		if f := &in.Flows[i]; f.Flow.From == from && (f.Broken() || diag.ProbeSays(f.Probe) == "dropped") && !f.Flow.Dst.IsLoopback() {
			c.Traces = append(c.Traces, i)
		}
	}
	return c
}
