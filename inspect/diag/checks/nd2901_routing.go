package checks

import (
	"cmp"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2901 names whatever the routing of a namespace does to a flow that no
// other check explains.
func nd2901() diag.Check {
	return diag.Check{
		Code: "ND2901", Name: "routing", Severity: diag.Error, Since: "0.1",
		Title: "A routing decision stops the packet",
		Doc: `A namespace on the way has no route for the packet, a route or a rule that
throws it away (blackhole, prohibit, unreachable), refuses its source
(rp_filter, an address of its own, 127.0.0.0/8 without route_localnet), or finds
no way after NAT changed the destination.

See it by hand:
    ip route get DST from SRC iif DEVICE     the kernel's own answer
    ip rule; ip route show table all
    sysctl net.ipv4.conf.all.rp_filter net.ipv4.conf.DEVICE.rp_filter

Sources: net/ipv4/fib_frontend.c: __fib_validate_source; net/ipv4/route.c: ip_route_input_slow`,
		CatchAll: true,
		After:    []diag.Code{"ND2122", "ND1101", "ND1103", "ND1104", "ND1108", "ND2101", "ND2102", "ND2103", "ND2104", "ND2105", "ND3204", "ND3201", "ND6101", "ND2301", "ND2201", "ND2106", "ND2107", "ND2202", "ND2203", "ND2204", "ND6401", "ND2205", "ND2206", "ND2207", "ND3205", "ND1106"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range in.Groups(sim.CauseNoRoute, sim.CauseReject, sim.CauseRejectRule, sim.CauseRPFilter, sim.CauseMartian, sim.CauseNATReroute, sim.CauseSelfSource, sim.CauseTTL, sim.CauseLoop, sim.CauseIPv6Off) {
				if !owned(in, g.Where.Netns) {
					continue
				}
				f := placeFinding(in, g)
				f.Subject = diag.Subject{Kind: "route", Name: cmp.Or(string(g.Where.Ref), g.Where.Reason), Netns: g.Where.Netns}
				flow := in.Flows[g.Flows[0]].Flow
				f.Evidence = append(f.Evidence, ev(ipIn(in, g.Where.Netns, "route get "+flow.Dst.String()), g.Where.Reason, snap.RefNetns(g.Where.Netns)))
				f.Advice = "see it by hand: " + ipIn(in, g.Where.Netns, "route get "+flow.Dst.String())
				out = append(out, f)
			}
			return out
		},
		Fix: fixUnroute,
	}
}
