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
func nd8103() diag.Check {
	return diag.Check{
		Code: "ND8103", Name: "tunnel-down", Severity: diag.Error, Since: "0.2",
		Title: "The VXLAN device of a bridge is down",
		Doc: `A VXLAN device that is a port of a bridge carries the frames of the containers there
to the other hosts of the network. When it is set down, or held down by a program
(protodown, as routing daemons do for multihoming), the containers of one host
still reach each other, and nobody beyond.

See it by hand:
    ip -d link show type vxlan               no UP in the flags
    bridge link show                         state disabled

Sources: net/bridge/br_if.c: br_port_carrier_check; drivers/net/vxlan/vxlan_core.c`,
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
			return out
		},
		Fix: linkUpFix,
	}
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
