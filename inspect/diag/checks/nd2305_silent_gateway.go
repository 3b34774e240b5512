package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2305: the host sends to a gateway that is not there.
//
// The host's default route names a gateway, and nobody answers ARP for it: a wrong
// digit, a router that was switched off or renumbered, a virtual address (VRRP) that
// nobody holds any more. Containers hear "No route to host" from their own gateway
// after three seconds; what is on the same wire as the host still works. A machine
// that has the address and is no router takes the packets, and nothing comes back.
//
// When another neighbour on that wire carries a question to a name server and brings
// the answer, and it alone does, the route is led by it.
//
// See it by hand:
//
//	ip route show default; ip neigh show to GATEWAY      FAILED or INCOMPLETE
//	arping -I DEVICE GATEWAY
//
// False positives: none for the silence; that another router is there does not say
// that it is meant for this host.
//
// Sources: net/ipv4/arp.c: arp_solicit; net/core/neighbour.c: neigh_timer_handler
func nd2305() diag.Check {
	return diag.Check{
		Code: "ND2305", Name: "host-gateway-silent", Severity: diag.Error, Since: "0.2",
		Title:  "The host's default gateway is not there, or is no router",
		After:  []diag.Code{"ND1108", "ND1123", "ND1124", "ND2303", "ND2203", "ND2205", "ND2207", "ND3205"},
		Detect: detectND2305,
		Fix:    fixND2305,
	}
}

func detectND2305(in *diag.Input) []diag.Finding {
	silent := in.SilentGateway()
	if silent == nil {
		return nil
	}
	host, gw := in.Snap.HostNs(), silent.Gateway
	i := defaultRoute(host)
	l := host.LinkAt(host.Routes[i].Oif)
	if l == nil {
		return nil
	}
	f := diag.Finding{
		Summary:  fmt.Sprintf("%s, this host's default gateway, answers no ARP on %s: nothing outside can be reached", gw, l.Name),
		Cause:    fmt.Sprintf("the default route leads by %s, and nobody on the wire of %s has that address", gw, l.Name),
		Subject:  diag.Subject{Kind: "route", Name: "default", Netns: host.ID},
		Evidence: []diag.Evidence{ev("ip route show default", fmt.Sprintf("default via %s dev %s", gw, l.Name), snap.RefItem(host.ID, "route", i))},
		Covers:   diag.Cover{Traces: silent.Flows, Names: coverNames(in, upstreamCut)},
		Weight:   87,
		Advice:   fmt.Sprintf("find out where %s went, or which gateway is right: ip route replace default via GATEWAY dev %s", gw, l.Name),
	}
	switch p := silent.Probe; {
	case silent.Idle:
		f.Confidence = diag.Proved
		f.Summary = fmt.Sprintf("%s, this host's default gateway, is on %s and carries nothing to the world, as another neighbour does", gw, l.Name)
		f.Cause = fmt.Sprintf("the default route leads by %s, which is no router, or has lost its own way out", gw)
		f.Evidence = append(f.Evidence, ev(fmt.Sprintf("probe %d", p.ID), fmt.Sprintf("a question to %s that was handed to %s (%s) got no answer", p.Dst.Addr(), gw, p.MAC), snap.RefProbe(p.ID)))
	case p != nil:
		f.Confidence = diag.Proved
		f.Evidence = append(f.Evidence, probed(in, p, fmt.Sprintf("no neighbour %s", gw)))
	default:
		f.Evidence = append(f.Evidence, ev(fmt.Sprintf("ip neigh show to %s dev %s", gw, l.Name), silent.Where.Detail, silent.Where.Ref))
	}
	carried(in, &f)
	return []diag.Finding{f}
}

// fixND2305 leads the route by the one neighbour that was seen to be a router.
func fixND2305(in *diag.Input, f *diag.Finding) []fixups.Op {
	host, rs := in.Snap.HostNs(), in.Routers()
	if len(rs) != 1 {
		return nil
	}
	i := defaultRoute(host)
	r := host.Routes[i]
	if r.Oif != rs[0].Link.Index {
		return nil
	}
	r.Gateway = rs[0].Addr
	return []fixups.Op{fixups.NewRouteReplace(in.Snap, f.Subject.Netns, r)}
}
