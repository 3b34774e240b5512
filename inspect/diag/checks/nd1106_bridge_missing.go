package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd1106: a network's bridge does not exist.
func nd1106() diag.Check {
	return diag.Check{
		Code: "ND1106", Name: "bridge-missing", Severity: diag.Error, Since: "0.1",
		Title: "The bridge of a network does not exist",
		Doc: `The engine keeps a network in its own state, but its bridge device is gone
from the kernel: somebody deleted it, or a daemon that died in the middle left
half a network. Containers on it are on no wire any more.

See it by hand:
    docker network inspect NET -f '{{.Id}}'  br- and its first 12 digits name the bridge
    ip link show BRIDGE                      does not exist

Sources: moby drivers/bridge/bridge_linux.go: getNetworkBridgeName`,
		Detect: func(in *diag.Input) []diag.Finding {
			host := in.Snap.HostNs()
			if host == nil {
				return nil
			}
			var out []diag.Finding
			for i := range in.Snap.Networks {
				n := &in.Snap.Networks[i]
				e := in.Snap.Engine(n.Engine)
				if n.Driver != "bridge" || n.Bridge == "" || host.Link(n.Bridge) != nil || !inUse(in, n) || e == nil || e.Remote || e.Rootless {
					continue
				}
				out = append(out, diag.Finding{
					Summary:  fmt.Sprintf("%s does not exist: the bridge of network %s is gone", n.Bridge, n.Name),
					Cause:    fmt.Sprintf("%s knows the network %s, but its bridge %s was deleted from the kernel", n.Engine, n.Name, n.Bridge),
					Subject:  diag.Subject{Kind: "bridge", Name: n.Bridge, Netns: host.ID},
					Evidence: []diag.Evidence{ev("docker network inspect "+n.Name, "bridge "+n.Bridge, snap.RefNetwork(n.Ref))},
					Advice:   "restart the engine's daemon, which makes the bridge again, then restart the network's containers: docker restart …",
					Weight:   90,
				})
			}
			return out
		},
	}
}
