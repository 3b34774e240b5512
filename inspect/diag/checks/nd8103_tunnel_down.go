package checks

import (
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd8103: the tunnel of a bridge that containers are on is down.
//
// A VXLAN device that is a port of a bridge carries the frames of the containers there
// to the other hosts of the network. When it is set down, or held down by a program
// (protodown, as routing daemons do for multihoming), the containers of one host
// still reach each other, and nobody beyond. So it is when the device was made anew,
// or a network manager took it, and is a port of no bridge.
//
// See it by hand:
//
//	ip -d link show type vxlan               no UP in the flags
//	bridge link show                         state disabled, or not in the list
//
// Sources: net/bridge/br_if.c: br_port_carrier_check; drivers/net/vxlan/vxlan_core.c
func nd8103() diag.Check {
	return diag.Check{
		Code: "ND8103", Name: "tunnel-down", Severity: diag.Error, Since: "0.2",
		Title: "The VXLAN device of a bridge is down, or no port of it",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for i := range in.Snap.Netns {
				ns := &in.Snap.Netns[i]
				for k := range ns.Links {
					l := &ns.Links[k]
					br := ns.LinkAt(l.Master)
					if l.Vxlan == nil || l.Up && !l.ProtoDown || br == nil || br.Kind != "bridge" || !br.Up || !owned(in, ns.ID) || !served(in, ns, br) {
						continue
					}
					f := diag.Finding{
						Summary:  fmt.Sprintf("%s is down in %s: what the containers on %s send to other hosts goes nowhere", l.Name, in.Who(ns.ID), br.Name),
						Cause:    fmt.Sprintf("the VXLAN device %s (VNI %d), a port of %s, is set down", l.Name, l.Vxlan.VNI, br.Name),
						Subject:  diag.Subject{Kind: "link", Name: l.Name, Netns: ns.ID},
						Evidence: []diag.Evidence{ev(ipIn(in, ns.ID, "-d link show "+l.Name), linkLine(l), snap.RefLink(ns.ID, l.Name))},
						Weight:   80,
					}
					if l.Up {
						f.Cause = fmt.Sprintf("a program, as routing daemons do, holds %s (VNI %d), a port of %s, down with protodown", l.Name, l.Vxlan.VNI, br.Name)
						f.Summary = strings.Replace(f.Summary, "is down", "is held down (protodown)", 1)
						f.Evidence[0].Text += " protodown on"
						f.Fix = &diag.Fix{Ops: []fixups.Op{&fixups.LinkAttr{Where: at(in, ns.ID), Name: l.Name, Attr: "protodown", Value: "off"}}, Survives: "until that program does it again"}
					}
					for j := range in.Flows {
						w := in.Flows[j].Trace.Where
						if w == nil || !in.Flows[j].Broken() || len(in.Graph.Owners(in.Flows[j].Flow.Dst)) > 0 {
							continue
						}
						if w.Netns == ns.ID && w.Device == l.Name || w.Cause == sim.CauseNeighFailed && onBridge(in, in.Flows[j].Flow.From, ns, br) {
							f.Covers.Traces = append(f.Covers.Traces, j)
						}
					}
					out = append(out, f)
				}
			}
			return append(out, looseTunnel(in)...)
		},
		Fix: linkUpFix,
	}
}

// looseTunnel: a VXLAN device that is up is a port of no bridge, has no address, and
// nothing is on it, so that it is of use to nobody; and what a container sends to an
// address of its network that nobody here has dies at a bridge without any tunnel,
// and would not were the device its port. Of two such devices none is named.
func looseTunnel(in *diag.Input) []diag.Finding {
	host := in.Snap.HostNs()
	var loose *snap.Link
	for i := range host.Links {
		l := &host.Links[i]
		if l.Vxlan == nil || !l.Up || l.Vxlan.External || l.Master != 0 || used(host, l) {
			continue
		}
		if loose != nil {
			return nil
		}
		loose = l
	}
	if loose == nil {
		return nil
	}
	var f *diag.Finding
	var ops []fixups.Op
	for i := range in.Flows {
		x := &in.Flows[i]
		w, br := x.Trace.Where, bridgeOf(in, x)
		if br == nil || !x.Broken() || w == nil || w.Cause != sim.CauseNeighFailed && w.Cause != sim.CauseWrongMAC || len(in.Graph.Owners(x.Flow.Dst)) > 0 {
			continue
		}
		if f == nil {
			ops = []fixups.Op{&fixups.LinkMaster{Where: at(in, host.ID), Name: loose.Name, Master: br.Name}}
			f = &diag.Finding{
				Summary:  fmt.Sprintf("%s is a port of no bridge: what the containers on %s send to other hosts goes nowhere", loose.Name, br.Name),
				Cause:    fmt.Sprintf("the VXLAN device %s (VNI %d) has no master, no address and nothing on it, and %s has no tunnel among its ports", loose.Name, loose.Vxlan.VNI, br.Name),
				Subject:  diag.Subject{Kind: "link", Name: loose.Name, Netns: host.ID},
				Evidence: []diag.Evidence{ev("ip -d link show "+loose.Name, linkLine(loose)+" (no master)", snap.RefLink(host.ID, loose.Name))},
				Fix:      &diag.Fix{Ops: ops},
				Advice:   "what makes the device at boot has to make it a port, too",
				Weight:   80,
			}
		}
		if y := tried(in, i, ops); y != nil && !y.Broken() {
			f.Covers.Traces = append(f.Covers.Traces, i)
		}
	}
	if f == nil || len(f.Covers.Traces) == 0 {
		return nil
	}
	return []diag.Finding{*f}
}

// used says whether a device has an address that routes, or another device on it.
func used(ns *snap.Netns, l *snap.Link) bool {
	for _, a := range ns.AddrsOf(l.Index) {
		if !a.Prefix.Addr().IsLinkLocalUnicast() {
			return true
		}
	}
	for i := range ns.Links {
		if x := &ns.Links[i]; x.Kind != "veth" && x.Peer == l.Index {
			return true
		}
	}
	return false
}

// bridgeOf is the bridge of the host on which a flow's sender looks for a neighbour
// of its own network; nil where that has a port that leads elsewhere than into the
// namespaces of this host.
func bridgeOf(in *diag.Input, f *diag.FlowCase) *snap.Link {
	host, ns := in.Snap.HostNs(), in.Snap.Ns(f.Flow.From)
	if ns == nil || ns == host {
		return nil
	}
	for i := range host.Links {
		br := &host.Links[i]
		if br.Bridge == nil || !onBridge(in, ns.ID, host, br) {
			continue
		}
		reach := false
		for _, l := range in.Graph.Ports(host, br) {
			if l.Kind != "veth" {
				return nil
			}
			for _, a := range ns.AddrsOf(l.Peer) {
				reach = reach || l.PeerNetns == ns.ID && a.Prefix.Contains(f.Flow.Dst)
			}
		}
		if reach {
			return br
		}
	}
	return nil
}

// served says whether a bridge has a port that leads into a container or another
// namespace of this host.
func served(in *diag.Input, ns *snap.Netns, br *snap.Link) bool {
	for _, l := range in.Graph.Ports(ns, br) {
		if p := in.Snap.Ns(l.PeerNetns); l.Kind == "veth" && p != nil && p.ID != ns.ID && p.Class.Ours() {
			return true
		}
	}
	return false
}

// onBridge says whether a veth of the namespace ends at a port of the bridge.
func onBridge(in *diag.Input, from string, ns *snap.Netns, br *snap.Link) bool {
	for _, l := range in.Graph.Ports(ns, br) {
		if l.PeerNetns == from {
			return true
		}
	}
	return false
}
