package intent

import (
	"cmp"
	"fmt"
	"net/netip"

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
