package checks

import (
	"fmt"
	"net/netip"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2103: a container that should have a default route has none.
//
// The engine gives a container one default route, via the gateway of one of its
// networks. Without it everything beyond the own subnets fails at once with
// "Network is unreachable". VPN clients and scripts inside containers remove it;
// setting the device down and up loses it, too. Containers on internal networks
// and on "none" have none by design.
//
// See it by hand:
//
//	nsenter -t PID -n ip route               no line begins with "default"
//
// Sources: net/ipv4/fib_frontend.c; moby daemon/libnetwork/sandbox.go: Less
func nd2103() diag.Check {
	return diag.Check{
		Code: "ND2103", Name: "container-no-default-route", Severity: diag.Error, Since: "0.1",
		Title:  "A container has no default route",
		After:  []diag.Code{"ND1103", "ND2206", "ND2207", "ND3205"},
		Detect: detectND2103,
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			if f.Subject.Name == adriftRoute {
				return fixAdrift(in, f)
			}
			return fixND2103(in, f)
		},
	}
}

func detectND2103(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	done := map[string]bool{}
	for _, a := range attachments(in) {
		if done[a.c.Ref] || !a.n.Outward() || in.Snap.Container(ownerOf(a.ns)) != a.c {
			continue
		}
		done[a.c.Ref] = true
		best, gw := gatewayAttachment(in, a.c)
		if best == nil || hasDefault(a.ns) || leadsOut(in, a.ns, somewhere) {
			continue
		}
		out = append(out, diag.Finding{
			Summary:  fmt.Sprintf("%s has no default route: gateway %s of network %s expected", a.c.Name, gw, best.n.Name),
			Cause:    "the container's namespace has no default route, so it reaches nothing beyond its own subnets",
			Subject:  diag.Subject{Kind: "route", Name: "default", Netns: a.ns.ID},
			Evidence: []diag.Evidence{ev(ipIn(in, a.ns.ID, "route show default"), "(no default route)", snap.RefNetns(a.ns.ID))},
			Covers:   coverFrom(in, a.ns.ID, sim.CauseNoRoute),
			Weight:   84,
		})
	}
	return append(out, adrift(in, false)...)
}

// somewhere is an address that only a default route, or one to a large part of the
// world, leads to.
var somewhere = netip.MustParseAddr("9.9.9.9")

// leadsOut says whether a namespace has a way to an address by any of its tables, or
// that can't be told: a VPN container has its routes in a table of its own.
func leadsOut(in *diag.Input, ns *snap.Netns, to netip.Addr) bool {
	r := in.World.Route(ns.ID, sim.RouteQuery{Dst: to})
	return r.Errno == "" || r.Unknown != ""
}

// ownerOf is the Ref of the container whose sandbox a namespace is.
func ownerOf(ns *snap.Netns) string {
	if len(ns.Containers) == 0 {
		return ""
	}
	return ns.Containers[0]
}

// hasDefault says whether a namespace has an IPv4 default route in the main
// table, or two halves that stand for one.
func hasDefault(ns *snap.Netns) bool {
	halves := 0
	for _, r := range ns.Routes {
		if r.Family != snap.IPv4 || r.Table != snap.TableMain {
			continue
		}
		if r.Dst.Bits() == 0 {
			return true
		}
		if r.Dst.Bits() == 1 {
			halves++
		}
	}
	return halves >= 2
}

// gatewayAttachment is the attachment whose gateway should be a container's
// default: the engine's own word first, else Docker's order among those that
// are not internal, which ends with the network's name.
func gatewayAttachment(in *diag.Input, c *snap.Container) (*attachment, string) {
	var best *attachment
	gw := ""
	for _, a := range attachmentsOf(in, c) {
		if !a.n.Outward() || a.n.GatewayMode4 == "isolated" {
			continue
		}
		g := a.e.Gateway4
		if !g.IsValid() {
			g, _ = gateway4(a.n)
		}
		if !g.IsValid() || best != nil && best.n.Name <= a.n.Name {
			continue
		}
		best, gw = &a, g.String()
	}
	return best, gw
}
