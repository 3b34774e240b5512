package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd1109: spanning tree keeps a container's port from forwarding.
//
// With STP on, a port that comes up listens and learns for twice the forward delay
// (15 s each by default) before it forwards: the container has no network for its
// first half minute or longer. A port can also stay blocked when the bridge sees
// itself, or a better one, behind it. Engines make their bridges without STP.
//
// See it by hand:
//
//	bridge link show dev VETH                state listening, learning or blocking
//	ip -d link show BRIDGE                   stp_state 1 forward_delay …
//
// Sources: net/bridge/br_stp_if.c, br_stp.c: br_make_forwarding; IEEE 802.1D
func nd1109() diag.Check {
	return diag.Check{
		Code: "ND1109", Name: "stp-delay", Severity: diag.Error, Since: "0.1",
		Title:  "Spanning tree keeps a bridge port from forwarding",
		After:  []diag.Code{"ND1101", "ND1102", "ND1103", "ND1107"},
		Detect: detectND1109,
		Fix:    fixND1109,
	}
}

func detectND1109(in *diag.Input) []diag.Finding {
	host := in.Snap.HostNs()
	var out []diag.Finding
	for i := range in.Snap.Networks {
		n := &in.Snap.Networks[i]
		if host == nil || n.Driver != "bridge" || n.Bridge == "" {
			continue
		}
		br := host.Link(n.Bridge)
		if br == nil || br.Bridge == nil || !br.Bridge.STP {
			continue
		}
		for _, p := range in.Graph.Ports(host, br) {
			if p.Port == nil || p.Port.State == snap.PortForwarding || !p.Up || !p.LowerUp {
				continue
			}
			who := p.Name
			for _, a := range attachments(in) {
				if a.host == p {
					who = fmt.Sprintf("%s (%s)", p.Name, a.c.Name)
				}
			}
			f := diag.Finding{
				Summary: fmt.Sprintf("port %s of %s is %s: STP is on, with a forward_delay of %d s", who, br.Name, portState(p.Port.State), br.Bridge.ForwardDelayMs/1000),
				Cause:   fmt.Sprintf("spanning tree is on for %s and keeps the port in state %s, in which it forwards nothing", br.Name, portState(p.Port.State)),
				Subject: diag.Subject{Kind: "link", Name: p.Name, Netns: host.ID},
				Evidence: []diag.Evidence{
					ev("bridge link show dev "+p.Name, "state "+portState(p.Port.State), snap.RefLink(host.ID, p.Name)),
					ev("ip -d link show "+br.Name, fmt.Sprintf("stp_state 1 forward_delay %d", br.Bridge.ForwardDelayMs/10), snap.RefLink(host.ID, br.Name)),
				},
				Covers: coverDevice(in, host.ID, p.Name, sim.CausePortState),
				Weight: 87,
			}
			out = append(out, f)
		}
	}
	return out
}

func portState(s int) string {
	switch s {
	case snap.PortDisabled:
		return "disabled"
	case snap.PortListening:
		return "listening"
	case snap.PortLearning:
		return "learning"
	case snap.PortForwarding:
		return "forwarding"
	case snap.PortBlocking:
		return "blocking"
	}
	return fmt.Sprint(s)
}

// kernelForwardDelayMs is what a new bridge has (net/bridge/br_device.c: br_dev_setup).
const kernelForwardDelayMs = 15000

// fixND1109 turns spanning tree off, as the engine had made the bridge, and
// lets the waiting ports forward at once. A bridge with an uplink as port may
// need it against loops, and is left to a person.
func fixND1109(in *diag.Input, f *diag.Finding) []fixups.Op {
	host := in.Snap.HostNs()
	p := host.Link(f.Subject.Name)
	if p == nil {
		return nil
	}
	br := host.LinkAt(p.Master)
	if br == nil || br.Bridge == nil {
		return nil
	}
	off, forwarding := false, snap.PortForwarding
	set := &fixups.BridgeSet{Where: at(in, host.ID), Name: br.Name, STP: &off}
	if br.Bridge.ForwardDelayMs != kernelForwardDelayMs {
		d := int64(kernelForwardDelayMs)
		set.ForwardDelayMs = &d
	}
	ops := []fixups.Op{set}
	for _, q := range in.Graph.Ports(host, br) {
		if q.Kind != "veth" {
			f.Advice = br.Name + " has " + q.Name + " as a port: STP may guard it against loops; set it off only if there are none: ip link set " + br.Name + " type bridge stp_state 0"
			return nil
		}
		if q.Port != nil && q.Port.State != snap.PortForwarding && q.Up {
			ops = append(ops, &fixups.PortSet{Where: at(in, host.ID), Name: q.Name, State: &forwarding})
		}
	}
	return ops
}
