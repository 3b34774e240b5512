package intent

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// bridgeNet is a bridge network with its bridge, and what one family has of it.
type bridgeNet struct {
	n      *snap.Network
	subnet netip.Prefix
	bridge string
	mode   string     // gateway mode: "nat", "nat-unprotected", "routed"; "isolated", of internal networks only
	snat   netip.Addr // the source address that its owner chose; invalid: the way out's
}

// bridges are an engine's bridge networks with a subnet of the family.
func bridges(s *snap.Snapshot, engine string, family snap.Family) []bridgeNet {
	var out []bridgeNet
	for i := range s.Networks {
		n := &s.Networks[i]
		if n.Engine != engine || n.Driver != "bridge" || n.Bridge == "" {
			continue
		}
		for _, p := range n.Pools {
			if p.Subnet.IsValid() && p.Subnet.Addr().Is6() == (family == snap.IPv6) {
				out = append(out, bridgeNet{n: n, subnet: p.Subnet.Masked(), bridge: n.Bridge, mode: gatewayMode(n, family), snat: sourceOf(n, family)})
				break
			}
		}
	}
	return out
}

func gatewayMode(n *snap.Network, family snap.Family) string {
	if family == snap.IPv6 {
		return cmp.Or(n.GatewayMode6, "nat")
	}
	return cmp.Or(n.GatewayMode4, "nat")
}

// sourceOf is the address that a network's packets leave with by its options.
func sourceOf(n *snap.Network, family snap.Family) netip.Addr {
	key := "com.docker.network.host_ipv4"
	if family == snap.IPv6 {
		key = "com.docker.network.host_ipv6"
	}
	a, _ := netip.ParseAddr(n.Options[key]) // none, or none that Docker would take
	return a
}

// nat says whether the network has this host's addresses outside.
func (b *bridgeNet) nat() bool { return b.mode == "nat" || b.mode == "nat-unprotected" }

// masked says whether what leaves the network gets another source address.
func (b *bridgeNet) masked() bool { return b.n.Masquerade && !b.n.Internal && b.nat() }

// leave is the target that gives what leaves the network its address.
func (b *bridgeNet) leave() string {
	if b.snat.IsValid() {
		return "SNAT --to-source " + b.snat.String()
	}
	return "MASQUERADE"
}

// fence are the two rules that close an internal network, as they stand.
func (b *bridgeNet) fence() (in, out string) {
	if b.subnet.Addr().Is6() { // link-local neighbours have none of the subnet's addresses
		return fmt.Sprintf("! -s %s ! -i %s -o %s -j DROP", b.subnet, b.bridge, b.bridge), fmt.Sprintf("! -d %s -i %s ! -o %s -j DROP", b.subnet, b.bridge, b.bridge)
	}
	return fmt.Sprintf("! -s %s -o %s -j DROP", b.subnet, b.bridge), fmt.Sprintf("! -d %s -i %s -j DROP", b.subnet, b.bridge)
}

// loopback is what the rule for this host's own packets leaves to docker-proxy.
func loopback(family snap.Family) string {
	if family == snap.IPv6 {
		return "::1/128"
	}
	return "127.0.0.0/8"
}

// publishedPort is a published port with where it leads.
type publishedPort struct {
	c    *snap.Container
	port *snap.Port
	ip   netip.Addr
	net  *snap.Network
	mode string
}

// publishedPorts are those of an engine's running containers in one family, each
// once, in the order in which they were made. Ports of [::] make no rule for
// IPv4. A routed network's have no port on the host.
func publishedPorts(s *snap.Snapshot, e *snap.Engine, family snap.Family) []publishedPort {
	var out []publishedPort
	seen := map[string]bool{}
	for i := range s.Containers {
		c := &s.Containers[i]
		if c.Engine != e.Name || !c.Running() || strings.HasPrefix(c.NetworkMode, "host") {
			continue
		}
		ep, n := PublishedOn(s, c, nil)
		if ep == nil {
			continue
		}
		ip := ep.IPv4.Addr()
		if family == snap.IPv6 {
			ip = ep.IPv6.Addr()
		}
		mode := gatewayMode(n, family)
		for j := range c.Ports {
			p := &c.Ports[j]
			if !ip.IsValid() || p.HostPort == 0 && mode != "routed" || (p.HostIP.Is6() && !p.HostIP.Is4In6()) != (family == snap.IPv6) {
				continue
			}
			key := fmt.Sprintf("%s|%s|%d|%d|%v", c.Ref, p.Proto, p.HostPort, p.ContainerPort, hostIP(p))
			if !seen[key] {
				seen[key] = true
				out = append(out, publishedPort{c, p, ip, n, mode})
			}
		}
	}
	snap.Sort(out, func(a, b publishedPort) int {
		return cmp.Or(a.c.Started.Compare(b.c.Started), cmp.Compare(a.port.ContainerPort, b.port.ContainerPort), cmp.Compare(a.port.HostPort, b.port.HostPort))
	})
	return out
}

// match is how a rule names the container's port, or this host's.
func (p *publishedPort) match(port uint16) string {
	return fmt.Sprintf("-p %s -m %s --dport %d", p.port.Proto, p.port.Proto, port)
}

// dnat leads a port of this host to the container.
func (p *publishedPort) dnat(proxy bool, head string) Rule {
	if h := hostIP(p.port); h.IsValid() {
		head += "-d " + one(h) + " "
	}
	if proxy {
		head += "! -i " + p.net.Bridge + " "
	}
	return p.rule("nat", "DOCKER", fmt.Sprintf("%s%s -j DNAT --to-destination %s", head, p.match(p.port.HostPort), netip.AddrPortFrom(p.ip, p.port.ContainerPort)),
		fmt.Sprintf("port %d goes to %s", p.port.HostPort, p.c.Name))
}

// accept lets in what goes to the container's port.
func (p *publishedPort) accept() Rule {
	return p.rule("filter", "DOCKER", fmt.Sprintf("-d %s ! -i %s -o %s %s -j ACCEPT", one(p.ip), p.net.Bridge, p.net.Bridge, p.match(p.port.ContainerPort)),
		fmt.Sprintf("port %d of %s is let in", p.port.ContainerPort, p.c.Name))
}

// hairpin gives the container's own packets to its published port another source.
func (p *publishedPort) hairpin() Rule {
	return p.rule("nat", "POSTROUTING", fmt.Sprintf("-s %s -d %s %s -j MASQUERADE", one(p.ip), one(p.ip), p.match(p.port.ContainerPort)), p.c.Name+" to its own published port")
}

func (p *publishedPort) rule(table, chain, text, why string) Rule {
	return Rule{Table: table, Chain: chain, Text: "-A " + chain + " " + text, For: why, Network: p.net.Ref, Container: p.c.Ref, Port: p.port}
}

// once adds a rule that is not there yet: ports of two addresses of this host
// may lead to one of the container's.
func (set *Set) once(r Rule) {
	if !slices.ContainsFunc(set.Rules, func(x Rule) bool { return x.Table == r.Table && x.Chain == r.Chain && x.Text == r.Text }) {
		set.Rules = append(set.Rules, r)
	}
}

// one is an address as iptables-save prints it.
func one(a netip.Addr) string { return netip.PrefixFrom(a, a.BitLen()).String() }
