package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/intent"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd1110: without a userland proxy a container can't reach its own published port.
//
// A container that calls its own published port is sent back to itself by DNAT: the
// frame has to leave the bridge by the port it came in by, which bridges refuse
// unless hairpin mode is on for that port. Docker turns it on for every port when it
// runs without the userland proxy, CNI's bridge plugin with hairpinMode.
//
// See it by hand:
//
//	bridge -d link show dev VETH             hairpin off
//
// Sources: net/bridge/br_forward.c: should_deliver; moby drivers/bridge/bridge_linux.go: hairpinMode; moby#49667
func nd1110() diag.Check {
	return diag.Check{
		Code: "ND1110", Name: "hairpin-off", Severity: diag.Error, Since: "0.1",
		Title:  "Hairpin mode is off on a bridge port whose container publishes ports",
		After:  []diag.Code{"ND1102", "ND1107"},
		Detect: detectND1110,
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			on := true
			return []fixups.Op{&fixups.PortSet{Where: at(in, f.Subject.Netns), Name: f.Subject.Name, Hairpin: &on}}
		},
	}
}

func detectND1110(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, a := range attachments(in) {
		e := in.Snap.Engine(a.c.Engine)
		if a.host == nil || a.host.Port == nil || a.host.Port.Hairpin || e == nil || e.Name != "docker" || e.UserlandProxy || !e.IPTables || len(a.c.Ports) == 0 || a.n.Internal {
			continue
		}
		if ep, _ := intent.PublishedOn(in.Snap, a.c); ep != a.e {
			continue
		}
		out = append(out, diag.Finding{
			Summary:  fmt.Sprintf("hairpin mode is off on %s, the bridge port of %s: it can't reach its own published ports", a.host.Name, a.c.Name),
			Cause:    "the engine runs without userland proxy and relies on hairpin mode, which is off on this port",
			Subject:  diag.Subject{Kind: "link", Name: a.host.Name, Netns: in.Snap.Host.Netns},
			Evidence: []diag.Evidence{ev("bridge -d link show dev "+a.host.Name, a.host.Name+" hairpin off", snap.RefLink(in.Snap.Host.Netns, a.host.Name))},
			Covers:   coverDevice(in, in.Snap.Host.Netns, a.host.Name, sim.CauseHairpin),
			Weight:   61,
		})
	}
	return out
}
