package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
)

// nd3402: an internal network's members get out of it.
//
// A network made with --internal has no way to the world, nor to other networks.
// There are side doors. With Docker's nftables backend the gateway's address leads to
// the published ports of other containers: the DNAT comes first, and the chain of the
// network that the packet goes into accepts it before the internal network's own is
// asked. Rules that were lost or that accept too much open the others.
//
// The host's own services stay reachable at the gateway's address in every
// generation; only the host's INPUT rules keep an internal network from them.
//
// See it by hand:
//
//	docker exec NAME wget -T 2 -O - http://GATEWAY:PUBLISHED-PORT      answers
//	docker exec NAME wget -T 2 -O - http://1.1.1.1                     answers
//	nft list chain ip docker-bridges filter-FORWARD
//
// Sources: moby daemon/libnetwork/drivers/bridge/internal/nftabler (measured with 29); docs.docker.com: docker network create --internal
func nd3402() diag.Check {
	return diag.Check{
		Code: "ND3402", Name: "internal-leaks", Severity: diag.Warning, Since: "0.1", Audit: true,
		Title: "Containers of an internal network get out of it",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, h := range holes(in, "internal", nil) {
				f := h.finding(in)
				f.Summary = fmt.Sprintf("network %s is internal, and its members get out: %s", commas(h.from), h.who())
				f.Cause = "no rule of the host stops these packets, or one that accepts them comes first"
				f.Advice = "have the engine's rules written again (netdoctor fix ND6101, or restart the engine), or take away the one that accepts"
				if !slices.ContainsFunc(h.flows, func(x *diag.FlowCase) bool { return x.Port == nil }) {
					f.Advice = "publish the ports at 127.0.0.1 or at one address that the internal network does not reach (-p 192.0.2.1:8080:80), or drop what comes in by its bridge to the host before the DNAT (a table of your own, prerouting, priority below dstnat)"
				}
				f.Weight = 41
				out = append(out, f)
			}
			return out
		},
	}
}
