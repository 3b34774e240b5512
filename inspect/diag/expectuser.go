package diag

import (
	"net/netip"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// userEgress: a container that a user's own engine gave a program to carry its packets
// reaches the world. It is on no network.
func (e *expecter) userEgress() {
	for i := range e.in.Snap.Containers {
		c := &e.in.Snap.Containers[i]
		if c.State != "running" || c.Netns == "" || c.Netns == e.host.ID || !UserMode(c) {
			continue
		}
		for _, w := range outsideWorld {
			e.add(FlowCase{
				Kind: "egress", From: c.Name, To: "internet", Because: []snap.Ref{snap.RefContainer(c.Ref)},
				Flow: sim.Flow{From: c.Netns, Dst: netip.MustParseAddr(w), Proto: snap.TCP, Dport: 443, StopOutside: true},
			})
		}
	}
}

// UserMode says whether slirp4netns or pasta carries a container's packets, by its own
// settings (podman-run(1), --network).
func UserMode(c *snap.Container) bool {
	return snap.IsPodman(c.Engine) && (strings.HasPrefix(c.NetworkMode, "pasta") || strings.HasPrefix(c.NetworkMode, "slirp4netns"))
}
