package intent

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// PublishedOn is the endpoint and network of a container that carries its
// published ports: the one that its default route uses, for Docker the first
// that is not internal in the order of the gateway's choice; nil when there is
// none.
func PublishedOn(s *snap.Snapshot, c *snap.Container) (*snap.Endpoint, *snap.Network) {
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
		ep, n := PublishedOn(s, c)
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

// hostIP is the host address that a DNAT rule names; invalid for all addresses.
func hostIP(p *snap.Port) netip.Addr {
	if !p.HostIP.IsValid() || p.HostIP.IsUnspecified() {
		return netip.Addr{}
	}
	return p.HostIP.Unmap()
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
