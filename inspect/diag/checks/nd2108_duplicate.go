package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2108: two machines on one wire have the same address.
//
// Both answer ARP for it, and whoever answers last is believed: connections to the
// address work, are refused, or hang, by turns. Someone set the address by hand
// inside a container, or two engines share a bridge. On the wire of an uplink (macvlan,
// ipvlan) it is a machine of the LAN, mostly with an address that a DHCP server gave it.
//
// See it by hand:
//
//	arping -I BRIDGE ADDRESS                 answers from two MACs
//	arping -I UPLINK ADDRESS                 of macvlan: the host does not hear its own
//	docker network inspect NET               who should have it
//
// Sources: RFC 5227; net/ipv4/arp.c: arp_process
func nd2108() diag.Check {
	return diag.Check{
		Code: "ND2108", Name: "duplicate-address", Severity: diag.Error, Since: "0.1",
		Title:  "Two machines on one wire have the same address",
		Detect: detectND2108,
		Fix:    fixND2108,
	}
}

// twin is an address that is held beside its rightful holder on one bridge.
type twin struct {
	a     attachment // the rightful holder
	rogue *snap.Netns
	dev   *snap.Link
	addr  snap.Addr
	ref   snap.Ref
}

func twins(in *diag.Input) []twin {
	host := in.Snap.HostNs()
	var out []twin
	for _, a := range attachments(in) {
		if a.host == nil || a.host.Master == 0 || !a.e.IPv4.IsValid() {
			continue
		}
		for i := range in.Snap.Netns {
			ns := &in.Snap.Netns[i]
			if ns == a.ns || ns == host || !ns.Class.Ours() || ns.Light {
				continue
			}
			for k, x := range ns.Addrs {
				l := ns.LinkAt(x.Index)
				if x.Prefix.Addr() != a.e.IPv4.Addr() || l == nil {
					continue
				}
				if p, ok := in.Graph.Peer(l); ok && p.Netns == host && p.Link.Master == a.host.Master {
					out = append(out, twin{a, ns, l, x, snap.RefItem(ns.ID, "addr", k)})
				}
			}
		}
	}
	return out
}

func detectND2108(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, t := range twins(in) {
		ip := t.a.e.IPv4.Addr()
		f := diag.Finding{
			Summary: fmt.Sprintf("duplicate address %s on network %s: it is %s's, and %s has it on %s, too", ip, t.a.n.Name, t.a.c.Name, in.Who(t.rogue.ID), t.dev.Name),
			Cause:   fmt.Sprintf("%s and %s both answer ARP for %s", t.a.c.Name, in.Who(t.rogue.ID), ip),
			Subject: diag.Subject{Kind: "address", Name: ip.String(), Netns: t.rogue.ID},
			Evidence: []diag.Evidence{
				ev(diag.InspectCommand(t.a.c), fmt.Sprintf("%s on network %s", t.a.e.IPv4, t.a.n.Name), snap.RefContainer(t.a.c.Ref)),
				ev(ipIn(in, t.rogue.ID, "addr show dev "+t.dev.Name), addrList(t.rogue, t.dev), t.ref),
			},
			Weight: 87,
		}
		for i := range in.Flows {
			fl := &in.Flows[i]
			if fl.Flow.Dst == ip || fl.Target == t.a.c.Ref || fl.Trace.Where != nil && fl.Trace.Where.Cause == sim.CauseDuplicate && fl.Flow.From == t.a.ns.ID {
				f.Covers.Traces = append(f.Covers.Traces, i)
			}
		}
		out = append(out, f)
	}
	out = append(out, gatewayFindings(in)...)
	for _, t := range in.WireTwins() {
		ip := t.Endpoint.IPv4.Addr()
		f := diag.Finding{
			Summary:    fmt.Sprintf("duplicate address %s on the wire of %s: %s has it on network %s, and a machine beyond this host answers for it, too", ip, t.Link.Name, t.Container.Name, networkName(in, t.Network)),
			Cause:      fmt.Sprintf("%s answers ARP for %s, and no device of this host has that MAC", t.Probe.MAC, ip),
			Subject:    diag.Subject{Kind: "address", Name: ip.String(), Netns: t.Container.Netns},
			Confidence: diag.Proved,
			Evidence: []diag.Evidence{
				ev(fmt.Sprintf("arping -I %s %s", t.Link.Name, ip), fmt.Sprintf("%s is at %s", ip, t.Probe.MAC), snap.RefProbe(t.Probe.ID)),
				ev(diag.InspectCommand(t.Container), fmt.Sprintf("%s on network %s", t.Endpoint.IPv4, t.Network.Name), snap.RefContainer(t.Container.Ref)),
			},
			Advice: fmt.Sprintf("make %s anew with an address that nobody has (--ip), and the network with an --ip-range that the LAN's DHCP server does not give out", t.Container.Name),
			Weight: 87,
		}
		for i := range in.Flows {
			if fl := &in.Flows[i]; fl.Flow.Dst == ip || fl.Target == t.Container.Ref || fl.Flow.From == t.Container.Netns && (fl.Broken() || diag.ProbeSays(fl.Probe) == "dropped") {
				f.Covers.Traces = append(f.Covers.Traces, i)
			}
		}
		for i := range in.Names {
			if n := &in.Names[i]; n.Ask.Netns == t.Container.Netns && n.Bad() {
				f.Covers.Names = append(f.Covers.Names, i)
			}
		}
		out = append(out, f)
	}
	return out
}

// fixND2108 takes the address off the one who should not have it, and lets
// everybody on the bridge forget whom they believed.
func fixND2108(in *diag.Input, f *diag.Finding) []fixups.Op {
	var ops []fixups.Op
	for _, t := range append(twins(in), gatewayTwins(in)...) {
		if t.rogue.ID != f.Subject.Netns || t.addr.Prefix.Addr().String() != f.Subject.Name {
			continue
		}
		ops = append(ops, &fixups.AddrDel{Where: at(in, t.rogue.ID), Dev: t.dev.Name, Prefix: t.addr.Prefix, Peer: t.addr.Peer})
		ops = append(ops, t.own(in)...)
		for i := range in.Snap.Netns {
			ns := &in.Snap.Netns[i]
			if !ns.Class.Ours() || ns.Light {
				continue
			}
			for _, n := range ns.Neighs {
				if l := ns.LinkAt(n.Index); l != nil && n.IP == t.addr.Prefix.Addr() && strings.EqualFold(n.MAC, t.dev.MAC) && !n.Proxy && slices.Contains([]string{"reachable", "stale", "delay", "probe", "permanent"}, n.State) {
					ops = append(ops, &fixups.NeighDel{Where: at(in, ns.ID), Dev: l.Name, IP: n.IP})
				}
			}
		}
	}
	return ops
}

// own gives the other container's own address back, and the routes by that device,
// where they go with the duplicate: a device loses its secondary addresses with the
// primary one of their subnet (net/ipv4/devinet.c: __inet_del_ifa).
func (t *twin) own(in *diag.Input) []fixups.Op {
	first := slices.IndexFunc(t.rogue.Addrs, func(x snap.Addr) bool { return x.Index == t.dev.Index && x.Prefix.Masked() == t.addr.Prefix.Masked() })
	if t.rogue.Addrs[first].Prefix != t.addr.Prefix || t.rogue.Sysctls["net/ipv4/conf/"+t.dev.Name+"/promote_secondaries"] == "1" || t.rogue.Sysctls["net/ipv4/conf/all/promote_secondaries"] == "1" {
		return nil
	}
	for _, a := range attachments(in) {
		if a.ns != t.rogue || a.link != t.dev || a.e.IPv4.Masked() != t.addr.Prefix.Masked() {
			continue
		}
		w := at(in, t.rogue.ID)
		ops := []fixups.Op{&fixups.AddrAdd{Where: w, Dev: t.dev.Name, Addr: snap.Addr{
			Index: t.dev.Index, Prefix: a.e.IPv4, Scope: "global", ValidMs: -1, PreferredMs: -1, Flags: []string{"permanent"},
			Bcast: snap.LastAddr(a.e.IPv4), Label: t.dev.Name,
		}}}
		for _, r := range t.rogue.Routes {
			if r.Oif == t.dev.Index && r.Family == snap.IPv4 && r.Protocol != "kernel" && len(r.Nexthops) == 0 {
				ops = append(ops, &fixups.RouteAdd{Where: w, Route: r, Devs: []string{t.dev.Name}})
			}
		}
		return ops
	}
	return nil
}
