package mutate

import (
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// hook is a built-in chain with what may be tested there.
type hook struct {
	table, chain string
	in, out      bool
}

var hooks = []hook{
	{"filter", "FORWARD", true, true},
	{"filter", "FORWARD", true, true},
	{"filter", "FORWARD", true, true},
	{"filter", "INPUT", true, false},
	{"filter", "OUTPUT", false, true},
	{"raw", "PREROUTING", true, false},
	{"raw", "OUTPUT", false, true},
	{"mangle", "PREROUTING", true, false},
	{"mangle", "FORWARD", true, true},
	{"mangle", "POSTROUTING", false, true},
	{"mangle", "INPUT", true, false},
	{"mangle", "OUTPUT", false, true},
	{"nat", "PREROUTING", true, false},
	{"nat", "OUTPUT", false, true},
	{"nat", "POSTROUTING", false, true},
}

// tool is the iptables of a namespace: iptables (nf_tables), or legacy.
func (g *gen) tool() string {
	if g.chance(20) {
		return "iptables-legacy"
	}
	return "iptables"
}

// iptablesAdded inserts or appends one rule of iptables.
func iptablesAdded(g *gen) (Mutation, bool) {
	t := g.target()
	ns, inside := g.host, false
	if g.chance(20) {
		ns, inside = t.ns, true
	}
	h := hooks[g.r.IntN(len(hooks))]
	if inside {
		for strings.Contains("FORWARD PREROUTING POSTROUTING", h.chain) {
			h = hooks[g.r.IntN(len(hooks))]
		}
	} else if h.chain == "FORWARD" && h.table == "filter" && g.chance(40) && hasChain(ns, "filter", "DOCKER-USER") {
		h.chain = "DOCKER-USER"
	}
	match, key := g.match(t, h, inside)
	target := g.verdict(t, h)
	tool := g.tool()
	if h.chain == "DOCKER-USER" {
		tool = "iptables"
	}
	rule := fmt.Sprintf("%s -t %s %%s %s%%s %s -j %s", tool, h.table, h.chain, match, target)
	do := fmt.Sprintf(rule, "-I", " 1")
	if g.chance(25) {
		do = fmt.Sprintf(rule, "-A", "")
	}
	place := append(append(g.who(ns), h.chain), key...)
	return Mutation{
		Kind:  fmt.Sprintf("%s added %s %s", tool, h.table, strings.Fields(target)[0]),
		Netns: ns.ID, Do: do, Undo: fmt.Sprintf(rule, "-D", ""), Place: words(append(place, strings.Fields(target)[0])),
	}, true
}

func hasChain(ns *snap.Netns, table, name string) bool {
	for i := range ns.Ruleset.Tables {
		t := &ns.Ruleset.Tables[i]
		for j := range t.Chains {
			if t.Family == snap.IPv4 && t.Name == table && t.Chains[j].Name == name {
				return true
			}
		}
	}
	return false
}

// match makes the tests of a rule, and what of them a finding has to repeat.
func (g *gen) match(t target, h hook, inside bool) (text string, key []string) {
	var parts []string
	add := func(format string, v string) { parts, key = append(parts, fmt.Sprintf(format, v)), append(key, v) }
	addr := pick(g, t.ep.IPv4.Addr().String(), t.ep.IPv4.Masked().String(), "198.51.100.0/24", "198.51.100.20", "198.51.100.53")
	switch g.r.IntN(4) {
	case 0:
		add("-s %s", addr)
	case 1:
		add("-d %s", addr)
	case 2:
		dev := t.bridge.Name
		if inside {
			dev = t.eth.Name
		}
		if h.in && (!h.out || g.chance(50)) {
			add("-i %s", dev)
		} else if h.out {
			add("-o %s", dev)
		}
	}
	switch g.r.IntN(8) {
	case 0, 1:
		port := uint16(80)
		if len(t.c.Ports) > 0 && g.chance(50) {
			port = t.c.Ports[0].HostPort
		}
		add("-p tcp --dport %s", fmt.Sprint(pick(g, port, 80, 5432, 443)))
	case 2:
		add("-p udp --dport %s", "53")
	case 3:
		add("-p %s", "icmp")
	case 4:
		add("-p %s", "tcp")
	case 5:
		if h.table != "raw" {
			add("-m conntrack --ctstate %s", pick(g, "NEW", "ESTABLISHED", "INVALID", "RELATED,ESTABLISHED"))
		}
	case 6:
		extra := pick(g, "-m length --length 1000:2000", "-m ttl --ttl-gt 62", "-m mark --mark 0x40", "-p tcp --syn", "-p tcp --sport 80", "-m pkttype --pkt-type multicast", "-m addrtype --dst-type LOCAL", "-p tcp -m multiport --dports 80,5432,8080", "-m mac --mac-source "+t.eth.MAC)
		if !strings.Contains(extra, "mac-source") || h.in {
			parts = append(parts, extra)
		}
	}
	if g.chance(15) {
		parts = append(parts, `-m comment --comment "corporate policy"`)
	}
	return strings.Join(parts, " "), key
}

// verdict makes a target that a chain takes.
func (g *gen) verdict(t target, h hook) string {
	gone := t.ep.IPv4.Masked().Addr()
	for range 77 {
		gone = gone.Next()
	}
	switch {
	case h.table == "nat" && h.chain == "POSTROUTING":
		return pick(g, "ACCEPT", "RETURN", "SNAT --to-source 203.0.113.7", "MASQUERADE", "ACCEPT")
	case h.table == "nat":
		return pick(g, "ACCEPT", "RETURN", "DNAT --to-destination "+gone.String(), "REDIRECT --to-ports 9", "DNAT --to-destination "+g.other(t).ep.IPv4.Addr().String())
	case h.table == "raw":
		return pick(g, "DROP", "DROP", "CT --notrack", "ACCEPT")
	case h.table == "mangle":
		return pick(g, "DROP", "DROP", "MARK --set-mark 0x40", "TTL --ttl-set 1", "ACCEPT", "DSCP --set-dscp 8")
	}
	if h.chain == "FORWARD" || h.chain == "INPUT" || h.chain == "DOCKER-USER" {
		return pick(g, "DROP", "DROP", "REJECT", "REJECT --reject-with icmp-net-prohibited", "RETURN", "ACCEPT", "LOG")
	}
	return pick(g, "DROP", "REJECT", "ACCEPT")
}
