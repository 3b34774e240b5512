package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// beyond is a subnet behind one of our namespaces to which a router before it has no
// route: it let the question out, and sends the answer out, too.
type beyond struct {
	router string // the namespace that lacks the route
	asker  string
	via    string       // the namespace that the question came from
	gw     netip.Addr   // its address on the router's link; invalid when that is not certain
	dev    *snap.Link   // the router's link to it
	to     netip.Prefix // the subnet; the asker's address alone when it is not certain
	flows  []int
	where  *sim.Where
}

// subnetsBehind are all of them.
func subnetsBehind(in *diag.Input) []beyond {
	var out []beyond
	for _, g := range in.Groups(sim.CauseNoWayBack) {
		for _, i := range g.Flows {
			b, ok := beyondOf(in, i)
			if !ok {
				continue
			}
			if k := slices.IndexFunc(out, func(o beyond) bool { return o.router == b.router && o.to == b.to }); k >= 0 {
				out[k].flows = append(out[k].flows, i)
				continue
			}
			out = append(out, b)
		}
	}
	return out
}

func beyondOf(in *diag.Input, i int) (beyond, bool) {
	t := in.Flows[i].Trace
	b := beyond{router: t.Where.Netns, asker: t.Flow.From, flows: []int{i}, where: t.Where}
	router := in.Netns(b.router)
	at := slices.IndexFunc(t.Forward, func(h sim.Hop) bool { return h.Netns == b.router })
	if router == nil || at < 1 {
		return b, false
	}
	src := t.Forward[at].Src.Addr()
	b.to, b.dev, b.via = netip.PrefixFrom(src, src.BitLen()), router.Link(t.Forward[at].Device), t.Forward[at-1].Netns
	if b.dev != nil && b.dev.Master != 0 {
		b.dev = router.LinkAt(b.dev.Master)
	}
	via := in.Netns(b.via)
	if via == nil || b.dev == nil || b.via == b.asker {
		return b, false // its own route or address went astray: other checks tell
	}
	for _, r := range via.Routes {
		if r.Protocol == "kernel" && r.Table == snap.TableMain && r.Dst.Contains(src) && r.Dst.Bits() > 0 {
			b.to = r.Dst
		}
	}
	for _, on := range router.AddrsOf(b.dev.Index) {
		for _, a := range via.Addrs {
			if ip := a.Prefix.Addr(); ip.BitLen() == src.BitLen() && !ip.IsLinkLocalUnicast() && on.Prefix.Contains(ip) {
				b.gw = ip
			}
		}
	}
	return b, true
}

func (b *beyond) finding(in *diag.Input) diag.Finding {
	f := diag.Finding{
		Summary: fmt.Sprintf("%s has no route to %s behind %s: answers to %s leave by its default route", in.Who(b.router), b.to, in.Who(b.via), in.Who(b.asker)),
		Cause:   "what " + in.Who(b.asker) + " sends is let out, and what comes back for it is sent out again: " + b.where.Detail,
		Subject: diag.Subject{Kind: "route", Name: b.to.String(), Netns: b.router},
		Evidence: []diag.Evidence{
			ev(ipIn(in, b.router, "route get "+b.to.Addr().String()), b.where.Detail, snap.RefNetns(b.router)),
		},
		Covers: diag.Cover{Traces: b.flows},
		Weight: 86,
	}
	if !b.gw.IsValid() {
		f.Advice = fmt.Sprintf("give %s a route to %s, or let %s translate the addresses", in.Who(b.router), b.to, in.Who(b.via))
	}
	return f
}

// fix is the route by way of the namespace that the question came from.
func (b *beyond) fix(in *diag.Input) []fixups.Op {
	if !b.gw.IsValid() {
		return nil
	}
	metric := uint32(0)
	if b.gw.Is6() {
		metric = 1024 // IP6_RT_PRIO_USER
	}
	return []fixups.Op{&fixups.RouteAdd{Where: at(in, b.router), Devs: []string{b.dev.Name}, Route: snap.Route{
		Family: snap.FamilyOf(b.gw), Table: snap.TableMain, Type: "unicast", Dst: b.to, Scope: "global", Protocol: "boot", Oif: b.dev.Index, Gateway: b.gw, Metric: metric,
	}}}
}
