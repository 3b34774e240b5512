package intent

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// docker20 is what Docker up to 27 writes into iptables (libnetwork
// drivers/bridge/setup_ip_tables.go, iptables/iptables.go; measured on 20.10.24,
// 24.0.9 and 27.5.1). For IPv6 27 keeps networks apart that have none of it, too,
// which changes nothing and is not told.
func docker20(s *snap.Snapshot, e *snap.Engine, family snap.Family) Set {
	set := Set{Engine: e.Name, Family: family, System: systemOf(s)}
	set.Chains = []Chain{
		{Table: "filter", Name: "DOCKER"},
		{Table: "filter", Name: "DOCKER-ISOLATION-STAGE-1"},
		{Table: "filter", Name: "DOCKER-ISOLATION-STAGE-2"},
		{Table: "filter", Name: "DOCKER-USER"},
		{Table: "nat", Name: "DOCKER"},
	}
	add := set.add
	nets := bridges(s, e.Name, family)
	snap.Sort(nets, func(a, b bridgeNet) int { return b.n.Created.Compare(a.n.Created) })
	snap.Sort(nets, func(a, b bridgeNet) int { return boolRank(a.n.Default) - boolRank(b.n.Default) })

	add("filter", "FORWARD", "-j DOCKER-USER", "the user's own rules come first", nil)
	add("filter", "FORWARD", "-j DOCKER-ISOLATION-STAGE-1", "networks are kept apart", nil)
	var noICC []bridgeNet
	for _, b := range nets {
		br := b.bridge
		if !b.n.Internal {
			add("filter", "FORWARD", "-o "+br+" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "answers to "+b.n.Name, b.n)
			add("filter", "FORWARD", "-o "+br+" -j DOCKER", "published ports of "+b.n.Name, b.n)
			add("filter", "FORWARD", "-i "+br+" ! -o "+br+" -j ACCEPT", b.n.Name+" to the world", b.n)
		}
		if b.n.ICC {
			add("filter", "FORWARD", "-i "+br+" -o "+br+" -j ACCEPT", "containers of "+b.n.Name+" among themselves", b.n)
		} else {
			noICC = append(noICC, b)
		}
	}
	for _, b := range slices.Backward(noICC) { // appended, each in its turn
		add("filter", "FORWARD", "-i "+b.bridge+" -o "+b.bridge+" -j DROP", "containers of "+b.n.Name+" kept apart (enable_icc=false)", b.n)
	}
	for _, b := range nets {
		if b.n.Internal {
			in, out := b.fence()
			add("filter", "DOCKER-ISOLATION-STAGE-1", in, "nothing gets into "+b.n.Name, b.n)
			add("filter", "DOCKER-ISOLATION-STAGE-1", out, "nothing leaves "+b.n.Name, b.n)
			continue
		}
		add("filter", "DOCKER-ISOLATION-STAGE-1", "-i "+b.bridge+" ! -o "+b.bridge+" -j DOCKER-ISOLATION-STAGE-2", "from "+b.n.Name+" to another network", b.n)
	}
	add("filter", "DOCKER-ISOLATION-STAGE-1", "-j RETURN", "the end of the chain", nil).Optional = true
	for _, b := range nets {
		if !b.n.Internal {
			add("filter", "DOCKER-ISOLATION-STAGE-2", "-o "+b.bridge+" -j DROP", "into "+b.n.Name+" from another network", b.n)
		}
	}
	add("filter", "DOCKER-ISOLATION-STAGE-2", "-j RETURN", "the end of the chain", nil).Optional = true
	add("filter", "DOCKER-USER", "-j RETURN", "the end of the chain", nil).Optional = true

	add("nat", "PREROUTING", "-m addrtype --dst-type LOCAL -j DOCKER", "published ports, from outside", nil)
	if e.UserlandProxy {
		add("nat", "OUTPUT", "! -d "+loopback(family)+" -m addrtype --dst-type LOCAL -j DOCKER", "published ports, from this host", nil)
	} else {
		add("nat", "OUTPUT", "-m addrtype --dst-type LOCAL -j DOCKER", "published ports, from this host", nil)
	}
	for _, b := range nets {
		if b.masked() {
			add("nat", "POSTROUTING", "-s "+b.subnet.String()+" ! -o "+b.bridge+" -j "+b.leave(), b.n.Name+" leaves with this host's address", b.n)
		}
	}
	if e.UserlandProxy {
		for _, b := range nets {
			if b.masked() {
				add("nat", "DOCKER", "-i "+b.bridge+" -j RETURN", "containers go through docker-proxy", b.n)
			}
		}
	} else {
		for _, b := range nets {
			if b.masked() {
				add("nat", "POSTROUTING", "-o "+b.bridge+" -m addrtype --src-type LOCAL -j "+b.leave(), "this host to its published ports", b.n)
			}
		}
	}
	for _, p := range publishedPorts(s, e, family) {
		set.once(p.accept())
		if p.mode != "routed" {
			set.once(p.dnat(e.UserlandProxy, ""))
			set.once(p.hairpin())
		}
	}
	return set
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// hostIP is the host address that a DNAT rule names; invalid for all addresses.
func hostIP(p *snap.Port) netip.Addr {
	if !p.HostIP.IsValid() || p.HostIP.IsUnspecified() {
		return netip.Addr{}
	}
	return p.HostIP.Unmap()
}

// PublishedOn is the endpoint and network of a container that carries its
// published ports: the one that its default route uses, for Docker the first
// that is not internal in the order of the gateway's choice; nil when there is
// none.
func PublishedOn(s *snap.Snapshot, c *snap.Container, _ *snap.Port) (*snap.Endpoint, *snap.Network) {
	var ep *snap.Endpoint
	var net *snap.Network
	for i := range c.Endpoints {
		x := &c.Endpoints[i]
		n := s.NetworkOf(c.Engine, x)
		if n == nil || n.Internal || n.Driver != "bridge" || !x.IPv4.IsValid() {
			continue
		}
		if net == nil || snap.GatewayOrder(x, n, ep, net) < 0 {
			ep, net = x, n
		}
	}
	return ep, net
}

// systemOf tells which iptables the host's engine uses: where its chains are;
// else the one that has rules at all; else iptables-nft.
func systemOf(s *snap.Snapshot) snap.System {
	host := s.HostNs()
	if host == nil {
		return snap.IPTablesNFT
	}
	found := snap.System("")
	for i := range host.Ruleset.Tables {
		t := &host.Ruleset.Tables[i]
		if t.Family != snap.IPv4 || t.System != snap.IPTablesNFT && t.System != snap.IPTablesLegacy {
			continue
		}
		for j := range t.Chains {
			if strings.HasPrefix(t.Chains[j].Name, "DOCKER") {
				return t.System
			}
			if len(t.Chains[j].Rules) > 0 && found == "" {
				found = t.System
			}
		}
	}
	if found == "" {
		return snap.IPTablesNFT
	}
	return found
}
