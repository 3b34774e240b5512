package checks

import (
	"net/netip"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// byRouter asks the router for what somebody asked for, where a route has its whole range
// on the wire, such as zeroconf's 169.254.0.0/16 (RFC 3927), and nobody there has it: the
// cloud's own services are behind the router. The route stays for its other addresses.
// nil where the address was not looked for in vain, or that does not help.
func byRouter(in *diag.Input, f *diag.Finding, ns *snap.Netns, x *snap.Route) []fixups.Op {
	if x.Gateway.IsValid() || len(x.Nexthops) > 0 || !died(in, f) {
		return nil
	}
	then, err := in.WhatIf([]fixups.Op{fixups.NewRouteDel(in.Snap, ns.ID, *x)})
	if err != nil {
		return nil
	}
	return oneByOne(in, f, func(fl *diag.FlowCase) fixups.Op {
		to := fl.Flow.Dst
		r, ok := itemAt[*snap.Route](then, then.World.Route(ns.ID, sim.RouteQuery{Dst: to}).Route)
		if !ok || !r.Gateway.IsValid() || !fl.Asked || !x.Dst.Contains(to) {
			return nil
		}
		way := *r
		way.Dst, way.Metric, way.Protocol = netip.PrefixFrom(to, to.BitLen()), 0, "static"
		f.Advice = "the rest of the range stays on the wire; NOZEROCONF=yes takes it off where avahi-autoipd put it"
		return fixups.NewRouteAdd(in.Snap, ns.ID, way)
	})
}
