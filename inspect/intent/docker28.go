package intent

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// docker28 is what Docker's iptables backend writes from 28.0.1 on (moby
// daemon/libnetwork/drivers/bridge/internal/iptabler; its own generated
// documents, integration/network/bridge/iptablesdoc/generated). 28 keeps
// networks apart in DOCKER-ISOLATION-STAGE-1 and -2, 29 by the DROP at the end
// of DOCKER, with DOCKER-INTERNAL for internal networks. ok is false for 28.0.0,
// which used an ipset, and where the generation can't be told.
//
// The raw table is left out: whether direct access is fenced off there hangs
// on a daemon option that the API does not tell.
func docker28(s *snap.Snapshot, e *snap.Engine) (set Set, ok bool) {
	set = Set{Engine: e.Name, Family: snap.IPv4, System: systemOf(s)}
	stages, ok := docker28Stages(s, e, set.System)
	if !ok {
		return set, false
	}
	for _, c := range []string{"DOCKER", "DOCKER-BRIDGE", "DOCKER-CT", "DOCKER-FORWARD", "DOCKER-USER"} {
		set.Chains = append(set.Chains, Chain{Table: "filter", Name: c})
	}
	fence := "DOCKER-INTERNAL"
	if stages {
		fence = "DOCKER-ISOLATION-STAGE-1"
		set.Chains = append(set.Chains, Chain{Table: "filter", Name: "DOCKER-ISOLATION-STAGE-2"})
	}
	set.Chains = append(set.Chains, Chain{Table: "filter", Name: fence}, Chain{Table: "nat", Name: "DOCKER"})
	nets := bridges(s, e.Name)
	slices.SortStableFunc(nets, func(a, b bridgeNet) int { return a.n.Created.Compare(b.n.Created) })
	slices.SortStableFunc(nets, func(a, b bridgeNet) int { return boolRank(b.n.Default) - boolRank(a.n.Default) })
	newest := slices.Clone(nets)
	slices.Reverse(newest)

	set.add("filter", "FORWARD", "-j DOCKER-USER", "the user's own rules come first", nil)
	set.add("filter", "FORWARD", "-j DOCKER-FORWARD", "everything of Docker's", nil)
	set.add("filter", "DOCKER-FORWARD", "-j DOCKER-CT", "answers", nil)
	set.add("filter", "DOCKER-FORWARD", "-j "+fence, "networks are kept apart", nil)
	set.add("filter", "DOCKER-FORWARD", "-j DOCKER-BRIDGE", "published ports", nil)
	for _, b := range nets {
		docker28Net(&set, b)
	}
	for _, b := range newest {
		if b.n.Internal {
			set.add("filter", fence, "! -s "+b.subnet.String()+" -o "+b.bridge+" -j DROP", "nothing gets into "+b.n.Name, b.n)
			set.add("filter", fence, "! -d "+b.subnet.String()+" -i "+b.bridge+" -j DROP", "nothing leaves "+b.n.Name, b.n)
		}
	}
	if stages {
		for _, b := range nets {
			if !b.n.Internal {
				set.add("filter", fence, "-i "+b.bridge+" ! -o "+b.bridge+" -j DOCKER-ISOLATION-STAGE-2", "from "+b.n.Name+" to another network", b.n)
			}
		}
		for _, b := range newest {
			if !b.n.Internal {
				set.add("filter", "DOCKER-ISOLATION-STAGE-2", "-o "+b.bridge+" -j DROP", "into "+b.n.Name+" from another network", b.n)
			}
		}
	}
	docker28NAT(&set, e, newest, stages)
	docker28Ports(s, e, &set)
	// A network's DROP is appended behind the ports, which are inserted on top.
	for _, b := range nets {
		if !b.n.Internal && natMode(b.n) {
			set.add("filter", "DOCKER", "! -i "+b.bridge+" -o "+b.bridge+" -j DROP", "unpublished ports of "+b.n.Name+" are closed", b.n)
		}
	}
	return set, true
}

// docker28Stages says whether the generation with the isolation stages is
// meant: by the chains that are there, else by the version.
func docker28Stages(s *snap.Snapshot, e *snap.Engine, sys snap.System) (stages, ok bool) {
	if host := s.HostNs(); host != nil {
		if t := host.Ruleset.Table(sys, snap.IPv4, "filter"); t != nil {
			switch {
			case t.Chain("DOCKER-INTERNAL") != nil:
				return false, true
			case t.Chain("DOCKER-FORWARD") != nil && t.Chain("DOCKER-ISOLATION-STAGE-1") != nil:
				return true, true
			}
		}
	}
	if e.Version == "28.0.0" {
		return false, false
	}
	v, _, _ := strings.Cut(e.Version, ".")
	n, err := strconv.Atoi(v)
	return n == 28, err == nil && n >= 28
}

// natMode says whether a network's ports are published by NAT, as they are
// unless it says otherwise. A source address of its own (host_ipv4) makes SNAT
// rules, which are not told here.
func natMode(n *snap.Network) bool {
	return (n.GatewayMode4 == "" || n.GatewayMode4 == "nat") && n.Options["com.docker.network.host_ipv4"] == ""
}

func docker28Net(set *Set, b bridgeNet) {
	br := b.bridge
	if b.n.Internal {
		target := "ACCEPT"
		if !b.n.ICC {
			target = "DROP"
		}
		set.add("filter", "DOCKER-FORWARD", "-i "+br+" -o "+br+" -j "+target, "containers of "+b.n.Name+" among themselves", b.n)
		return
	}
	set.add("filter", "DOCKER-CT", "-o "+br+" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "answers to "+b.n.Name, b.n)
	set.add("filter", "DOCKER-BRIDGE", "-o "+br+" -j DOCKER", "published ports of "+b.n.Name, b.n)
	if b.n.ICC {
		set.add("filter", "DOCKER-FORWARD", "-i "+br+" -j ACCEPT", b.n.Name+" to the world", b.n)
		return
	}
	set.add("filter", "DOCKER-FORWARD", "-i "+br+" -o "+br+" -j DROP", "containers of "+b.n.Name+" kept apart (enable_icc=false)", b.n)
	set.add("filter", "DOCKER-FORWARD", "-i "+br+" ! -o "+br+" -j ACCEPT", b.n.Name+" to the world", b.n)
}

func docker28NAT(set *Set, e *snap.Engine, newest []bridgeNet, stages bool) {
	set.add("nat", "PREROUTING", "-m addrtype --dst-type LOCAL -j DOCKER", "published ports, from outside", nil)
	from := "! -d 127.0.0.0/8 "
	if !e.UserlandProxy {
		from = ""
	}
	set.add("nat", "OUTPUT", from+"-m addrtype --dst-type LOCAL -j DOCKER", "published ports, from this host", nil)
	for _, b := range newest {
		if b.n.Internal || !b.n.Masquerade || !natMode(b.n) {
			continue
		}
		if !e.UserlandProxy {
			set.add("nat", "POSTROUTING", "-o "+b.bridge+" -m addrtype --src-type LOCAL -j MASQUERADE", "this host to its published ports", b.n)
		}
		set.add("nat", "POSTROUTING", "-s "+b.subnet.String()+" ! -o "+b.bridge+" -j MASQUERADE", b.n.Name+" leaves with this host's address", b.n)
		if stages && e.UserlandProxy {
			set.add("nat", "DOCKER", "-i "+b.bridge+" -j RETURN", "containers go through docker-proxy", b.n).Optional = true
		}
	}
}

// docker28Ports adds the rules of each published port.
func docker28Ports(s *snap.Snapshot, e *snap.Engine, set *Set) {
	for _, p := range publishedPorts(s, e) {
		if !natMode(p.net) {
			continue
		}
		ip, proto := p.ep.IPv4.Addr(), string(p.port.Proto)
		m := fmt.Sprintf("-p %s -m %s --dport", proto, proto)
		dnat := ""
		if h := hostIP(p.port); h.IsValid() {
			dnat = "-d " + h.String() + "/32 "
		}
		if e.UserlandProxy {
			dnat += "! -i " + p.net.Bridge + " "
		}
		rules := []Rule{
			{Table: "nat", Chain: "DOCKER", Text: fmt.Sprintf("-A DOCKER %s%s %d -j DNAT --to-destination %s", dnat, m, p.port.HostPort, netip.AddrPortFrom(ip, p.port.ContainerPort)), For: fmt.Sprintf("port %d goes to %s", p.port.HostPort, p.c.Name)},
			{Table: "filter", Chain: "DOCKER", Text: fmt.Sprintf("-A DOCKER -d %s/32 ! -i %s -o %s %s %d -j ACCEPT", ip, p.net.Bridge, p.net.Bridge, m, p.port.ContainerPort), For: fmt.Sprintf("port %d of %s is let in", p.port.ContainerPort, p.c.Name)},
		}
		if !e.UserlandProxy {
			rules = append(rules, Rule{Table: "nat", Chain: "POSTROUTING", Text: fmt.Sprintf("-A POSTROUTING -s %s/32 -d %s/32 %s %d -j MASQUERADE", ip, ip, m, p.port.ContainerPort), For: p.c.Name + " to its own published port"})
		}
		for _, r := range rules {
			r.Network, r.Container, r.Port = p.net.Ref, p.c.Ref, p.port
			set.Rules = append(set.Rules, r)
		}
	}
}
