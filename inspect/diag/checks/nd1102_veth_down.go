package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd1102: the host's end of a container's veth is down.
//
// A veth is a wire with two ends. While the end on the host is down, the one in
// the container has no carrier: the container is cut off from everybody, and
// nothing inside it explains why. Network managers that adopt the device when it
// appears are the usual cause.
//
// See it by hand:
//
//	nsenter -t PID -n ip link show eth0      says NO-CARRIER
//	ip link show VETH                        the flags lack UP
//
// Sources: drivers/net/veth.c: veth_open; moby#26492
func nd1102() diag.Check {
	return diag.Check{
		Code: "ND1102", Name: "veth-down", Severity: diag.Error, Since: "0.1",
		Title:  "The host's end of a container's veth is down",
		After:  []diag.Code{"ND1107"},
		Detect: detectND1102,
		Fix:    linkUpFix,
	}
}

func detectND1102(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, a := range attachments(in) {
		if a.host == nil || a.host.Up {
			continue
		}
		host := in.Snap.Host.Netns
		out = append(out, diag.Finding{
			Summary: fmt.Sprintf("%s is down: the host's end of %s's %s (network %s), which has no carrier", a.host.Name, a.c.Name, a.link.Name, a.n.Name),
			Cause:   fmt.Sprintf("the veth %s, the host's end of the wire to %s, is administratively down", a.host.Name, a.c.Name),
			Subject: diag.Subject{Kind: "link", Name: a.host.Name, Netns: host},
			Evidence: []diag.Evidence{
				ev("ip link show "+a.host.Name, linkLine(a.host), snap.RefLink(host, a.host.Name)),
				ev(ipIn(in, a.ns.ID, "link show "+a.link.Name), linkLine(a.link), snap.RefLink(a.ns.ID, a.link.Name)),
			},
			Covers: coverDevice(in, host, a.host.Name, sim.CauseLinkDown, sim.CauseNoCarrier),
			Weight: 80,
		})
	}
	return out
}
