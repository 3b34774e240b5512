package mutate

import (
	"fmt"
	"strings"
)

// nftTable adds a table of somebody else's, in any family and at any hook.
func nftTable(g *gen) (Mutation, bool) {
	t := g.target()
	ns, dev := g.host, t.bridge.Name
	if g.chance(15) {
		ns, dev = t.ns, t.eth.Name
	}
	family := pick(g, "ip", "ip", "inet", "inet", "inet", "bridge", "bridge", "netdev", "arp")
	if ns != g.host && family == "bridge" {
		family = "inet"
	}
	name := fmt.Sprintf("%s_%d", pick(g, "hardening", "corp", "site", "guard", "acl"), g.r.IntN(1000))
	hook, typ := pick(g, "prerouting", "input", "forward", "output", "postrouting", "forward"), "filter"
	prio := pick(g, "-300", "-150", "-1", "0", "10", "300")
	match := g.nftMatch(t, family, dev)
	verdict := pick(g, "drop", "drop", "counter drop", "accept", "return", "log drop")
	switch family {
	case "netdev":
		on := pick(g, dev, t.veth.Name, t.bridge.Name)
		if ns != g.host {
			on = dev
		}
		hook = pick(g, "ingress", "ingress", "egress") + " device " + on
	case "arp":
		hook = pick(g, "input", "output")
	case "ip", "inet":
		if strings.Contains("prerouting output", hook) && g.chance(30) {
			typ, prio = "nat", "-110"
			to := pick(g, "203.0.113.9", g.other(t).ep.IPv4.Addr().String())
			verdict = "dnat ip to " + to
			if family == "ip" {
				verdict = "dnat to " + to
			}
			match = fmt.Sprintf("ip daddr %s tcp dport %d", pick(g, "198.51.100.20", t.ep.IPv4.Addr().String()), pick(g, 80, 443))
		} else if hook != "prerouting" && g.chance(25) {
			verdict = pick(g, "reject", "reject with icmp type admin-prohibited", "reject with tcp reset")
			if strings.Contains(verdict, "tcp") {
				match = "meta l4proto tcp " + match
			}
			if hook == "postrouting" {
				verdict = "drop"
			}
		}
	}
	policy := "accept"
	if typ == "filter" && g.chance(12) {
		policy, verdict = "drop", "accept"
	}
	chain := strings.Fields(hook)[0]
	lines := []string{
		fmt.Sprintf("nft add table %s %s", family, name),
		fmt.Sprintf("nft add chain %s %s %s '{ type %s hook %s priority %s; policy %s; }'", family, name, chain, typ, hook, prio, policy),
	}
	rule := strings.TrimSpace(match + " " + verdict)
	switch {
	case g.chance(20):
		lines = append(lines,
			fmt.Sprintf("nft add chain %s %s deep", family, name),
			fmt.Sprintf("nft add rule %s %s deep %s", family, name, rule),
			fmt.Sprintf("nft add rule %s %s %s jump deep", family, name, chain))
	case family == "ip" && typ == "filter" && g.chance(30):
		lines = append(lines,
			fmt.Sprintf("nft add set %s %s blocked '{ type ipv4_addr; flags interval; elements = { %s, 203.0.113.0/24 } }'", family, name, pick(g, t.ep.IPv4.Addr().String(), "198.51.100.20", "198.51.100.0/24")),
			fmt.Sprintf("nft add rule %s %s %s ip %s @blocked %s", family, name, chain, pick(g, "saddr", "daddr"), verdict))
	default:
		lines = append(lines, fmt.Sprintf("nft add rule %s %s %s %s", family, name, chain, rule))
	}
	return Mutation{
		Kind: fmt.Sprintf("nft %s %s %s", family, chain, typ), Netns: ns.ID, Do: strings.Join(lines, "\n"),
		Undo: fmt.Sprintf("nft delete table %s %s", family, name), Place: words([]string{name}),
	}, true
}

func (g *gen) nftMatch(t target, family, dev string) string {
	if family == "arp" {
		return pick(g, "arp operation request", "arp operation reply", "arp saddr ip "+t.ep.IPv4.Addr().String(), "")
	}
	if g.chance(6) {
		return ""
	}
	addr := pick(g, t.ep.IPv4.Addr().String(), t.ep.IPv4.Masked().String(), "198.51.100.0/24", "198.51.100.20", "{ 198.51.100.53, 198.51.100.20 }")
	list := []string{
		"ip saddr " + addr, "ip daddr " + addr, "tcp dport { 80, 5432 }", "udp dport 53", "meta l4proto icmp", "tcp flags syn", "ip protocol tcp ip length 1000-2000",
	}
	if family != "netdev" {
		list = append(list, fmt.Sprintf("iifname %q", dev), fmt.Sprintf("oifname %q", dev), fmt.Sprintf("iifname != %q", dev), "ct state new", "ct state established", "ct state invalid", "meta mark 0x40", fmt.Sprintf("iifname %q", t.veth.Name))
	}
	if family == "bridge" || family == "netdev" {
		list = append(list, "ether type arp", "ether type ip", "ether saddr "+t.eth.MAC, "ether daddr "+t.eth.MAC)
	}
	m := pick(g, list...)
	if g.chance(30) && !strings.Contains(m, "ether type") {
		m += " " + pick(g, "ip saddr "+t.ep.IPv4.Addr().String(), "ip daddr 198.51.100.20", "meta l4proto tcp")
	}
	return strings.ReplaceAll(m, `"`, `\"`)
}
