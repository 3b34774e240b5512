package checks

import (
	"fmt"
	"net/netip"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2209: a route names the address that packets are sent from, and nobody
// answers to that.
//
// A route may name the source of what is sent by it ("src"). In a container that is
// an address of its own that nobody else knows of: of a VPN client that is gone, of a
// loopback device, of another network. The packets then leave with it; the engine
// masquerades its own subnet only, the host has no route back, and the routes and
// rules on the way look right.
//
// See it by hand:
//
//	nsenter -t PID -n ip route get DST       src: what it sends from
//	nsenter -t PID -n ip route               the routes with src
//
// Sources: net/ipv4/fib_semantics.c: fib_result_prefsrc; ip-route(8): src
func nd2209() diag.Check {
	return diag.Check{
		Code: "ND2209", Name: "astray-source", Severity: diag.Error, Since: "0.2",
		Title:  "A route has packets sent from an address that no answer comes back to",
		After:  []diag.Code{"ND2205", "ND2201"},
		Detect: detectND2209,
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			return unsourced(in, snap.Ref(f.Subject.Name))
		},
	}
}

func detectND2209(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, b := range without(in, sourced(in)) {
		v, err := in.Snap.At(b.ref)
		r, ok := v.(*snap.Route)
		if err != nil || !ok {
			continue
		}
		line, source := routeLine(in, b.ref.Netns(), b.ref)
		out = append(out, diag.Finding{
			Summary:  fmt.Sprintf("%s of %s has %s → %s sent from %s, which no answer comes back to", line, in.Who(b.ref.Netns()), b.flow.From, b.flow.To, r.PrefSrc),
			Cause:    fmt.Sprintf("%q names the source %s; without it the packet would be sent from an address that is answered", line, r.PrefSrc),
			Subject:  diag.Subject{Kind: "route", Name: string(b.ref), Netns: b.ref.Netns()},
			Evidence: []diag.Evidence{ev(source, line, b.ref)},
			Covers:   b.covers,
			Advice:   "find out who added it: it comes back with that program or script",
			Weight:   72,
		})
	}
	return out
}

// sourced are the routes of containers, on a flow's way, that name a source which
// no engine gave to the container.
func sourced(in *diag.Input) func(*diag.FlowCase) []suspect {
	return func(f *diag.FlowCase) []suspect {
		var out []suspect
		for _, ref := range met(f.Trace) {
			if ops := unsourced(in, ref); ops != nil {
				out = append(out, suspect{ref, ops})
			}
		}
		return out
	}
}

// unsourced puts the same route in its place, without a source.
func unsourced(in *diag.Input, ref snap.Ref) []fixups.Op {
	v, err := in.Snap.At(ref)
	r, ok := v.(*snap.Route)
	ns := in.Netns(ref.Netns())
	if err != nil || !ok || ns == nil || ns.ID == in.Snap.Host.Netns || !ns.Class.Ours() || !r.PrefSrc.IsValid() || r.Protocol == "kernel" {
		return nil
	}
	for _, a := range attachments(in) {
		if a.ns == ns && (a.e.IPv4.Addr() == r.PrefSrc || a.e.IPv6.Addr() == r.PrefSrc) {
			return nil
		}
	}
	plain := *r
	plain.PrefSrc = netip.Addr{}
	return []fixups.Op{fixups.NewRouteDel(in.Snap, ns.ID, *r), fixups.NewRouteAdd(in.Snap, ns.ID, plain)}
}
