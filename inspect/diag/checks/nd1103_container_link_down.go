package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd1103: the device inside a container is down.
//
// With its device down a container has no route at all: every program gets
// "Network is unreachable" at once. A script in the container, or somebody with
// nsenter, set it down; the kernel then also removed the default route, which
// does not come back by itself when the device is up again.
//
// See it by hand:
//
//	nsenter -t PID -n ip link show eth0      the flags lack UP
//	nsenter -t PID -n ip route               is empty
//
// Sources: net/ipv4/fib_frontend.c: fib_disable_ip
func nd1103() diag.Check {
	return diag.Check{
		Code: "ND1103", Name: "container-link-down", Severity: diag.Error, Since: "0.1",
		Title:  "The network device inside a container is down",
		Detect: detectND1103,
		Fix:    fixND1103,
	}
}

func detectND1103(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, a := range attachments(in) {
		if a.link == nil || a.link.Up {
			continue
		}
		f := diag.Finding{
			Summary:  fmt.Sprintf("%s is down in %s: the container has no way to network %s", a.link.Name, a.c.Name, a.n.Name),
			Cause:    fmt.Sprintf("the device %s in the container's namespace is administratively down, and the routes through it are gone", a.link.Name),
			Subject:  diag.Subject{Kind: "link", Name: a.link.Name, Netns: a.ns.ID},
			Evidence: []diag.Evidence{ev(ipIn(in, a.ns.ID, "link show "+a.link.Name), linkLine(a.link), snap.RefLink(a.ns.ID, a.link.Name))},
			Weight:   85,
		}
		f.Covers = coverFrom(in, a.ns.ID, sim.CauseLinkDown, sim.CauseNoCarrier, sim.CauseNoRoute, sim.CauseSelfSource)
		out = append(out, f)
	}
	return out
}
