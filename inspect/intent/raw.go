package intent

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// rawRule is a rule of the raw table: with it Docker keeps the host's neighbours
// from container addresses and from ports that are published on loopback only.
// Nothing that must work hangs on one, and many take them away on purpose, so
// that one that is missing is no fault; where all was flushed it comes back.
func rawRule(table, chain, text, why string, n *snap.Network, c *snap.Container) Rule {
	r := Rule{Table: table, Chain: chain, Text: text, For: why, Container: c.Ref, Append: true, Optional: true}
	if n != nil {
		r.Network = n.Ref
	}
	return r
}

// docker28Raw are the rules of the raw table (moby
// drivers/bridge/internal/iptabler/endpoint.go:filterDirectAccess). Until 28.1
// there is one for each published port (port_mapping_linux.go at v28.0.0), from
// 28.2 on one for each address, unless the daemon allows direct routing.
func docker28Raw(s *snap.Snapshot, e *snap.Engine, set *Set) {
	if !e.Fences {
		return
	}
	perPort := before(e.Version, 28, 2)
	for _, x := range fenced(s, e, set.Family) {
		switch br := x.net.Bridge; {
		case perPort:
			for i := range x.c.Ports {
				if p := &x.c.Ports[i]; x.gateway && p.HostPort != 0 && (x.alone || p.HostIP.Unmap().Is6() == x.ip.Is6()) {
					set.once(rawRule("raw", "PREROUTING", fmt.Sprintf("-A PREROUTING -d %s ! -i %s -p %s -m %s --dport %d -j DROP", one(x.ip), br, p.Proto, p.Proto, p.ContainerPort),
						fmt.Sprintf("port %d of %s is reached through its published port only", p.ContainerPort, x.c.Name), x.net, x.c))
				}
			}
		case !e.DirectRouting:
			for _, dev := range trusted(x.net) {
				set.once(rawRule("raw", "PREROUTING", fmt.Sprintf("-A PREROUTING -d %s -i %s -j ACCEPT", one(x.ip), dev), dev+" may reach "+x.c.Name+" directly", x.net, x.c))
			}
			set.once(rawRule("raw", "PREROUTING", fmt.Sprintf("-A PREROUTING -d %s ! -i %s -j DROP", one(x.ip), br), x.c.Name+" is reached through its published ports only", x.net, x.c))
		}
	}
	for _, p := range loopbackPorts(s, e, set.Family) {
		set.once(rawRule("raw", "PREROUTING", fmt.Sprintf("-A PREROUTING -d %s ! -i lo %s -j DROP", one(hostIP(p.port)), p.match(p.port.HostPort)),
			fmt.Sprintf("port %d of loopback is this host's only", p.port.HostPort), p.net, p.c))
	}
}

// dockerNFTRaw are the same of the nftables backend (nftabler/endpoint.go, port.go),
// which heeds no variable.
func dockerNFTRaw(s *snap.Snapshot, e *snap.Engine, set *Set) {
	const chain = "raw-PREROUTING"
	if !e.Fences {
		return
	}
	set.Chains = append(set.Chains, Chain{Table: dockerTable, Name: chain, Hook: "prerouting", Type: "filter", Priority: -300})
	for _, x := range fenced(s, e, set.Family) {
		if text := directAccess(s, set, &x); text != "" && !e.DirectRouting {
			set.once(rawRule(dockerTable, chain, text, x.c.Name+" is reached through its published ports only", x.net, x.c))
		}
	}
	for _, p := range loopbackPorts(s, e, set.Family) {
		set.once(rawRule(dockerTable, chain, fmt.Sprintf(`iifname != "lo" ip daddr %s %s dport %d counter drop comment "DROP REMOTE LOOPBACK"`, hostIP(p.port), p.port.Proto, p.port.HostPort),
			fmt.Sprintf("port %d of loopback is this host's only", p.port.HostPort), p.net, p.c))
	}
}

// directAccess is the rule that keeps others than the bridge, and the devices that the
// network trusts, from a container's address. With such devices it holds a set, which
// the kernel lists in an order of its own: the one that is there is taken as it is,
// and "" when there is none.
func directAccess(s *snap.Snapshot, set *Set, x *fencedAddr) string {
	head := fmt.Sprintf(`%s daddr %s iifname != `, set.Family.NFT(), x.ip)
	const tail = ` counter drop comment "DROP DIRECT ACCESS"`
	names := trusted(x.net)
	if len(names) == 0 {
		return head + strconv.Quote(x.net.Bridge) + tail
	}
	names = append(names, x.net.Bridge)
	host := s.HostNs()
	if host == nil {
		return ""
	}
	t := host.Ruleset.Table(snap.NFT, set.Family, dockerTable)
	if t == nil || t.Chain("raw-PREROUTING") == nil {
		return ""
	}
	c := t.Chain("raw-PREROUTING")
	for i := range c.Rules {
		text := firewall.RuleText(host, t, c, &c.Rules[i])
		devs, whole := strings.CutSuffix(strings.TrimPrefix(text, head+"{ "), " }"+tail)
		if list := strings.Split(devs, ", "); whole && len(list) == len(names) && !slices.ContainsFunc(names, func(n string) bool { return !slices.Contains(list, strconv.Quote(n)) }) {
			return text
		}
	}
	return ""
}

// fencedAddr is an address of a running container in a network whose containers
// are to be reached by this host's published ports.
type fencedAddr struct {
	c   *snap.Container
	net *snap.Network
	ip  netip.Addr
	// gateway says that the container's ports are published by this network, alone
	// that it has no address of the other family there.
	gateway, alone bool
}

func fenced(s *snap.Snapshot, e *snap.Engine, family snap.Family) []fencedAddr {
	var out []fencedAddr
	for i := range s.Containers {
		c := &s.Containers[i]
		if c.Engine != e.Name || !c.Running() || strings.HasPrefix(c.NetworkMode, "host") {
			continue
		}
		by, _ := PublishedOn(s, c)
		for j := range c.Endpoints {
			ep := &c.Endpoints[j]
			ip, other := ep.IPv4.Addr(), ep.IPv6.Addr()
			if family == snap.IPv6 {
				ip, other = other, ip
			}
			n := s.NetworkOf(e.Name, ep)
			if n != nil && n.Driver == "bridge" && n.Bridge != "" && !n.Internal && ip.IsValid() && gatewayMode(n, family) == "nat" {
				out = append(out, fencedAddr{c: c, net: n, ip: ip, gateway: ep == by, alone: !other.IsValid()})
			}
		}
	}
	snap.Sort(out, func(a, b fencedAddr) int { return a.c.Started.Compare(b.c.Started) })
	return out
}

// loopbackPorts are those published on an IPv4 loopback address.
func loopbackPorts(s *snap.Snapshot, e *snap.Engine, family snap.Family) []publishedPort {
	if family == snap.IPv6 {
		return nil // ::1 is never routed
	}
	return snap.Without(publishedPorts(s, e, family), func(p publishedPort) bool {
		return p.port.HostPort == 0 || p.mode == "routed" || !hostIP(p.port).IsLoopback()
	})
}

// trusted are the host's devices whose neighbours may reach the containers.
func trusted(n *snap.Network) []string {
	return strings.FieldsFunc(n.Options["com.docker.network.bridge.trusted_host_interfaces"], func(r rune) bool { return r == ':' })
}

// before says whether a version is older than major.minor.
func before(version string, major, minor int) bool {
	a, rest, _ := strings.Cut(version, ".")
	b, _, _ := strings.Cut(rest, ".")
	x, err := strconv.Atoi(a)
	y, err2 := strconv.Atoi(b)
	return err == nil && err2 == nil && cmp.Or(cmp.Compare(x, major), cmp.Compare(y, minor)) < 0
}
