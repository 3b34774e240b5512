package intent

import (
	"crypto/sha512"
	"fmt"
	"net/netip"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Marks and chains of netavark's iptables driver, up to 1.17
// (netavark src/firewall/varktables/types.rs).
const (
	varkForward = "NETAVARK_FORWARD"
	varkDNAT    = "NETAVARK-HOSTPORT-DNAT"
	varkSetMark = "NETAVARK-HOSTPORT-SETMARK"
	varkMasq    = "NETAVARK-HOSTPORT-MASQ"
	varkMark    = "0x2000/0x2000"
)

// varkSystem tells whether, and in which iptables, netavark has its chains.
// Where none are there it may use nftables or firewalld: its own notes tell
// (varkDriver), else nothing is said.
func varkSystem(s *snap.Snapshot) (snap.System, bool) {
	host := s.HostNs()
	if host == nil {
		return "", false
	}
	for i := range host.Ruleset.Tables {
		t := &host.Ruleset.Tables[i]
		if t.Family != snap.IPv4 || t.System != snap.IPTablesNFT && t.System != snap.IPTablesLegacy {
			continue
		}
		for j := range t.Chains {
			if strings.HasPrefix(t.Chains[j].Name, "NETAVARK") {
				return t.System, true
			}
		}
	}
	return "", false
}

// varkHash is netavark's short name of a network (core_utils.rs: create_network_hash).
func varkHash(network string) string {
	sum := sha512.Sum512([]byte(network))
	return strings.ToUpper(fmt.Sprintf("%x", sum))[:13]
}

// netavark is what netavark's iptables driver writes for networks with running
// containers.
func netavark(s *snap.Snapshot, e *snap.Engine, sys snap.System, family snap.Family) Set {
	set := Set{Engine: e.Name, Family: family, System: sys}
	add := func(n *snap.Network, table, chain, text, why string, end bool) {
		set.Rules = append(set.Rules, Rule{Table: table, Chain: chain, Text: "-A " + chain + " " + text, For: why, Network: n.Ref, Append: end})
	}
	chain := func(table, name string) { set.Chains = append(set.Chains, Chain{Table: table, Name: name}) }
	var published []varkPort
	first := true
	for _, b := range bridges(s, e.Name, set.Family) {
		ports, running := varkPorts(s, b.n, set.Family)
		if !running || !b.n.Masquerade || b.n.Internal {
			continue
		}
		hash, multicast := "NETAVARK-"+varkHash(b.n.Name), "224.0.0.0/4"
		if family == snap.IPv6 {
			multicast = "ff00::/8"
		}
		net := b.subnet.String()
		if first {
			first = false
			chain("filter", varkForward)
			add(b.n, "filter", "FORWARD", `-m comment --comment "`+varkComment(s, sys, family)+`" -j `+varkForward, "Podman's networks are looked at", varkApart(s, sys, family))
		}
		chain("nat", hash)
		add(b.n, "filter", varkForward, "-d "+net+" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "answers to "+b.n.Name, true)
		add(b.n, "filter", varkForward, "-s "+net+" -j ACCEPT", b.n.Name+" to the world", true)
		add(b.n, "nat", hash, "-d "+net+" -j ACCEPT", b.n.Name+" keeps its addresses inside", false)
		add(b.n, "nat", hash, "! -d "+multicast+" -j MASQUERADE", b.n.Name+" leaves with this host's address", false)
		add(b.n, "nat", "POSTROUTING", "-s "+net+" -j "+hash, b.n.Name+" leaves with this host's address", true)
		// Ranges of ports are written as one rule, and ports that may come from one
		// are left out.
		published = append(published, snap.Without(ports, func(x varkPort) bool { return ranged(x.c, x.p) })...)
	}
	if len(published) > 0 {
		varkPublish(&set, published, add, chain)
	}
	return set
}

// varkComment is how the jump to netavark's chain is remarked: releases that look at INPUT,
// too, write it shorter (seen with 1.14).
func varkComment(s *snap.Snapshot, sys snap.System, family snap.Family) string {
	if host := s.HostNs(); host != nil {
		if t := host.Ruleset.Table(sys, family, "filter"); t != nil && t.Chain("NETAVARK_INPUT") != nil {
			return "netavark firewall rules"
		}
	}
	return "netavark firewall plugin rules"
}

// varkApart says whether networks are kept apart: the chain for that is asked before the
// one that accepts, which must not come first again.
func varkApart(s *snap.Snapshot, sys snap.System, family snap.Family) bool {
	host := s.HostNs()
	if host == nil {
		return false
	}
	t := host.Ruleset.Table(sys, family, "filter")
	return t != nil && t.Chain("NETAVARK_ISOLATION_1") != nil
}

// varkPort is one published port with its container's endpoint.
type varkPort struct {
	n    *snap.Network
	c    *snap.Container
	p    *snap.Port
	addr netip.Addr
}

// varkPorts are the published ports of a network's running containers in one family; running
// says whether there are any such containers.
func varkPorts(s *snap.Snapshot, n *snap.Network, family snap.Family) (ports []varkPort, running bool) {
	for i := range s.Containers {
		c := &s.Containers[i]
		if c.Engine != n.Engine || !c.Running() {
			continue
		}
		for j := range c.Endpoints {
			ep := &c.Endpoints[j]
			addr := ep.IPv4.Addr()
			if family == snap.IPv6 {
				addr = ep.IPv6.Addr()
			}
			if s.NetworkOf(c.Engine, ep) != n || !addr.IsValid() {
				continue
			}
			running = true
			for k := range c.Ports {
				p := &c.Ports[k]
				if p.HostPort == 0 || p.HostIP.Is6() != (family == snap.IPv6) {
					continue
				}
				ports = append(ports, varkPort{n, c, p, addr})
			}
		}
	}
	return ports, running
}

// ranged says whether a container publishes the port next to this one, too.
func ranged(c *snap.Container, p *snap.Port) bool {
	for i := range c.Ports {
		q := &c.Ports[i]
		if q.Proto == p.Proto && (q.HostPort == p.HostPort+1 || p.HostPort > 0 && q.HostPort == p.HostPort-1) {
			return true
		}
	}
	return false
}

// varkPublish adds the frame and the rules of published ports.
func varkPublish(set *Set, ports []varkPort, add func(*snap.Network, string, string, string, string, bool), chain func(string, string)) {
	n := ports[0].n
	chain("nat", varkSetMark)
	chain("nat", varkMasq)
	chain("nat", varkDNAT)
	add(n, "nat", varkSetMark, "-j MARK --set-xmark "+varkMark, "marks what must be masqueraded", true)
	add(n, "nat", varkMasq, `-m comment --comment "netavark portfw masq mark" -m mark --mark `+varkMark+" -j MASQUERADE", "masquerades what is marked", true)
	add(n, "nat", "POSTROUTING", "-j "+varkMasq, "masquerades what is marked", false)
	add(n, "nat", "PREROUTING", "-m addrtype --dst-type LOCAL -j "+varkDNAT, "published ports, from outside", true)
	add(n, "nat", "OUTPUT", "-m addrtype --dst-type LOCAL -j "+varkDNAT, "published ports, from this host", true)
	made, local := map[string]bool{}, "127.0.0.1/32"
	if set.Family == snap.IPv6 {
		local = "::1/128"
	}
	for _, x := range ports {
		dn := "NETAVARK-DN-" + varkHash(x.n.Name)
		if !made[dn] {
			made[dn] = true
			chain("nat", dn)
		}
		proto := string(x.p.Proto)
		match := fmt.Sprintf("-p %s -m %s --dport %d", proto, proto, x.p.HostPort)
		to := ""
		if h := hostIP(x.p); h.IsValid() {
			to = "-d " + one(h) + " "
		}
		why := fmt.Sprintf("port %d goes to %s", x.p.HostPort, x.c.Name)
		subnet := ""
		for _, pool := range x.n.Pools {
			if pool.Subnet.Contains(x.addr) {
				subnet = pool.Subnet.Masked().String()
			}
		}
		add(x.n, "nat", varkDNAT, match+fmt.Sprintf(` -m comment --comment "dnat name: %s id: %s" -j %s`, x.n.Name, x.c.ID, dn), why, true)
		add(x.n, "nat", dn, "-s "+subnet+" "+to+match+" -j "+varkSetMark, why, false)
		add(x.n, "nat", dn, "-s "+local+" "+to+match+" -j "+varkSetMark, why, false)
		add(x.n, "nat", dn, to+match+" -j DNAT --to-destination "+netip.AddrPortFrom(x.addr, x.p.ContainerPort).String(), why, false)
		for k := len(set.Rules) - 4; k < len(set.Rules); k++ {
			set.Rules[k].Container, set.Rules[k].Port = x.c.Ref, x.p
		}
	}
}
