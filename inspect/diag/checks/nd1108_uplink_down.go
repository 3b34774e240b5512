package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd1108: the host's way to the world is down.
func nd1108() diag.Check {
	return diag.Check{
		Code: "ND1108", Name: "uplink-down", Severity: diag.Error, Since: "0.1",
		Title: "The host's uplink is down",
		Doc: `The device that leads from this host to the world is administratively down or
has lost its carrier. The kernel removes the routes of a device that is set
down, so containers hear "Network is unreachable" from their gateway while they
still reach each other.

See it by hand:
    ip link show eth0                        lacks UP, or says NO-CARRIER
    ip route show default                    is empty

Sources: net/ipv4/fib_frontend.c: fib_disable_ip`,
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
	return out
}
