package intent

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// varkTable is the table of netavark's nftables driver, for both families.
const varkTable = "netavark"

// netavarkNFT is what netavark's nftables driver writes, from 1.10 on, for
// networks with running containers (netavark src/firewall/nft.rs).
func netavarkNFT(s *snap.Snapshot, e *snap.Engine) Set {
	set := varkSet{Set: Set{Engine: e.Name, System: snap.NFT, Family: snap.Inet}}
	if host := s.HostNs(); host != nil {
		set.host, set.have = host, host.Ruleset.Table(snap.NFT, snap.Inet, varkTable)
	}
	strict := false
	for _, family := range []snap.Family{snap.IPv4, snap.IPv6} {
		for _, b := range bridges(s, e.Name, family) {
			_, running := varkPorts(s, b.n, family)
			strict = strict || running && varkIsolated(b.n) == varkApart3
		}
	}
	for _, family := range []snap.Family{snap.IPv4, snap.IPv6} {
		for _, b := range bridges(s, e.Name, family) {
			ports, running := varkPorts(s, b.n, family)
			if running && b.n.Masquerade && !b.n.Internal {
				set.network(b, family)
				set.ports(b, family, ports)
				set.filter(b, family, strict)
			}
		}
	}
	set.closing(strict)
	return set.Set
}

// varkSet is the set in the making.
type varkSet struct {
	Set
	host *snap.Netns
	have *snap.Table   // nil when it is gone
	last *snap.Network // of those that rules keep apart or close to these; nil for none
}

// one is the text of a rule that releases write differently: the one that is there.
func (v *varkSet) one(chain string, texts ...string) string {
	if v.have != nil {
		if c := v.have.Chain(chain); c != nil {
			for i := range c.Rules {
				if t := firewall.RuleText(v.host, v.have, c, &c.Rules[i]); slices.Contains(texts, t) {
					return t
				}
			}
		}
	}
	return texts[0]
}

func (v *varkSet) chain(c Chain) {
	c.Table = varkTable
	if !slices.ContainsFunc(v.Chains, func(o Chain) bool { return o.Name == c.Name }) {
		v.Chains = append(v.Chains, c)
	}
}

// rule appends a wanted rule. One that is lost belongs before those that were
// written behind it: where an address is translated nothing behind is looked at.
func (v *varkSet) rule(chain, text, why string, n *snap.Network) *Rule {
	v.Rules = append(v.Rules, Rule{Table: varkTable, Chain: chain, Text: text, For: why, Network: n.Ref})
	return &v.Rules[len(v.Rules)-1]
}

// frame is what is made once.
func (v *varkSet) frame(n *snap.Network) {
	if len(v.Chains) > 0 {
		return
	}
	v.chain(Chain{Name: "POSTROUTING", Hook: "postrouting", Type: "nat", Priority: 100})
	v.chain(Chain{Name: "PREROUTING", Hook: "prerouting", Type: "nat", Priority: -100})
	v.chain(Chain{Name: "OUTPUT", Hook: "output", Type: "nat", Priority: -100})
	v.chain(Chain{Name: varkDNAT})
	v.chain(Chain{Name: varkSetMark})
	v.rule("POSTROUTING", "meta mark & 0x00002000 == 0x00002000 masquerade", "masquerades what is marked", n)
	v.rule(varkSetMark, "meta mark set meta mark | 0x00002000", "marks what must be masqueraded", n)
	const local = "fib daddr type local jump " + varkDNAT
	v.rule("PREROUTING", local, "published ports, from outside", n)
	v.rule("OUTPUT", local, "published ports, from this host", n)
}

// varkChain is the chain of a network's subnet.
func varkChain(b bridgeNet) string {
	id := b.n.ID
	if len(id) > 8 {
		id = id[:8]
	}
	return "nv_" + id + "_" + strings.NewReplacer(".", "_", ":", "-", "/", "_nm").Replace(b.subnet.String())
}

// network has what leaves a network masqueraded.
func (v *varkSet) network(b bridgeNet, family snap.Family) {
	v.frame(b.n)
	word, chain := family.NFT(), varkChain(b)
	v.chain(Chain{Name: chain})
	leave, source := "masquerade", "outbound_addr4"
	if family == snap.IPv6 {
		source = "outbound_addr6"
	}
	if a, err := netip.ParseAddr(b.n.Options[source]); err == nil {
		leave = "snat " + word + " to " + a.String()
	}
	not := []string{"ip daddr != 224.0.0.0/4 "}
	if family == snap.IPv6 { // it was mistyped for long
		not = []string{"ip6 daddr != ff00::/8 ", "ip6 daddr != ::/8 "}
	}
	for i := range not {
		not[i] += leave
	}
	v.rule(chain, fmt.Sprintf("%s daddr %s accept", word, b.subnet), b.n.Name+" keeps its addresses inside", b.n)
	v.rule(chain, v.one(chain, not...), b.n.Name+" leaves with this host's address", b.n)
	v.rule("POSTROUTING", fmt.Sprintf("%s saddr %s jump %s", word, b.subnet, chain), b.n.Name+" leaves with this host's address", b.n)
}

// ports leads a network's published ports to their containers.
func (v *varkSet) ports(b bridgeNet, family snap.Family, ports []varkPort) {
	word, dn := family.NFT(), varkChain(b)+"_dnat"
	if len(ports) > 0 {
		v.chain(Chain{Name: dn})
	}
	for _, run := range varkRanges(ports) {
		x, match, to := run[0], fmt.Sprintf("%s dport %d", run[0].p.Proto, run[0].p.HostPort), ""
		if len(run) > 1 {
			match += fmt.Sprintf("-%d", run[len(run)-1].p.HostPort)
		}
		if h := hostIP(x.p); h.IsValid() {
			to = word + " daddr " + h.String() + " "
		}
		rule := func(x varkPort, chain string, texts ...string) {
			r := v.rule(chain, v.one(chain, texts...), fmt.Sprintf("port %d goes to %s", x.p.HostPort, x.c.Name), b.n)
			r.Container, r.Port = x.c.Ref, x.p
		}
		rule(x, varkDNAT, to+match+" jump "+dn, match+" jump "+dn) // without the address before 1.14
		rule(x, dn, fmt.Sprintf("%s saddr %s %s%s jump %s", word, b.subnet, to, match, varkSetMark))
		if family == snap.IPv4 {
			rule(x, dn, "ip saddr 127.0.0.1 "+to+match+" jump "+varkSetMark)
		}
		for _, x := range run {
			match, dnat := fmt.Sprintf("%s%s dport %d ", to, x.p.Proto, x.p.HostPort), fmt.Sprintf("dnat %s to %s", word, netip.AddrPortFrom(x.addr, x.p.ContainerPort))
			rule(x, dn, match+dnat, match+"ct mark set meta mark | 0x00001000 "+dnat) // from 2.1 on, for those that are kept apart
		}
	}
}

// varkRanges puts ports together that Podman hands over as one: neighbours on this
// host and in the container (podman pkg/specgen/generate/ports.go:
// joinTwoPortsToRangePortIfPossible).
func varkRanges(ports []varkPort) [][]varkPort {
	ports = slices.Clone(ports)
	snap.Sort(ports, func(a, b varkPort) int {
		return cmp.Or(cmp.Compare(a.c.Ref, b.c.Ref), cmp.Compare(a.p.Proto, b.p.Proto), a.p.HostIP.Compare(b.p.HostIP), cmp.Compare(a.p.HostPort, b.p.HostPort))
	})
	var out [][]varkPort
	for i, x := range ports {
		if i > 0 {
			if y := ports[i-1]; y.c == x.c && y.p.Proto == x.p.Proto && y.p.HostIP == x.p.HostIP && y.p.HostPort+1 == x.p.HostPort && y.p.ContainerPort+1 == x.p.ContainerPort {
				out[len(out)-1] = append(out[len(out)-1], x)
				continue
			}
		}
		out = append(out, []varkPort{x})
	}
	return out
}

// varkDriver is the driver by which netavark writes rules: as it noted down itself
// from 1.9 on, else by what is there; "" when that tells nothing. What another
// driver has left behind since the last start does not count.
func varkDriver(s *snap.Snapshot, e *snap.Engine) string {
	there := ""
	if host := s.HostNs(); host != nil && host.Ruleset.Table(snap.NFT, snap.Inet, varkTable) != nil {
		there = "netavark-nft"
	}
	if _, ok := varkSystem(s); ok {
		there = "netavark-iptables"
	}
	return cmp.Or(e.Rules, there)
}
