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

// nd2306: one of several next hops is not there, or the IPv6 gateway.
//
// A route with several next hops (ECMP) hashes each flow to one of them. When one is
// gone, the kernel goes on choosing it: addresses that hash there are dead, others are
// well, and a second try from another port may go the other way, if ports are part of
// the hash (fib_multipath_hash_policy=1). Only fib_multipath_use_neigh=1 has IPv4 leave
// out a neighbour that is known to fail. The gateway of the host's IPv6 default route
// is asked for, too: IPv4 may be well while it is gone.
//
// See it by hand:
//
//	ip route show; ip neigh                  FAILED for one of the gateways
//	ip route get DST sport N                 which way a flow is led
//	arping -I DEVICE GATEWAY; ndisc6 GATEWAY DEVICE
//
// False positives: a gateway that answers no question for its address by will.
//
// Sources: net/ipv4/fib_semantics.c: fib_select_multipath;
// Documentation/networking/ip-sysctl.rst: fib_multipath_hash_policy
func nd2306() diag.Check {
	return diag.Check{
		Code: "ND2306", Name: "next-hop-dead", Severity: diag.Error, Since: "0.2",
		Title:  "A next hop of a route is not there",
		After:  []diag.Code{"ND1108", "ND1121", "ND2207"},
		Detect: detectND2306,
		Fix:    fixND2306,
	}
}

func detectND2306(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	hops := in.Hops()
	for i := range hops {
		h := &hops[i]
		r := &h.Netns.Routes[h.Route]
		if !h.Dead() || h.Index >= 0 && len(livingHops(hops, h)) == 0 {
			continue // of several that are all gone no single one is the fault
		}
		if diag.Deaf(in.World.Trace(sim.Flow{From: h.Netns.ID, Dst: h.Gateway, Proto: snap.ICMP, StopOutside: true})) {
			continue // this host does not let it answer: the rule is the fault
		}
		what := "default"
		if r.Dst.Bits() > 0 {
			what = r.Dst.String()
		}
		f := diag.Finding{
			Subject:  diag.Subject{Kind: "route", Name: what + " via " + h.Gateway.String(), Netns: h.Netns.ID},
			Evidence: []diag.Evidence{ev(routeCommand(in, h), hopLine(h, what), snap.RefItem(h.Netns.ID, "route", h.Route))},
			Covers:   diag.Cover{Traces: flowsBy(in, h)},
			Weight:   87,
		}
		if h.Index < 0 {
			f.Summary = fmt.Sprintf("%s, this host's IPv6 default gateway, answers no neighbour solicitation on %s: nothing outside can be reached by IPv6", h.Gateway, h.Link.Name)
			f.Cause = fmt.Sprintf("the IPv6 default route leads by %s, and nobody on the wire of %s has that address", h.Gateway, h.Link.Name)
			f.Advice = fmt.Sprintf("find out where %s went, or which gateway is right: ip -6 route replace default via GATEWAY dev %s", h.Gateway, h.Link.Name)
			if len(f.Covers.Traces) == 0 && !slices.ContainsFunc(attachments(in), func(a attachment) bool { return a.e.IPv6.IsValid() && a.e.Gateway6.IsValid() && !a.n.Internal }) {
				f.Severity = diag.Warning
			}
		} else {
			f.Summary = fmt.Sprintf("%s, one of %d next hops of the %s route of %s, is not there on %s: about %d %% of its flows die", h.Gateway, len(r.Nexthops), what, in.Who(h.Netns.ID), h.Link.Name, share(r, h.Index))
			f.Cause = "each flow is hashed to one of the next hops, whether somebody is there or not; a try to another address, or from another port, may go by one that works"
			f.Advice = fmt.Sprintf("find out where %s went, or take it out of the route until it is back", h.Gateway)
			if v, _ := h.Netns.Sysctl("net/ipv4/fib_multipath_use_neigh"); v == "1" && r.Family == snap.IPv4 {
				f.Severity = diag.Warning
				f.Cause = "fib_multipath_use_neigh=1 has the kernel leave out a neighbour while it is known to fail: the first packets of some flows are lost all the same"
			}
		}
		switch p := h.Probe; {
		case p != nil:
			f.Confidence = diag.Proved
			f.Evidence = append(f.Evidence, ev(fmt.Sprintf("probe %d", p.ID), fmt.Sprintf("who has %s? asked %d times on %s: no answer", h.Gateway, p.Sent, h.Link.Name), snap.RefProbe(p.ID)))
		default:
			f.Evidence = append(f.Evidence, ev(ipIn(in, h.Netns.ID, "neigh show to "+h.Gateway.String()), h.Gateway.String()+" dev "+h.Link.Name+" FAILED", snap.RefLink(h.Netns.ID, h.Link.Name)))
		}
		out = append(out, f)
	}
	return out
}

// livingHops are the other next hops of the same route that are there.
func livingHops(all []diag.Hop, h *diag.Hop) []int {
	var out []int
	for i := range all {
		o := &all[i]
		if o.Netns == h.Netns && o.Route == h.Route && o.Index != h.Index && !o.Dead() && (o.Probe == nil || o.Probe.Outcome == snap.Answered) {
			out = append(out, o.Index)
		}
	}
	return out
}

// share is how much of the flows a next hop has, in percent, by the weights.
func share(r *snap.Route, index int) int {
	sum := 0
	for _, n := range r.Nexthops {
		sum += max(n.Weight, 1)
	}
	return 100 * max(r.Nexthops[index].Weight, 1) / sum
}

// hopLine is the route's line, or that of one next hop, as ip(8) shows it.
func hopLine(h *diag.Hop, what string) string {
	if h.Index < 0 {
		return fmt.Sprintf("%s via %s dev %s", what, h.Gateway, h.Link.Name)
	}
	return fmt.Sprintf("%s … nexthop via %s dev %s weight %d", what, h.Gateway, h.Link.Name, max(h.Netns.Routes[h.Route].Nexthops[h.Index].Weight, 1))
}

// routeCommand shows the route.
func routeCommand(in *diag.Input, h *diag.Hop) string {
	r := &h.Netns.Routes[h.Route]
	args := "route show"
	if r.Family == snap.IPv6 {
		args = "-6 " + args
	}
	if r.Table != snap.TableMain {
		args += fmt.Sprintf(" table %d", r.Table)
	}
	return ipIn(in, h.Netns.ID, args)
}

// flowsBy are the broken flows that die for want of the gateway, and those that may be
// led by it and whose probe got no answer.
func flowsBy(in *diag.Input, h *diag.Hop) []int {
	var out []int
	for i := range in.Flows {
		f := &in.Flows[i]
		w := f.Trace.Where
		if !f.Excused && diag.ProbeSays(f.Probe) == "dropped" && f.Trace.LeftNetns == h.Netns.ID &&
			slices.ContainsFunc(in.World.Route(h.Netns.ID, sim.RouteQuery{Dst: f.Trace.ExitDst.Addr()}).Ways, func(w sim.RouteWay) bool { return w.Gateway == h.Gateway }) {
			out = append(out, i)
			continue
		}
		if !f.Broken() || f.Excused || w == nil || w.Cause != sim.CauseNeighFailed || w.Netns != h.Netns.ID || !strings.Contains(w.Detail, h.Gateway.String()) {
			continue
		}
		out = append(out, i)
	}
	return out
}

// fixND2306 leads the route by those that are there; the IPv6 default route by the one
// neighbour that says of itself that it is a router.
func fixND2306(in *diag.Input, f *diag.Finding) []fixups.Op {
	hops := in.Hops()
	for i := range hops {
		h := &hops[i]
		r := h.Netns.Routes[h.Route]
		if h.Netns.ID != f.Subject.Netns || !strings.HasSuffix(f.Subject.Name, " via "+h.Gateway.String()) || !h.Dead() || r.Protocol == "ra" {
			continue
		}
		if h.Index < 0 {
			up, gw := onlyRouter6(in)
			if up == nil || up.Index != h.Link.Index || gw == h.Gateway {
				return nil
			}
			r.Gateway = gw
			return []fixups.Op{fixups.NewRouteReplace(in.Snap, h.Netns.ID, r)}
		}
		if r.NHID != 0 {
			return nil // the route has a group of nexthop objects, which is changed there
		}
		var kept []snap.Nexthop
		for j, n := range r.Nexthops {
			if slices.ContainsFunc(hops, func(o diag.Hop) bool { return o.Netns == h.Netns && o.Route == h.Route && o.Index == j && o.Dead() }) {
				continue
			}
			kept = append(kept, n)
		}
		if r.Nexthops = kept; len(kept) == 1 {
			r.Gateway, r.Oif, r.Nexthops = kept[0].Gateway, kept[0].Oif, nil
		}
		return []fixups.Op{fixups.NewRouteReplace(in.Snap, h.Netns.ID, r)}
	}
	return nil
}
