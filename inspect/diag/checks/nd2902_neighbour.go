package checks

import (
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2902: nobody answers for the next hop.
func nd2902() diag.Check {
	return diag.Check{
		Code: "ND2902", Name: "no-neighbour", Severity: diag.Error, Since: "0.1",
		Title: "Nobody answers ARP for the next hop",
		Doc: `The packet has a route, but the address it must be handed to next is held by
nobody on that wire, by somebody who does not answer, by two at once, or a
permanent neighbour entry sends it to a MAC that is not there.

See it by hand:
    ip neigh show to ADDRESS                 FAILED, INCOMPLETE or PERMANENT
    arping -I DEVICE ADDRESS

Sources: net/ipv4/arp.c: arp_process; net/core/neighbour.c`,
		CatchAll: true,
		After:    []diag.Code{"ND1123", "ND1111", "ND1124", "ND2303", "ND2304", "ND2305", "ND2210", "ND1101", "ND1102", "ND1103", "ND1107", "ND2102", "ND2104", "ND3201", "ND6101", "ND2301", "ND4105", "ND5106", "ND2106", "ND2108", "ND2109", "ND2203", "ND1902", "ND2205", "ND2209", "ND2206", "ND2207", "ND3205", "ND1106", "ND8103"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range in.Groups(sim.CauseNeighFailed, sim.CauseWrongMAC, sim.CauseDuplicate) {
				if !owned(in, g.Where.Netns) {
					continue
				}
				f := placeFinding(in, g)
				f.Subject = diag.Subject{Kind: "address", Name: string(g.Where.Ref), Netns: g.Where.Netns}
				f.Evidence = append(f.Evidence, ev(ipIn(in, g.Where.Netns, "neigh show dev "+g.Where.Device), g.Where.Detail, snap.RefNetns(g.Where.Netns)))
				f.Advice = "find out who should have that address: " + ipIn(in, g.Where.Netns, "neigh show dev "+g.Where.Device)
				out = append(out, f)
			}
			return out
		},
		Fix: fixNeigh,
	}
}
