package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// fixEmbeddedNAT makes the rules that lead 127.0.0.11:53 to the daemon's two
// sockets what they should be (moby daemon/libnetwork/resolver_unix.go): rules
// of the resolver's own chains that say otherwise go, missing ones come back.
func fixEmbeddedNAT(in *diag.Input, f *diag.Finding) []fixups.Op {
	if len(f.Covers.Names) == 0 {
		return nil
	}
	ns := in.Netns(in.Names[f.Covers.Names[0]].Ask.Netns)
	if ns == nil {
		return nil
	}
	if _, ops := takenBefore(in, ns.ID); len(ops) > 0 {
		return ops
	}
	ports := resolverPorts(ns)
	if ports[snap.UDP] == 0 || ports[snap.TCP] == 0 {
		return nil
	}
	w := at(in, ns.ID)
	if in.Snap.NFTResolver(ns) {
		return embeddedNFT(in, ns, w, ports)
	}
	sys := embeddedSystem(in, ns)
	t := ns.Ruleset.Table(sys, snap.IPv4, "nat")
	var ops []fixups.Op
	for _, x := range []struct{ hook, chain string }{{"OUTPUT", "DOCKER_OUTPUT"}, {"POSTROUTING", "DOCKER_POSTROUTING"}} {
		own := fixups.ChainRef{Where: w, System: sys, Family: snap.IPv4, Table: "nat", Chain: x.chain}
		top := own
		top.Chain = x.hook
		var want []string
		for _, p := range []snap.Proto{snap.TCP, snap.UDP} {
			if x.hook == "OUTPUT" {
				want = append(want, fmt.Sprintf("-d 127.0.0.11/32 -p %s -m %s --dport 53 -j DNAT --to-destination 127.0.0.11:%d", p, p, ports[p]))
			} else {
				want = append(want, fmt.Sprintf("-s 127.0.0.11/32 -p %s -m %s --sport %d -j SNAT --to-source :53", p, p, ports[p]))
			}
		}
		if t == nil || t.Chain(x.chain) == nil {
			if t == nil && sys == snap.IPTablesNFT && len(ops) == 0 {
				ops = append(ops, &fixups.TableAdd{ChainRef: own})
			}
			ops = append(ops, &fixups.ChainAdd{ChainRef: own})
		}
		ops = append(ops, only(in, ns, t, own, want)...)
		jump := "-d 127.0.0.11/32 -j " + x.chain
		if !has(ns, t, x.hook, jump) {
			ops = append(ops, &fixups.RuleInsert{ChainRef: top, Position: 1, Args: strings.Fields(jump)})
		}
	}
	return ops
}

// takenBefore is the rule of a container's nat OUTPUT that takes the questions to the
// embedded resolver before the engine's jump is asked, and what takes it away; nil
// when there is none without which they would be answered.
func takenBefore(in *diag.Input, netns string) (*rules.Place, []fixups.Op) {
	ns := in.Netns(netns)
	if ns == nil {
		return nil, nil
	}
	t := ns.Ruleset.Table(embeddedSystem(in, ns), snap.IPv4, "nat")
	if t == nil || t.Chain("OUTPUT") == nil || !has(ns, t, "OUTPUT", "-d 127.0.0.11/32 -j DOCKER_OUTPUT") {
		return nil, nil
	}
	c := t.Chain("OUTPUT")
	for k := range c.Rules {
		if slices.ContainsFunc(c.Rules[k].Exprs, func(e snap.Expr) bool {
			x, ok := e.(*snap.Immediate)
			return ok && x.Verdict != nil && x.Verdict.Chain == "DOCKER_OUTPUT"
		}) {
			break
		}
		op := deleteRule(in, netns, t.System, t.Family, t.Name, c.Name, k+1)
		if op == nil {
			continue
		}
		if ops := []fixups.Op{op}; len(mends(in, ops).Names) > 0 {
			return placeOf(ns, snap.RefRule(netns, t, c.Name, k+1)), ops
		}
	}
	return nil, nil
}

// resolverPorts are the ports of the daemon's sockets in a container's namespace.
func resolverPorts(ns *snap.Netns) map[snap.Proto]uint16 {
	ports := map[snap.Proto]uint16{}
	for i := range ns.Sockets {
		s := &ns.Sockets[i]
		if s.Local.Addr().Unmap() == snap.DockerResolver() && s.Local.Port() != 53 && (s.Process == nil || s.Process.Name == "dockerd") {
			ports[s.Proto] = s.Local.Port()
		}
	}
	return ports
}

// embeddedSystem is the iptables that the engine writes with: what has a nat
// table in the namespace already, else what holds its chains on the host.
func embeddedSystem(in *diag.Input, ns *snap.Netns) snap.System {
	host := in.Snap.HostNs()
	for _, n := range []*snap.Netns{ns, host} {
		for _, sys := range []snap.System{snap.IPTablesNFT, snap.IPTablesLegacy} {
			if n == nil {
				continue
			}
			if t := n.Ruleset.Table(sys, snap.IPv4, "nat"); t != nil && (n == ns || t.Chain("DOCKER") != nil) {
				return sys
			}
		}
	}
	return snap.IPTablesNFT
}

// only deletes the rules of a chain that are not wanted and appends the wanted
// ones that are missing.
func only(in *diag.Input, ns *snap.Netns, t *snap.Table, ref fixups.ChainRef, want []string) []fixups.Op {
	var ops []fixups.Op
	if t != nil && t.Chain(ref.Chain) != nil {
		c := t.Chain(ref.Chain)
		for k := len(c.Rules) - 1; k >= 0; k-- { // from the end, so that numbers stay right
			text := strings.TrimPrefix(firewall.RuleText(ns, t, c, &c.Rules[k]), "-A "+ref.Chain+" ")
			if !slices.Contains(want, text) {
				if op := deleteRule(in, ns.ID, ref.System, ref.Family, ref.Table, ref.Chain, k+1); op != nil {
					ops = append(ops, op)
				}
			}
		}
	}
	for _, text := range want {
		if !has(ns, t, ref.Chain, text) {
			op := &fixups.RuleInsert{ChainRef: ref, Text: text}
			if op.IPTables() {
				op.Text, op.Args = "", strings.Fields(text)
			}
			ops = append(ops, op)
		}
	}
	return ops
}

// has says whether a chain holds a rule of that text.
func has(ns *snap.Netns, t *snap.Table, chain, text string) bool {
	if t == nil || t.Chain(chain) == nil {
		return false
	}
	c := t.Chain(chain)
	for k := range c.Rules {
		if strings.TrimPrefix(firewall.RuleText(ns, t, c, &c.Rules[k]), "-A "+chain+" ") == text {
			return true
		}
	}
	return false
}

// embeddedNFT makes table docker-dns, and what is in it, what it should be.
func embeddedNFT(in *diag.Input, ns *snap.Netns, w fixups.Where, ports map[snap.Proto]uint16) []fixups.Op {
	ref := fixups.ChainRef{Where: w, System: snap.NFT, Family: snap.IPv4, Table: "docker-dns"}
	var ops []fixups.Op
	t := ns.Ruleset.Table(snap.NFT, snap.IPv4, "docker-dns")
	if t == nil {
		ops = append(ops, &fixups.TableAdd{ChainRef: ref})
	}
	for _, x := range []struct {
		chain, hook, text string
		priority          int32
	}{
		{"dns-dnat", "output", "ip daddr 127.0.0.11 %[1]s dport 53 counter dnat to 127.0.0.11:%[2]d", -100},
		{"dns-snat", "postrouting", "ip saddr 127.0.0.11 %[1]s sport %[2]d counter snat to :53", 100},
	} {
		ref.Chain = x.chain
		if t == nil || t.Chain(x.chain) == nil {
			ops = append(ops, &fixups.ChainAdd{ChainRef: ref, Hook: x.hook, Type: "nat", Priority: x.priority, Policy: "accept"})
		}
		ops = append(ops, only(in, ns, t, ref, []string{fmt.Sprintf(x.text, snap.UDP, ports[snap.UDP]), fmt.Sprintf(x.text, snap.TCP, ports[snap.TCP])})...)
	}
	return ops
}
