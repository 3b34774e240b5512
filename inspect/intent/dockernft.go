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

// dockerNFT is what Docker's nftables backend writes for IPv4 (moby
// daemon/libnetwork/drivers/bridge/internal/nftabler; its own generated
// documents, integration/network/bridge/nftablesdoc/generated). One table, a pair of
// chains a network and direction, and maps from the bridge to them.
//
// raw-PREROUTING is left out, as in docker28: whether direct access is fenced
// off hangs on a daemon option that the API does not tell.
func dockerNFT(s *snap.Snapshot, e *snap.Engine) Set {
	set := Set{Engine: e.Name, System: snap.NFT, Family: snap.IPv4}
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
	if !e.UserlandProxy {
		local = ""
	}
	set.nft("nat-OUTPUT", local+"fib daddr type local counter jump nat-prerouting-and-output", "published ports, from this host", nil)
	set.nft("nat-POSTROUTING", "iifname vmap @nat-postrouting-out-jumps", "addresses of what leaves the networks", nil)
	set.nft("nat-POSTROUTING", "oifname vmap @nat-postrouting-in-jumps", "addresses of what enters the networks", nil)
	set.nft("nat-PREROUTING", "fib daddr type local counter jump nat-prerouting-and-output", "published ports, from outside", nil)
	ports := publishedPorts(s, e, set.Family)
	for _, b := range bridges(s, e.Name, set.Family) {
		if !slices.Contains([]string{"", "nat", "nat-unprotected", "routed"}, b.n.GatewayMode4) || b.n.Options["com.docker.network.host_ipv4"] != "" {
			continue // isolated, or SNAT to an address: not told here
		}
		dockerNFTNet(&set, e, b, slices.DeleteFunc(slices.Clone(ports), func(p publishedPort) bool { return p.net.Ref != b.n.Ref }))
	}
	return set
}

// nft appends a wanted rule of the table.
func (set *Set) nft(chain, text, why string, n *snap.Network) *Rule {
	r := Rule{Table: dockerTable, Chain: chain, Text: text, For: why}
	if n != nil {
		r.Network = n.Ref
	}
	set.Rules = append(set.Rules, r)
	return &set.Rules[len(set.Rules)-1]
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
	if n.GatewayMode4 == "routed" {
		set.nft(in, `ip protocol icmp counter accept comment "ICMP"`, "pings to "+n.Name, n)
	}
	set.nft(in, "iifname "+dev+" counter "+icc+` comment "ICC"`, "containers of "+n.Name+" among themselves", n)
	for _, p := range ports {
		dockerNFTPort(set, e, b, p)
	}
	if n.GatewayMode4 == "nat-unprotected" {
		set.nft(in, `counter accept comment "UNPROTECTED"`, n.Name+" is open", n)
	} else {
		set.nft(in, `counter drop comment "UNPUBLISHED PORT DROP"`, "unpublished ports of "+n.Name+" are closed", n)
	}
	set.nft(out, `counter accept comment "OUTGOING"`, n.Name+" to the world", n)
	if n.Masquerade && n.GatewayMode4 != "routed" {
		set.nft(post, fmt.Sprintf(`oifname != %s ip saddr %s counter masquerade comment "MASQUERADE"`, dev, b.subnet), n.Name+" leaves with this host's address", n)
		if !e.UserlandProxy {
			set.nft("nat-postrouting-in__"+b.bridge, `fib saddr type local counter masquerade comment "MASQUERADE FROM HOST"`, "this host to the published ports of "+n.Name, n)
		}
	}
}

func dockerNFTPort(set *Set, e *snap.Engine, b bridgeNet, p publishedPort) {
	ip, proto, mode := p.ip, string(p.port.Proto), b.n.GatewayMode4
	own := func(r *Rule) { r.Container, r.Port = p.c.Ref, p.port }
	if mode != "nat-unprotected" {
		own(set.nft("filter-forward-in__"+b.bridge, fmt.Sprintf("ip daddr %s %s dport %d counter accept", ip, proto, p.port.ContainerPort),
			fmt.Sprintf("port %d of %s is let in", p.port.ContainerPort, p.c.Name), b.n))
	}
	if mode == "routed" {
		return
	}
	m := ""
	if e.UserlandProxy {
		m = `iifname != "` + b.bridge + `" `
	}
	if h := hostIP(p.port); h.IsValid() {
		m += "ip daddr " + h.String() + " "
	}
	own(set.nft("nat-prerouting-and-output", fmt.Sprintf(`%s%s dport %d counter dnat to %s comment "DNAT"`, m, proto, p.port.HostPort, netip.AddrPortFrom(ip, p.port.ContainerPort)),
		fmt.Sprintf("port %d goes to %s", p.port.HostPort, p.c.Name), b.n))
	if !e.UserlandProxy {
		own(set.nft("nat-postrouting-in__"+b.bridge, fmt.Sprintf(`ip saddr %s ip daddr %s %s dport %d counter masquerade comment "MASQ TO OWN PORT"`, ip, ip, proto, p.port.ContainerPort),
			p.c.Name+" to its own published port", b.n))
	}
}
