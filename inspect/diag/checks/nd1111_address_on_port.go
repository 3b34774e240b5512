package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd1111: a device with the host's address was made a bridge port.
//
// What comes in by a bridge port belongs to the bridge: the answer to an ARP question
// that was asked on the port is taken in by the bridge device, and the question stays
// open. So an address on the port is of no use, and the host is cut off as soon as
// what its neighbours and it know of each other has run out. It happens when an
// uplink is put on a bridge (for virtual machines, for containers on the LAN) and its
// addresses and routes are left where they were.
//
// See it by hand:
//
//	bridge link show dev PORT                master BRIDGE
//	ip addr show dev PORT                    has addresses
//	ip neigh show dev PORT                   INCOMPLETE, FAILED; the bridge has the MAC
//
// Sources: net/bridge/br_input.c: br_handle_frame, br_pass_frame_up; net/ipv4/arp.c:
// arp_process
func nd1111() diag.Check {
	return diag.Check{
		Code: "ND1111", Name: "address-on-port", Severity: diag.Error, Since: "0.2",
		Title:  "A device with an address is a port of a bridge",
		Detect: detectND1111,
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			ns := in.Netns(f.Subject.Netns)
			l := ns.Link(f.Subject.Name)
			if bridgeInUse(ns, l) {
				return nil // which of the two is meant is a person's choice
			}
			return []fixups.Op{&fixups.LinkMaster{Where: at(in, ns.ID), Name: l.Name}}
		},
	}
}

func detectND1111(in *diag.Input) []diag.Finding {
	ns := in.Snap.HostNs()
	if ns == nil {
		return nil
	}
	var out []diag.Finding
	for i := range ns.Links {
		l := &ns.Links[i]
		br := ns.LinkAt(l.Master)
		if br == nil || br.Bridge == nil || !l.Up || toContainer(in, l) {
			continue // an address on the way to a container was never the host's: ND2208
		}
		covers := coverFrom(in, ns.ID, sim.CauseOnPort)
		covers.Traces = slices.DeleteFunc(covers.Traces, func(k int) bool { return in.Flows[k].Trace.Where.Device != l.Name })
		if len(covers.Traces) == 0 {
			continue
		}
		covers.Names = coverNames(in, upstreamCut)
		f := diag.Finding{
			Summary:  fmt.Sprintf("%s is a port of the bridge %s, and this host's address and routes are still on %s: no answer reaches them", l.Name, br.Name, l.Name),
			Cause:    fmt.Sprintf("what comes in by %s belongs to %s, which has no use for it", l.Name, br.Name),
			Subject:  diag.Subject{Kind: "link", Name: l.Name, Netns: ns.ID},
			Evidence: []diag.Evidence{ev("ip addr show "+l.Name, linkLine(l)+" master "+br.Name, snap.RefLink(ns.ID, l.Name))},
			Covers:   covers,
			Advice:   fmt.Sprintf("move the addresses and the default route of %s to %s, or take it off: ip link set dev %s nomaster", l.Name, br.Name, l.Name),
			Weight:   90,
		}
		out = append(out, f)
	}
	return out
}

// bridgeInUse says whether a port's bridge has anything but that port: an
// address, or other ports.
func bridgeInUse(ns *snap.Netns, port *snap.Link) bool {
	for i := range ns.Links {
		if l := &ns.Links[i]; l.Master == port.Master && l.Index != port.Index {
			return true
		}
	}
	return slices.ContainsFunc(ns.Addrs, func(a snap.Addr) bool {
		return a.Index == port.Master && !a.Prefix.Addr().IsLinkLocalUnicast()
	})
}
