package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
)

// nd3401: containers of networks that are kept apart reach each other.
//
// Docker keeps its bridge networks apart, and the members of a network made with
// enable_icc=false; Podman does so for networks with isolate. That is done by rules,
// and rules get lost: a firewall that reloads takes them away, an ACCEPT in
// DOCKER-USER or in a table of one's own comes before them, a policy of ACCEPT
// stands where a DROP was meant. netdoctor follows a packet from every member to
// every member of the other networks, and tries a sample of them.
//
// Where somebody opened the way on purpose, with a rule in DOCKER-USER, this is no
// fault: the evidence names the rule. A network with gateway mode nat-unprotected is
// open by its own setting, and is left out.
//
// See it by hand:
//
//	docker exec A wget -T 2 -O - http://ADDRESS-OF-B:PORT     answers
//	iptables -S DOCKER-USER; iptables -S DOCKER-ISOLATION-STAGE-2; iptables -S FORWARD
//
// Sources: moby daemon/libnetwork/drivers/bridge; CVE-2025-54410; podman-network-create(1): isolate
func nd3401() diag.Check {
	return diag.Check{
		Code: "ND3401", Name: "isolation-hole", Severity: diag.Warning, Since: "0.1", Audit: true,
		Title: "Containers that must be kept apart reach each other",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, h := range holes(in, "between", nil) {
				f := h.finding(in)
				f.Summary = fmt.Sprintf("containers of %s reach %s, which is kept apart from it: %s", commas(h.from), commas(h.to), h.who())
				if len(h.from)+len(h.to) > 2 {
					f.Summary = fmt.Sprintf("containers of %s reach %s, which are kept apart: %s", commas(h.from), commas(h.to), h.who())
				}
				if slices.Equal(h.from, h.to) {
					f.Summary = fmt.Sprintf("networks %s are kept apart, and their containers reach each other: %s", commas(h.from), h.who())
				}
				f.Cause = "no rule of the host stops packets between these networks, or one that accepts them comes first"
				f.Advice = "if this is not wanted: take the rule in the evidence away, or have the engine's isolation rules written again (netdoctor fix ND6101, or restart the engine); containers that shall talk share a network"
				f.Weight = 40
				out = append(out, f)
			}
			for _, h := range holes(in, "icc", nil) {
				f := h.finding(in)
				f.Summary = fmt.Sprintf("members of network %s reach each other although it has enable_icc=false: %s", commas(h.to), h.who())
				f.Cause = "the rule that drops packets from the bridge back to it is missing, comes too late, or bridged packets don't pass the rules at all (br_netfilter is not loaded or bridge-nf-call-iptables is 0)"
				f.Advice = "modprobe br_netfilter and sysctl net.bridge.bridge-nf-call-iptables=1, then restart the engine to have the rule written"
				f.Weight = 40
				out = append(out, f)
			}
			return out
		},
	}
}
