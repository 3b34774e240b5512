package checks

import (
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd6401: a running container is attached to no network.
//
// The container was started on a network and was taken off it since ("docker network
// disconnect", a network that was removed by force): it has its loopback device and
// nothing else. A container that wants no network is started with --network none.
//
// See it by hand:
//
//	docker inspect -f '{{json .NetworkSettings.Networks}} {{.HostConfig.NetworkMode}}' NAME
//	nsenter -t PID -n ip link                lo only
//
// Sources: docker-network-disconnect(1); moby daemon/container_operations.go
func nd6401() diag.Check {
	return diag.Check{
		Code: "ND6401", Name: "on-no-network", Severity: diag.Error, Since: "0.1",
		Title:  "A running container is not connected to any network",
		Detect: detectND6401,
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			for i := range in.Snap.Containers {
				c := &in.Snap.Containers[i]
				if n := offNetwork(in, c); n != nil && c.Name == f.Subject.Name && (c.Engine == "docker" || c.Engine == "podman") {
					return []fixups.Op{&fixups.EngineConnect{Ctr: fixups.CtrOf(c), Network: n.Name, NetworkID: n.ID}}
				}
			}
			return nil
		},
	}
}

// offNetwork is the network that a running container was started on, if it is
// on none now; nil otherwise, or where the network is not known.
func offNetwork(in *diag.Input, c *snap.Container) *snap.Network {
	m := c.NetworkMode
	if !c.Running() || len(c.Endpoints) > 0 || c.Netns == "" || c.Netns == in.Snap.Host.Netns || m == "none" || m == "host" || m == "" || strings.HasPrefix(m, "container:") || strings.HasPrefix(m, "ns:") {
		return nil
	}
	for i := range in.Snap.Networks {
		n := &in.Snap.Networks[i]
		if n.Engine == c.Engine && (n.Name == m || n.ID == m) {
			return n
		}
	}
	return nil
}

func detectND6401(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Snap.Containers {
		c := &in.Snap.Containers[i]
		n := offNetwork(in, c)
		if n == nil {
			continue
		}
		f := diag.Finding{
			Summary:  fmt.Sprintf("%s is not connected to any network: it was started on %s, and has only lo", c.Name, n.Name),
			Cause:    fmt.Sprintf("%s was disconnected from network %s while it ran", c.Name, n.Name),
			Subject:  diag.Subject{Kind: "container", Name: c.Name, Netns: c.Netns},
			Evidence: []diag.Evidence{ev(diag.InspectCommand(c), fmt.Sprintf("NetworkMode %s, networks: none", c.NetworkMode), snap.RefContainer(c.Ref))},
			Advice:   diag.ConnectCommand(c.Engine, "", n.Name, c.Name) + "; add --ip if it had an address of its own choice",
			Weight:   90,
		}
		for k := range in.Flows {
			if fl := &in.Flows[k]; fl.Asked && (fl.Flow.From == c.Netns || fl.Target == c.Ref) {
				f.Covers.Traces = append(f.Covers.Traces, k)
			}
		}
		out = append(out, f)
	}
	return out
}
