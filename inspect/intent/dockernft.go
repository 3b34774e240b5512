package intent

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// dockerTable is the table of Docker's nftables backend, for each family.
const dockerTable = "docker-bridges"

// The verdict maps by which a packet finds the chains of its network. Those of
// the last two are for NAT.
var dockerMaps = []string{"filter-forward-in", "filter-forward-out", "nat-postrouting-in", "nat-postrouting-out"}

// dockerNFT is what Docker's nftables backend writes for a family (moby
// daemon/libnetwork/drivers/bridge/internal/nftabler; its own generated
// documents, integration/network/bridge/nftablesdoc/generated). One table, a pair of
// chains a network and direction, and maps from the bridge to them.
func dockerNFT(s *snap.Snapshot, e *snap.Engine, family snap.Family) Set {
	set := Set{Engine: e.Name, System: snap.NFT, Family: family}
	for _, c := range []Chain{
		{Name: "filter-FORWARD", Hook: "forward", Type: "filter"},
		{Name: "nat-OUTPUT", Hook: "output", Type: "nat", Priority: -100},
		{Name: "nat-POSTROUTING", Hook: "postrouting", Type: "nat", Priority: 100},
		{Name: "nat-PREROUTING", Hook: "prerouting", Type: "nat", Priority: -100},
		{Name: "nat-prerouting-and-output"},
	} {
		c.Table = dockerTable
		set.Chains = append(set.Chains, c)
	}
	for _, m := range dockerMaps {
		set.Maps = append(set.Maps, Map{Table: dockerTable, Name: m + "-jumps"})
	}
	set.nft("filter-FORWARD", "oifname vmap @filter-forward-in-jumps", "into the networks", nil)
	set.nft("filter-FORWARD", "iifname vmap @filter-forward-out-jumps", "out of the networks", nil)
	local := "ip daddr != 127.0.0.0/8 "
	if family == snap.IPv6 {
		local = "ip6 daddr != ::1 "
	}
	if !e.UserlandProxy {
		local = ""
	}
	set.nft("nat-OUTPUT", local+"fib daddr type local counter jump nat-prerouting-and-output", "published ports, from this host", nil)
	set.nft("nat-POSTROUTING", "iifname vmap @nat-postrouting-out-jumps", "addresses of what leaves the networks", nil)
	set.nft("nat-POSTROUTING", "oifname vmap @nat-postrouting-in-jumps", "addresses of what enters the networks", nil)
	set.nft("nat-PREROUTING", "fib daddr type local counter jump nat-prerouting-and-output", "published ports, from outside", nil)
	ports := publishedPorts(s, e, set.Family)
	for _, b := range bridges(s, e.Name, set.Family) {
		dockerNFTNet(&set, e, b, snap.Without(slices.Clone(ports), func(p publishedPort) bool { return p.net.Ref != b.n.Ref }))
	}
	for _, p := range ports {
		if p.mode == "nat" || p.mode == "nat-unprotected" {
			if !e.Rootless { // as docker28Ports
				dockerNFTDNAT(&set, e, p)
			}
		}
	}
	dockerNFTRaw(s, e, &set)
	return set
}

// nft appends a wanted rule of the table.
func (set *Set) nft(chain, text, why string, n *snap.Network) {
	r := Rule{Table: dockerTable, Chain: chain, Text: text, For: why}
	if n != nil {
		r.Network = n.Ref
	}
	set.Rules = append(set.Rules, r)
}

func dockerNFTNet(set *Set, e *snap.Engine, b bridgeNet, ports []publishedPort) {
	dev, n := `"`+b.bridge+`"`, b.n
	for _, m := range dockerMaps {
		set.Chains = append(set.Chains, Chain{Table: dockerTable, Name: m + "__" + b.bridge})
		set.Jumps = append(set.Jumps, Jump{Table: dockerTable, Map: m + "-jumps", Device: b.bridge, Chain: m + "__" + b.bridge, Network: n.Ref})
	}
	in, out, post := "filter-forward-in__"+b.bridge, "filter-forward-out__"+b.bridge, "nat-postrouting-out__"+b.bridge
	icc := "accept"
	if !n.ICC {
		icc = "drop"
	}
	const established = "ct state established,related counter accept"
	set.nft(in, established, "answers to "+n.Name, n)
	set.nft(out, established, "answers of "+n.Name, n)
	if n.Internal {
		set.nft(in, "iifname != "+dev+` counter drop comment "INTERNAL NETWORK INGRESS"`, "nothing gets into "+n.Name, n)
		set.nft(in, "counter "+icc+` comment "ICC"`, "containers of "+n.Name+" among themselves", n)
		set.nft(out, "oifname != "+dev+` counter drop comment "INTERNAL NETWORK EGRESS"`, "nothing leaves "+n.Name, n)
		return
	}
	if b.mode == "routed" {
		ping := "ip protocol icmp"
		if set.Family == snap.IPv6 {
			ping = "meta l4proto ipv6-icmp"
		}
		set.nft(in, ping+` counter accept comment "ICMP"`, "pings to "+n.Name, n)
	}
	set.nft(in, "iifname "+dev+" counter "+icc+` comment "ICC"`, "containers of "+n.Name+" among themselves", n)
	for _, p := range ports {
		dockerNFTPort(set, e, b, p)
	}
	if b.mode == "nat-unprotected" {
		set.nft(in, `counter accept comment "UNPROTECTED"`, n.Name+" is open", n)
	} else {
		set.nft(in, `counter drop comment "UNPUBLISHED PORT DROP"`, "unpublished ports of "+n.Name+" are closed", n)
	}
	set.nft(out, `counter accept comment "OUTGOING"`, n.Name+" to the world", n)
	leave, name := "masquerade", "MASQUERADE"
	if b.snat.IsValid() {
		leave, name = "snat to "+b.snat.String(), "SNAT"
	}
	if n.Masquerade && b.nat() {
		set.nft(post, fmt.Sprintf(`oifname != %s %s saddr %s counter %s comment "%s"`, dev, set.Family.NFT(), b.subnet, leave, name), n.Name+" leaves with this host's address", n)
		if !e.UserlandProxy {
			set.nft("nat-postrouting-in__"+b.bridge, fmt.Sprintf(`fib saddr type local counter %s comment "%s FROM HOST"`, leave, name), "this host to the published ports of "+n.Name, n)
		}
	}
}

// dockerNFTPort lets in what goes to a port of a container in the network.
func dockerNFTPort(set *Set, e *snap.Engine, b bridgeNet, p publishedPort) {
	word := set.Family.NFT()
	if b.mode != "nat-unprotected" {
		set.once(p.nft("filter-forward-in__"+b.bridge, fmt.Sprintf("%s daddr %s %s dport %d counter accept", word, p.ip, p.port.Proto, p.port.ContainerPort),
			fmt.Sprintf("port %d of %s is let in", p.port.ContainerPort, p.c.Name)))
	}
	if b.nat() && !e.UserlandProxy {
		set.once(p.nft("nat-postrouting-in__"+b.bridge, fmt.Sprintf(`%s saddr %s %s daddr %s %s dport %d counter masquerade comment "MASQ TO OWN PORT"`, word, p.ip, word, p.ip, p.port.Proto, p.port.ContainerPort),
			p.c.Name+" to its own published port"))
	}
}

// dockerNFTDNAT leads a port of this host to its container.
func dockerNFTDNAT(set *Set, e *snap.Engine, p publishedPort) {
	m := ""
	if e.UserlandProxy {
		m = `iifname != "` + p.net.Bridge + `" `
	}
	if set.Family == snap.IPv6 {
		m += "ip6 saddr != fe80::/10 " // a link-local source has no meaning on the other link
	}
	if h := hostIP(p.port); h.IsValid() {
		m += set.Family.NFT() + " daddr " + h.String() + " "
	}
	set.once(p.nft("nat-prerouting-and-output", fmt.Sprintf(`%s%s dport %d counter dnat to %s comment "DNAT"`, m, p.port.Proto, p.port.HostPort, netip.AddrPortFrom(p.ip, p.port.ContainerPort)),
		fmt.Sprintf("port %d goes to %s", p.port.HostPort, p.c.Name)))
}

func (p *publishedPort) nft(chain, text, why string) Rule {
	return Rule{Table: dockerTable, Chain: chain, Text: text, For: why, Network: p.net.Ref, Container: p.c.Ref, Port: p.port}
}
