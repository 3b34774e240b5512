package intent

import (
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
	nets := bridges(s, e.Name, family)
	snap.Sort(nets, func(a, b bridgeNet) int { return b.n.Created.Compare(a.n.Created) })
	snap.Sort(nets, func(a, b bridgeNet) int { return boolRank(a.n.Default) - boolRank(b.n.Default) })
	docker20Forward(&set, nets)
	docker20Fence(&set, nets)
	set.add("filter", "DOCKER-USER", "-j RETURN", "the end of the chain", nil).Optional = true
	docker20NAT(&set, e, nets)
	for _, p := range publishedPorts(s, e, family) {
		set.once(p.accept())
		if p.mode != "routed" {
			set.once(p.dnat(e.UserlandProxy, ""))
			set.once(p.hairpin())
		}
	}
	return set
}

// docker20Forward is what stands in FORWARD, the newest network first.
func docker20Forward(set *Set, nets []bridgeNet) {
	add := set.add
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
}

// docker20Fence is what keeps networks apart, and internal ones from the world.
func docker20Fence(set *Set, nets []bridgeNet) {
	add := set.add
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
}

func docker20NAT(set *Set, e *snap.Engine, nets []bridgeNet) {
	add := set.add
	add("nat", "PREROUTING", "-m addrtype --dst-type LOCAL -j DOCKER", "published ports, from outside", nil)
	if e.UserlandProxy {
		add("nat", "OUTPUT", "! -d "+loopback(set.Family)+" -m addrtype --dst-type LOCAL -j DOCKER", "published ports, from this host", nil)
	} else {
		add("nat", "OUTPUT", "-m addrtype --dst-type LOCAL -j DOCKER", "published ports, from this host", nil)
	}
	for _, b := range nets {
		if b.masked() {
			add("nat", "POSTROUTING", "-s "+b.subnet.String()+" ! -o "+b.bridge+" -j "+b.leave(), b.n.Name+" leaves with this host's address", b.n)
		}
	}
	for _, b := range nets {
		switch {
		case !b.masked():
		case e.UserlandProxy:
			add("nat", "DOCKER", "-i "+b.bridge+" -j RETURN", "containers go through docker-proxy", b.n)
		default:
			add("nat", "POSTROUTING", "-o "+b.bridge+" -m addrtype --src-type LOCAL -j "+b.leave(), "this host to its published ports", b.n)
		}
	}
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
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
