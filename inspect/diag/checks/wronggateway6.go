package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// astray6 are attachments whose container's only IPv6 default route leads to an
// address that answers no neighbour discovery, and is not the gateway that the engine
// gave out. A router's link-local address would answer (RFC 4861 7.2.4): what works
// is left alone.
func astray6(in *diag.Input) []attachment {
	var out []attachment
	for _, a := range attachments(in) {
		if !a.e.Gateway6.IsValid() || a.link == nil || a.n.Internal || a.n.GatewayMode6 == "isolated" || in.Snap.Container(ownerOf(a.ns)) != a.c {
			continue
		}
		i := defaultRoute6(a.ns)
		if i < 0 || a.ns.Routes[i].Oif != a.link.Index || !a.ns.Routes[i].Gateway.IsValid() || a.ns.Routes[i].Gateway == a.e.Gateway6 {
			continue
		}
		if len(unanswered6(in, a.ns.ID).Traces) > 0 {
			out = append(out, a)
		}
	}
	return out
}

// defaultRoute6 is the index of a namespace's only IPv6 default route; -1 when it has
// none, or several, of which the kernel may take any that answers (RFC 4191 3.2).
func defaultRoute6(ns *snap.Netns) int {
	at := -1
	for i, r := range ns.Routes {
		if r.Family != snap.IPv6 || r.Table != snap.TableMain || r.Type != "unicast" || r.Dst.Bits() != 0 {
			continue
		}
		if at >= 0 || len(r.Nexthops) > 0 {
			return -1
		}
		at = i
	}
	return at
}

// unanswered6 covers the namespace's IPv6 flows whose next hop does not answer.
func unanswered6(in *diag.Input, netns string) diag.Cover {
	c := coverFrom(in, netns, sim.CauseNeighFailed)
	c.Traces = slices.DeleteFunc(c.Traces, func(i int) bool { return in.Flows[i].Flow.Dst.Is4() })
	return c
}

func wrongGateways6(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, a := range astray6(in) {
		i := defaultRoute6(a.ns)
		gw := a.ns.Routes[i].Gateway
		out = append(out, diag.Finding{
			Summary: fmt.Sprintf("%s sends its IPv6 to gateway %s, which does not answer; network %s has %s", a.c.Name, gw, a.n.Name, a.e.Gateway6),
			Cause:   fmt.Sprintf("the IPv6 default route of %s names the gateway %s, but network %s gave it %s", a.c.Name, gw, a.n.Name, a.e.Gateway6),
			Subject: diag.Subject{Kind: "route", Name: "default6", Netns: a.ns.ID},
			Evidence: []diag.Evidence{
				ev(ipIn(in, a.ns.ID, "-6 route show default"), "default via "+gw.String(), snap.RefItem(a.ns.ID, "route", i)),
				ev(diag.NetworkCommand(a.n), "gateway "+a.e.Gateway6.String(), snap.RefNetwork(a.n.Ref)),
			},
			Covers: unanswered6(in, a.ns.ID),
			Weight: 83,
		})
	}
	return out
}

// fixWrongGateway6 puts the engine's gateway in the place of the other.
func fixWrongGateway6(in *diag.Input, f *diag.Finding) []fixups.Op {
	for _, a := range astray6(in) {
		if a.ns.ID == f.Subject.Netns {
			dev := []string{a.link.Name}
			return []fixups.Op{
				&fixups.RouteDel{Where: at(in, a.ns.ID), Route: a.ns.Routes[defaultRoute6(a.ns)], Devs: dev},
				&fixups.RouteAdd{Where: at(in, a.ns.ID), Route: asEngine(&a, default6(a.link, a.e.Gateway6)), Devs: dev},
			}
		}
	}
	return nil
}
