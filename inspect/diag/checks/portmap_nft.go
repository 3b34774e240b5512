package checks

import (
	"fmt"
	"net/netip"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// portmapNFT leads a port on as the nftables backend of CNI's portmap plugin does
// (containernetworking/plugins plugins/meta/portmap/portmap_nftables.go): a rule
// without a comment would stay when the plugin takes its own away. nil where that
// backend has made nothing, or another engine published the port.
func portmapNFT(in *diag.Input, host *snap.Netns, c *snap.Container, p *snap.Port, to netip.AddrPort) fixups.Op {
	chain, match := "hostports", ""
	if p.HostIP.IsValid() && !p.HostIP.IsUnspecified() {
		chain, match = "hostip_hostports", "ip daddr "+p.HostIP.Unmap().String()+" "
	}
	t := host.Ruleset.Table(snap.NFT, snap.IPv4, "cni_hostport")
	if c.Engine != "cni" || t == nil || t.Chain(chain) == nil || !to.Addr().Is4() {
		return nil
	}
	return &fixups.RuleInsert{
		ChainRef: fixups.ChainRef{Where: at(in, host.ID), System: t.System, Family: t.Family, Table: t.Name, Chain: chain},
		Text:     fmt.Sprintf("%s%s dport %d dnat to %s comment %q", match, p.Proto, p.HostPort, to, c.ID),
	}
}
