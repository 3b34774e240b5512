package checks

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2901 names whatever the routing of a namespace does to a flow that no
// other check explains.
//
// A namespace on the way has no route for the packet, a route or a rule that
// throws it away (blackhole, prohibit, unreachable), refuses its source
// (rp_filter, an address of its own, 127.0.0.0/8 without route_localnet), or finds
// no way after NAT changed the destination.
//
// See it by hand:
//
//	ip route get DST from SRC iif DEVICE     the kernel's own answer
//	ip rule; ip route show table all
//	sysctl net.ipv4.conf.all.rp_filter net.ipv4.conf.DEVICE.rp_filter
//
// Sources: net/ipv4/fib_frontend.c: __fib_validate_source; net/ipv4/route.c: ip_route_input_slow
func nd2901() diag.Check {
	return diag.Check{
		Code: "ND2901", Name: "routing", Severity: diag.Error, Since: "0.1",
		Title:    "A routing decision stops the packet",
		CatchAll: true,
		After:    []diag.Code{"ND1123", "ND2122", "ND2123", "ND1101", "ND1103", "ND1104", "ND1108", "ND2101", "ND2102", "ND2103", "ND2104", "ND2105", "ND3204", "ND3201", "ND6101", "ND2301", "ND2201", "ND2106", "ND2109", "ND2107", "ND2202", "ND2203", "ND2204", "ND6401", "ND6402", "ND3211", "ND2205", "ND2209", "ND2210", "ND2206", "ND2207", "ND3205", "ND1106", "ND5121"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range in.Groups(sim.CauseNoRoute, sim.CauseReject, sim.CauseRejectRule, sim.CauseRPFilter, sim.CauseMartian, sim.CauseNATReroute, sim.CauseNoWayBack, sim.CauseLedAway, sim.CauseSelfSource, sim.CauseTTL, sim.CauseLoop, sim.CauseIPv6Off) {
				if !owned(in, g.Where.Netns) {
					continue
				}
				f := placeFinding(in, g)
				f.Subject = diag.Subject{Kind: "route", Name: cmp.Or(string(g.Where.Ref), g.Where.Reason), Netns: g.Where.Netns}
				flow := in.Flows[g.Flows[0]].Flow
				f.Evidence = append(f.Evidence, ev(ipIn(in, g.Where.Netns, "route get "+flow.Dst.String()), g.Where.Reason, snap.RefNetns(g.Where.Netns)))
				f.Advice = "see it by hand: " + ipIn(in, g.Where.Netns, "route get "+flow.Dst.String())
				if g.Where.Cause == sim.CauseNoRoute {
					unaddressed(in, &f, flow.Dst.Is4())
				}
				out = append(out, f)
			}
			return out
		},
		Fix: fixUnroute,
	}
}

// unaddressed says of a sender without a route that it has no address of the
// family, and which subnet the bridge is on that its device leads to.
func unaddressed(in *diag.Input, f *diag.Finding, v4 bool) {
	ns, host := in.Netns(f.Subject.Netns), in.Snap.HostNs()
	if ns == nil || host == nil || ns == host {
		return
	}
	var out *snap.Link
	for i := range ns.Links {
		l := &ns.Links[i]
		if l.Loopback {
			continue
		}
		for _, a := range ns.AddrsOf(l.Index) {
			if a.Prefix.Addr().Is4() == v4 && !a.Prefix.Addr().IsLinkLocalUnicast() {
				return
			}
		}
		if out == nil && l.Kind == "veth" && l.PeerNetns == host.ID {
			out = l
		}
	}
	if ns.Class == snap.ClassContainer && !slices.ContainsFunc(ns.Links, func(l snap.Link) bool { return !l.Loopback }) {
		f.Summary += "; it has no device but lo"
		f.Advice = "unless it was made without a network (--network none), start it again: what gave it its device is gone (slirp4netns or pasta of a rootless engine, a deleted veth)"
		if c := container(in, ns.ID); c != nil && c.NetworkMode == "none" {
			f.Advice = "it was made without a network (--network none): make it again on one"
		}
	}
	if out == nil {
		return
	}
	family := map[bool]string{true: "IPv4", false: "IPv6"}[v4]
	f.Summary += fmt.Sprintf("; its %s has no %s address", out.Name, family)
	f.Evidence = append(f.Evidence, ev(ipIn(in, ns.ID, "addr show dev "+out.Name), linkLine(out)+": no "+family+" address", snap.RefLink(ns.ID, out.Name)))
	if peer := host.LinkAt(out.Peer); peer != nil {
		if br := host.LinkAt(peer.Master); br != nil {
			for _, a := range host.AddrsOf(br.Index) {
				if a.Prefix.Addr().Is4() == v4 && !a.Prefix.Addr().IsLinkLocalUnicast() {
					f.Advice = fmt.Sprintf("give %s a free address of %s, the subnet of %s that it is on, and a default route: %s; %s", out.Name, a.Prefix.Masked(), br.Name,
						ipIn(in, ns.ID, "addr add ADDRESS/"+strconv.Itoa(a.Prefix.Bits())+" dev "+out.Name), ipIn(in, ns.ID, "route add default via "+a.Prefix.Addr().String()))
				}
			}
		}
	}
}
