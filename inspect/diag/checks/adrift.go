package checks

import (
	"fmt"
	"net/netip"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// adriftRoute is the subject of findings about a namespace of no engine.
const adriftRoute = "default of a namespace"

// adrift are findings about namespaces of no engine that have no default route by way
// of their bridge: those with one that names no gateway, where the flows say that it
// leads nowhere (somebody may answer ARP for all the world: proxy_arp), or those with
// none.
func adrift(in *diag.Input, onto bool) []diag.Finding {
	var out []diag.Finding
	for _, a := range in.Adrift() {
		covers := fromPlain(in, a.NS.ID)
		if onto != (a.Onto >= 0) || len(covers.Traces) == 0 {
			continue
		}
		gw, who := a.Gateway.Addr(), in.Who(a.NS.ID)
		f := diag.Finding{
			Summary: fmt.Sprintf("%s has no default route: %s of its bridge %s expected", who, gw, a.Bridge.Name),
			Cause:   "the namespace has no default route, so it reaches nothing beyond its own subnet; this host translates that subnet's addresses for whoever it lets out",
			Subject: diag.Subject{Kind: "route", Name: adriftRoute, Netns: a.NS.ID},
			Evidence: []diag.Evidence{
				ev(ipIn(in, a.NS.ID, "route show default"), "(no default route)", snap.RefNetns(a.NS.ID)),
				ev("ip addr show dev "+a.Bridge.Name, a.Gateway.String(), snap.RefLink(in.Snap.Host.Netns, a.Bridge.Name)),
			},
			Covers: covers,
			Weight: 84,
		}
		if onto {
			f.Summary = fmt.Sprintf("the default route of %s names no gateway (dev %s): it asks for all the world by ARP, and nobody answers; the bridge %s has %s", who, a.Link.Name, a.Bridge.Name, gw)
			f.Cause = "a route without a gateway takes every destination for a neighbour (scope link)"
			f.Evidence[0] = ev(ipIn(in, a.NS.ID, "route show default"), "default dev "+a.Link.Name+" scope link", snap.RefItem(a.NS.ID, "route", a.Onto))
		}
		if !a.Addr.Contains(gw) {
			f.Summary += fmt.Sprintf("; its address is %s, the bridge's subnet is %s", a.Addr, a.Gateway.Masked())
			f.Evidence = append(f.Evidence, ev(ipIn(in, a.NS.ID, "addr show dev "+a.Link.Name), a.Addr.String(), snap.RefLink(a.NS.ID, a.Link.Name)))
		}
		out = append(out, f)
	}
	return out
}

// fixAdrift gives the namespace a default route by way of its bridge, and first of all
// its address the prefix length of the subnet, where that hides the gateway.
func fixAdrift(in *diag.Input, f *diag.Finding) []fixups.Op {
	for _, a := range in.Adrift() {
		if a.NS.ID != f.Subject.Netns {
			continue
		}
		where, devs := at(in, a.NS.ID), []string{a.Link.Name}
		var ops []fixups.Op
		if a.Onto >= 0 {
			ops = append(ops, &fixups.RouteDel{Where: where, Route: a.NS.Routes[a.Onto], Devs: devs})
		}
		if !a.Addr.Contains(a.Gateway.Addr()) {
			ops = append(ops,
				&fixups.AddrDel{Where: where, Dev: a.Link.Name, Prefix: a.Addr},
				&fixups.AddrAdd{Where: where, Dev: a.Link.Name, Addr: snap.Addr{
					Index: a.Link.Index, Prefix: netip.PrefixFrom(a.Addr.Addr(), a.Gateway.Bits()), Scope: "global", ValidMs: -1, PreferredMs: -1,
				}})
		}
		return append(ops, &fixups.RouteAdd{Where: where, Devs: devs, Route: snap.Route{
			Family: snap.IPv4, Table: snap.TableMain, Type: "unicast", Dst: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Scope: "global", Protocol: "boot", Oif: a.Link.Index, Gateway: a.Gateway.Addr(),
		}})
	}
	return nil
}
