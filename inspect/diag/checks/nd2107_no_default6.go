package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2107: a container of an IPv6 network has no IPv6 default route.
//
// The engine gives a container on an IPv6 network an address and a route ::/0 via the
// bridge's address. When the route is gone (a network manager inside, disable_ipv6
// switched on and off again), IPv6 reaches the container's neighbours alone.
//
// See it by hand:
//
//	nsenter -t PID -n ip -6 route show default
//	docker network inspect NET               IPAM.Config, the IPv6 gateway
//
// Sources: moby libnetwork/osl/route_linux.go; moby#27101
func nd2107() diag.Check {
	return diag.Check{
		Code: "ND2107", Name: "container-no-default6", Severity: diag.Error, Since: "0.1",
		Title:  "A container has no IPv6 default route",
		After:  []diag.Code{"ND1103", "ND2106"},
		Detect: detectND2107,
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			for _, a := range without6(in) {
				if a.ns.ID == f.Subject.Netns && a.link != nil {
					return []fixups.Op{&fixups.RouteAdd{Where: at(in, a.ns.ID), Route: asEngine(&a, default6(a.link, a.e.Gateway6)), Devs: []string{a.link.Name}}}
				}
			}
			return nil
		},
	}
}

// without6 are the attachments that should carry an IPv6 default route, in
// containers that have none.
func without6(in *diag.Input) []attachment {
	var out []attachment
	for _, a := range attachments(in) {
		if !a.e.Gateway6.IsValid() || !a.e.IPv6.IsValid() || !a.n.Outward() || a.n.GatewayMode6 == "isolated" || hasDefault6(a.ns) || leadsOut(in, a.ns, somewhere6) || in.Snap.Container(ownerOf(a.ns)) != a.c {
			continue
		}
		if _, ok := a.ns.HasAddr(a.e.IPv6.Addr()); !ok {
			continue // ND2106 tells
		}
		out = append(out, a)
	}
	return out
}

func detectND2107(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, a := range without6(in) {
		s := diag.Subject{Kind: "route", Name: "default6", Netns: a.ns.ID}
		if sameSubject(out, s) >= 0 {
			continue
		}
		f := diag.Finding{
			Summary:  fmt.Sprintf("%s has no IPv6 default route: ::/0 via %s of network %s expected", a.c.Name, a.e.Gateway6, a.n.Name),
			Cause:    "the container's namespace has no route ::/0, so its IPv6 reaches nothing beyond its own subnet",
			Subject:  s,
			Evidence: []diag.Evidence{ev(ipIn(in, a.ns.ID, "-6 route show default"), "(no default route)", snap.RefNetns(a.ns.ID))},
			Weight:   83,
		}
		for _, i := range coverFrom(in, a.ns.ID, sim.CauseNoRoute, sim.CauseReject).Traces {
			if in.Flows[i].Flow.Dst.Is6() {
				f.Covers.Traces = append(f.Covers.Traces, i)
			}
		}
		out = append(out, f)
	}
	return out
}
