package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd1108: the host's way to the world is down.
//
// The device that leads from this host to the world is administratively down or
// has lost its carrier. The kernel removes the routes of a device that is set
// down, so containers hear "Network is unreachable" from their gateway while they
// still reach each other.
//
// See it by hand:
//
//	ip link show eth0                        lacks UP, or says NO-CARRIER
//	ip route show default                    is empty
//
// Sources: net/ipv4/fib_frontend.c: fib_disable_ip
func nd1108() diag.Check {
	return diag.Check{
		Code: "ND1108", Name: "uplink-down", Severity: diag.Error, Since: "0.1",
		Title:  "The host's uplink is down",
		Detect: detectND1108,
		Fix:    fixND1108,
	}
}

func detectND1108(in *diag.Input) []diag.Finding {
	host := in.Snap.HostNs()
	if host == nil {
		return nil
	}
	var out []diag.Finding
	ups := diag.Uplinks(in.Snap)
	for _, l := range ups {
		if l.Up && l.LowerUp || l.Kind == "dummy" {
			continue
		}
		if l.Up && diag.DefaultGateway(host).IsValid() && len(ups) > 1 {
			continue // one of several
		}
		state, cause := "down", "administratively down"
		if l.Up {
			state, cause = "without carrier", "up, but nothing is at the other end of its wire"
		}
		f := diag.Finding{
			Summary:  fmt.Sprintf("%s is %s: this host's uplink; nothing outside can be reached", l.Name, state),
			Cause:    fmt.Sprintf("the uplink %s is %s", l.Name, cause),
			Subject:  diag.Subject{Kind: "link", Name: l.Name, Netns: host.ID},
			Evidence: []diag.Evidence{ev("ip link show "+l.Name, linkLine(l), snap.RefLink(host.ID, l.Name))},
			Weight:   90,
		}
		f.Covers = coverFrom(in, host.ID, sim.CauseNoRoute, sim.CauseLinkDown, sim.CauseNoCarrier, sim.CauseForwardingOff)
		f.Covers.Names = coverNames(in, func(n *diag.NameCase) bool { return upstreamCut(n) })
		if l.Up {
			f.Advice = "plug the cable in, or bring the other end up"
		}
		out = append(out, f)
	}
	return append(out, parentsDown(in, host, ups)...)
}

// parentsDown are the devices that macvlan and ipvlan containers sit on, and that
// somebody set down: they are uplinks of those containers alone.
func parentsDown(in *diag.Input, host *snap.Netns, ups []*snap.Link) []diag.Finding {
	var out []diag.Finding
	for i := range in.Snap.Netns {
		ns := &in.Snap.Netns[i]
		if !ns.Class.Ours() || ns == host {
			continue
		}
		for k := range ns.Links {
			x := &ns.Links[k]
			l := host.LinkAt(x.Peer)
			if x.Kind != "macvlan" && x.Kind != "ipvlan" || !x.Up || x.PeerNetns != host.ID || l == nil || l.Up || slices.Contains(ups, l) {
				continue
			}
			covers := coverFrom(in, ns.ID, sim.CauseNoRoute, sim.CauseLinkDown, sim.CauseNoCarrier, sim.CauseNeighFailed)
			for j := range in.Flows {
				if f := &in.Flows[j]; f.Broken() && f.Trace.Where != nil && f.Trace.Where.Netns == host.ID && f.Trace.Where.Device == l.Name {
					covers.Traces = append(covers.Traces, j)
				}
			}
			subject := diag.Subject{Kind: "link", Name: l.Name, Netns: host.ID}
			if at := sameSubject(out, subject); at >= 0 {
				out[at].Covers.Traces = mergeInts(out[at].Covers.Traces, covers.Traces)
				out[at].Covers.Names = mergeInts(out[at].Covers.Names, covers.Names)
				continue
			}
			covers.Traces = mergeInts(covers.Traces, nil)
			out = append(out, diag.Finding{
				Summary: fmt.Sprintf("%s is down, and %s of %s, a %s, has it as its parent: nothing gets in or out there", l.Name, x.Name, in.Who(ns.ID), x.Kind),
				Cause:   fmt.Sprintf("the parent %s is administratively down", l.Name),
				Subject: subject,
				Evidence: []diag.Evidence{
					ev("ip link show "+l.Name, linkLine(l), snap.RefLink(host.ID, l.Name)),
					ev(ipIn(in, ns.ID, "-d link show "+x.Name), linkLine(x), snap.RefLink(ns.ID, x.Name)),
				},
				Covers: covers,
				Weight: 88,
			})
		}
	}
	return out
}
