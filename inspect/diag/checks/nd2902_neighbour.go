package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2902: nobody answers for the next hop.
//
// The packet has a route, but the address it must be handed to next is held by
// nobody on that wire, by somebody who does not answer, by two at once, or a
// permanent neighbour entry sends it to a MAC that is not there.
//
// See it by hand:
//
//	ip neigh show to ADDRESS                 FAILED, INCOMPLETE or PERMANENT
//	arping -I DEVICE ADDRESS
//
// Sources: net/ipv4/arp.c: arp_process; net/core/neighbour.c
func nd2902() diag.Check {
	return diag.Check{
		Code: "ND2902", Name: "no-neighbour", Severity: diag.Error, Since: "0.1",
		Title:    "Nobody answers ARP for the next hop",
		CatchAll: true,
		After:    []diag.Code{"ND3104", "ND1123", "ND5112", "ND1111", "ND1124", "ND2303", "ND2304", "ND2305", "ND2306", "ND2307", "ND1903", "ND2210", "ND1101", "ND1102", "ND1103", "ND1107", "ND2102", "ND2104", "ND3201", "ND6101", "ND2301", "ND4105", "ND5106", "ND2106", "ND2108", "ND2109", "ND2203", "ND1902", "ND2205", "ND2209", "ND2206", "ND2207", "ND3205", "ND1106", "ND8103"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range in.Groups(sim.CauseNeighFailed, sim.CauseWrongMAC, sim.CauseDuplicate) {
				if !owned(in, g.Where.Netns) || strings.HasSuffix(string(g.Where.Ref), asksKey) { // ND1121
					continue
				}
				out = append(out, noNeighbour(in, g))
			}
			return append(out, triedOnLink(in)...)
		},
		Fix: fixNeigh,
	}
}

func noNeighbour(in *diag.Input, g diag.Group) diag.Finding {
	f := placeFinding(in, g)
	f.Subject = diag.Subject{Kind: "address", Name: string(g.Where.Ref), Netns: g.Where.Netns}
	text := g.Where.Detail
	if v, err := in.Snap.At(g.Where.Ref); err == nil {
		if n, ok := v.(*snap.Neigh); ok {
			text = n.IP.String() + " "
			if n.MAC != "" {
				text += "lladdr " + n.MAC + " "
			}
			text += strings.ToUpper(n.State)
		}
	}
	f.Evidence = append(f.Evidence, ev(ipIn(in, g.Where.Netns, "neigh show dev "+g.Where.Device), text, snap.RefNetns(g.Where.Netns)))
	f.Advice = "find out who should have that address: " + ipIn(in, g.Where.Netns, "neigh show dev "+g.Where.Device)
	if b := g.Where.Behind; b != nil && b.Layer == "vxlan" {
		f.Advice = "what manages the tunnel has to say who is there; by hand: " + ipIn(in, b.Netns, "neigh add ADDRESS lladdr MAC dev "+b.Device+" nud permanent")
	}
	sayOnLink(in, g, &f)
	return f
}

// triedOnLink are the addresses that containers try again and again, and that this host
// takes for neighbours of its own, who do not answer: a machine that is off, or one that
// is behind the gateway while a prefix is too wide. Which of them is not known.
func triedOnLink(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Flows {
		f := &in.Flows[i]
		w := f.Trace.Where
		fails := f.Excused || !f.Broken() && diag.ProbeSays(f.Probe) == "dropped"
		if f.Kind != "tried" || !fails || w == nil || w.Reply || w.Cause != sim.CauseNeighFailed || w.Netns != in.Snap.Host.Netns || len(in.Graph.Owners(f.Flow.Dst)) > 0 || !in.Keeps(f) {
			continue
		}
		if x := noNeighbour(in, diag.Group{Where: w, Flows: []int{i}}); sameSubject(out, x.Subject) < 0 {
			x.Severity, x.Covers = diag.Info, diag.Cover{}
			x.Evidence = append(x.Evidence, diag.Tried(f))
			out = append(out, x)
		}
	}
	return out
}

// sayOnLink says which route of this host has the world be a neighbour, where
// that is why it was asked for: one without a gateway, or of an address whose
// prefix takes in too much.
func sayOnLink(in *diag.Input, g diag.Group, f *diag.Finding) {
	t := in.Flows[g.Flows[0]].Trace
	hops, dst := t.Forward, t.Flow.Dst
	if g.Where.Reply || g.Where.Cause != sim.CauseNeighFailed || len(hops) == 0 || in.Graph.NetworkOfAddr(dst) != nil {
		return
	}
	for _, h := range slices.Backward(hops) {
		if h.Stage != "route" {
			continue
		}
		if dst = h.Dst.Addr(); h.Netns != g.Where.Netns || h.Netns != in.Snap.Host.Netns || len(h.Because) == 0 {
			return
		}
		v, err := in.Snap.At(h.Because[0])
		r, ok := v.(*snap.Route)
		if err != nil || !ok || r.Gateway.IsValid() || len(r.Nexthops) > 0 || r.NHID != 0 || r.Dst.IsSingleIP() {
			return
		}
		f.Cause = fmt.Sprintf("the route %s has no gateway, so %s is asked for as if it were on the link %s itself", h.Did, dst, g.Where.Device)
		f.Evidence = append(f.Evidence, ev(ipIn(in, h.Netns, "route get "+dst.String()), h.Did, h.Because[0]))
		if r.Protocol == "kernel" {
			f.Advice = fmt.Sprintf("if %s is no neighbour, correct the prefix length of the address on %s (%s now%s); else: %s", dst, g.Where.Device, r.Dst, shorter(in, h.Netns, g.Where.Device, r.Dst), f.Advice)
		} else {
			to, _, _ := strings.Cut(h.Did, " dev ")
			f.Advice = fmt.Sprintf("if %s is no neighbour, give the route its gateway: ip route replace %s via GATEWAY dev %s", dst, to, g.Where.Device)
		}
		return
	}
}

// shorter are the commands that give an address another prefix length, "" where none has
// this prefix, or it is no wider than links mostly have. IPv6 takes an address but once
// on a device, and has 64 bits on its links (RFC 4291, section 2.5.1).
func shorter(in *diag.Input, netns, dev string, prefix netip.Prefix) string {
	ns := in.Netns(netns)
	if ns == nil || ns.Link(dev) == nil {
		return ""
	}
	for _, a := range ns.AddrsOf(ns.Link(dev).Index) {
		p := a.Prefix
		switch {
		case p.Masked() != prefix, p.Addr().Is4() && p.Bits() >= 24, p.Bits() >= 64:
		case p.Addr().Is6():
			return fmt.Sprintf(": %s; %s; the default route may go with it", ipIn(in, netns, fmt.Sprintf("addr del %s dev %s", p, dev)), ipIn(in, netns, fmt.Sprintf("addr add %s/64 dev %s", p.Addr(), dev)))
		default:
			return fmt.Sprintf(": %s; %s", ipIn(in, netns, fmt.Sprintf("addr add %s/LENGTH dev %s", p.Addr(), dev)), ipIn(in, netns, fmt.Sprintf("addr del %s dev %s", p, dev)))
		}
	}
	return ""
}
