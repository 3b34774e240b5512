package intent

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// docker20 is what Docker up to 27 writes into iptables (libnetwork
// drivers/bridge/setup_ip_tables.go, iptables/iptables.go; measured on 20.10.24).
func docker20(s *snap.Snapshot, e *snap.Engine) Set {
	set := Set{Engine: e.Name, Family: snap.IPv4, System: systemOf(s)}
	set.Chains = []Chain{
		{Table: "filter", Name: "DOCKER"},
		{Table: "filter", Name: "DOCKER-ISOLATION-STAGE-1"},
		{Table: "filter", Name: "DOCKER-ISOLATION-STAGE-2"},
		{Table: "filter", Name: "DOCKER-USER"},
		{Table: "nat", Name: "DOCKER"},
	}
	add := set.add
	nets := bridges(s, e.Name)
	slices.SortStableFunc(nets, func(a, b bridgeNet) int { return b.n.Created.Compare(a.n.Created) })
	slices.SortStableFunc(nets, func(a, b bridgeNet) int { return boolRank(a.n.Default) - boolRank(b.n.Default) })

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
	for _, b := range noICC {
		add("filter", "FORWARD", "-i "+b.bridge+" -o "+b.bridge+" -j DROP", "containers of "+b.n.Name+" kept apart (enable_icc=false)", b.n)
	}
	for _, b := range nets {
		if b.n.Internal {
			add("filter", "DOCKER-ISOLATION-STAGE-1", "! -s "+b.subnet.String()+" -o "+b.bridge+" -j DROP", "nothing gets into "+b.n.Name, b.n)
			add("filter", "DOCKER-ISOLATION-STAGE-1", "! -d "+b.subnet.String()+" -i "+b.bridge+" -j DROP", "nothing leaves "+b.n.Name, b.n)
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
		add("nat", "OUTPUT", "! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER", "published ports, from this host", nil)
	} else {
		add("nat", "OUTPUT", "-m addrtype --dst-type LOCAL -j DOCKER", "published ports, from this host", nil)
	}
	for _, b := range nets {
		if b.n.Masquerade && !b.n.Internal {
			add("nat", "POSTROUTING", "-s "+b.subnet.String()+" ! -o "+b.bridge+" -j MASQUERADE", b.n.Name+" leaves with this host's address", b.n)
		}
	}
	if e.UserlandProxy {
		for _, b := range nets {
			if b.n.Masquerade && !b.n.Internal {
				add("nat", "DOCKER", "-i "+b.bridge+" -j RETURN", "containers go through docker-proxy", b.n)
			}
		}
	} else {
		for _, b := range nets {
			if b.n.Masquerade && !b.n.Internal {
				add("nat", "POSTROUTING", "-o "+b.bridge+" -m addrtype --src-type LOCAL -j MASQUERADE", "this host to its published ports", b.n)
			}
		}
	}
	docker20Ports(s, e, &set)
	return set
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// docker20Ports adds the three rules of each published port.
func docker20Ports(s *snap.Snapshot, e *snap.Engine, set *Set) {
	for _, p := range publishedPorts(s, e) {
		ip, proto, n, c := p.ep.IPv4.Addr(), string(p.port.Proto), p.net, p.c
		m := fmt.Sprintf("-p %s -m %s --dport", proto, proto)
		dnat := ""
		if h := hostIP(p.port); h.IsValid() {
			dnat = "-d " + h.String() + "/32 "
		}
		if e.UserlandProxy {
			dnat += "! -i " + n.Bridge + " "
		}
		for _, r := range []Rule{
			{Table: "nat", Chain: "DOCKER", Text: fmt.Sprintf("-A DOCKER %s%s %d -j DNAT --to-destination %s", dnat, m, p.port.HostPort, netip.AddrPortFrom(ip, p.port.ContainerPort)), For: fmt.Sprintf("port %d goes to %s", p.port.HostPort, c.Name)},
			{Table: "filter", Chain: "DOCKER", Text: fmt.Sprintf("-A DOCKER -d %s/32 ! -i %s -o %s %s %d -j ACCEPT", ip, n.Bridge, n.Bridge, m, p.port.ContainerPort), For: fmt.Sprintf("port %d of %s is let in", p.port.ContainerPort, c.Name)},
			{Table: "nat", Chain: "POSTROUTING", Text: fmt.Sprintf("-A POSTROUTING -s %s/32 -d %s/32 %s %d -j MASQUERADE", ip, ip, m, p.port.ContainerPort), For: c.Name + " to its own published port"},
		} {
			r.Network, r.Container, r.Port = n.Ref, c.Ref, p.port
			set.Rules = append(set.Rules, r)
		}
	}
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
