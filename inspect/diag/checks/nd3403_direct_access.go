package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd3403: neighbours of the host reach container addresses.
//
// Whoever shares a link with this host can set a route to the container networks
// through it. Docker from 28 on drops such packets in the raw table, older ones let
// them through to published ports, even to those published at 127.0.0.1 only, and
// to every port where the policy of FORWARD is ACCEPT. netdoctor follows a packet
// from a neighbour to each container.
//
// See it by hand:
//
//	on a neighbour: ip route add CONTAINER-SUBNET via THIS-HOST; curl http://CONTAINER:PORT
//	iptables -t raw -S PREROUTING; iptables -S FORWARD
//
// Sources: moby#14041, moby#45610; moby 28.0 release notes; CVE-2025-54388
func nd3403() diag.Check {
	return diag.Check{
		Code: "ND3403", Name: "direct-access", Severity: diag.Warning, Since: "0.1", Audit: true,
		Title: "Neighbours of this host reach containers at their own addresses",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			old := func(f *diag.FlowCase) bool { return openByDesign(in, f) }
			for _, h := range holes(in, "direct", func(f *diag.FlowCase) bool { return !old(f) }) {
				f := h.finding(in)
				f.Summary = fmt.Sprintf("containers of %s can be reached at their own addresses: %s", commas(h.to), h.who())
				f.Cause = "no rule drops what neighbours of this host send to container addresses"
				f.Advice = "iptables -P FORWARD DROP, or restart the engine where it should have written the rules itself"
				f.Weight = 39
				out = append(out, f)
			}
			for _, h := range holes(in, "direct", old) {
				f := h.finding(in)
				f.Severity = diag.Info
				f.Summary = fmt.Sprintf("published ports on %s can be reached at the containers' own addresses, too: %s", commas(h.to), h.who())
				f.Cause = "Docker before 28 lets a neighbour that has a route through to published ports, whatever address they are published at"
				f.Advice = "upgrade Docker to 28 or newer, or drop in raw PREROUTING what does not come in by the network's bridge"
				out = append(out, f)
			}
			return out
		},
	}
}

// openByDesign says whether a port is one that Docker before 28 leaves open, or
// may: that an engine which does not answer is a newer one is not known.
func openByDesign(in *diag.Input, f *diag.FlowCase) bool {
	e, c := in.Snap.Engine("docker"), in.Snap.Container(f.Target)
	return e != nil && e.Rules != "docker-28" && e.Rules != "docker-nft" && c != nil &&
		slices.ContainsFunc(c.Ports, func(p snap.Port) bool { return p.ContainerPort == f.Flow.Dport && p.HostPort != 0 })
}
