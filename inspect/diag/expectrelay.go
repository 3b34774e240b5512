package diag

import (
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// relays: a container has a route over another container, a VPN's or a router's, which
// has to forward then. Whether somebody is there beyond it is not known: only flows that
// end for want of forwarding are looked at.
func (e *expecter) relays() {
	for i := range e.in.Snap.Netns {
		ns := &e.in.Snap.Netns[i]
		if ns.Class != snap.ClassContainer && ns.Class != snap.ClassAttached || ns.Light {
			continue
		}
		for k := range ns.Routes {
			r := &ns.Routes[k]
			if r.Family != snap.IPv4 || r.Type != "unicast" || r.Dst.Bits() == 0 || !r.Gateway.Is4() {
				continue
			}
			over := e.in.Graph.Owners(r.Gateway)
			if len(over) != 1 || over[0].Netns == e.host || over[0].Netns == ns {
				continue
			}
			to := someOf(r.Dst)
			f := FlowCase{
				Kind: "relay", From: e.in.Who(ns.ID), To: r.Dst.String() + " over " + e.in.Who(over[0].Netns.ID), Because: []snap.Ref{snap.RefItem(ns.ID, "route", k)},
				Flow: sim.Flow{From: ns.ID, Dst: to, Proto: snap.ICMP, StopOutside: true},
			}
			f.Trace = e.in.follow(f.Flow)
			if w := f.Trace.Where; f.Broken() && w != nil && !w.Reply && w.Cause == sim.CauseForwardingOff && w.Netns == over[0].Netns.ID {
				e.add(f)
			}
		}
	}
}
