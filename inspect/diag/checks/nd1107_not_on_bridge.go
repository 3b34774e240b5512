package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd1107: a container's veth is on no bridge, or on the wrong one.
func nd1107() diag.Check {
	return diag.Check{
		Code: "ND1107", Name: "not-on-bridge", Severity: diag.Error, Since: "0.1",
		Title: "A container's veth is not a port of its network's bridge",
		Doc: `The host's end of a container's veth must be a port of the network's bridge.
Without a master it is a wire that ends in the air: all devices are up, yet the
container reaches nobody. A race between the engine and a network manager that
takes over new devices does this.

See it by hand:
    bridge link show                         the veth is not listed
    ip link show VETH                        has no "master BRIDGE"

Sources: net/bridge/br_if.c: br_add_if; moby#26492, coreos/docker#30`,
		Detect: detectND1107,
		Fix:    fixND1107,
	}
}

func detectND1107(in *diag.Input) []diag.Finding {
	host := in.Snap.HostNs()
	var out []diag.Finding
	for _, a := range attachments(in) {
		if a.host == nil || a.n.Bridge == "" {
			continue
		}
		br := host.Link(a.n.Bridge)
		if br == nil || a.host.Master == br.Index {
			continue
		}
		where := "on no bridge"
		if m := host.LinkAt(a.host.Master); m != nil {
			where = "a port of " + m.Name
		}
		out = append(out, diag.Finding{
			Summary:  fmt.Sprintf("%s is %s: %s's %s is not attached to %s (network %s)", a.host.Name, where, a.c.Name, a.link.Name, br.Name, a.n.Name),
			Cause:    fmt.Sprintf("the host's end of the veth of %s has no master %s, so its frames reach nobody on the network", a.c.Name, br.Name),
			Subject:  diag.Subject{Kind: "link", Name: a.host.Name, Netns: host.ID},
			Evidence: []diag.Evidence{ev("ip link show "+a.host.Name, linkLine(a.host)+" (no master "+br.Name+")", snap.RefLink(host.ID, a.host.Name))},
			Covers:   coverDevice(in, host.ID, a.host.Name), // whatever rules then say of a device that they do not know
			Weight:   82,
		})
	}
	return out
}
