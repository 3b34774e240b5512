package firewall

import (
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Builtin is a chain that iptables, ebtables or arptables make themselves.
type builtin struct {
	table, chain, hook, typ string
	prio                    int32
}

// Priorities of include/uapi/linux/netfilter_ipv4.h and _bridge.h.
var (
	ipBuiltins = []builtin{
		{"raw", "PREROUTING", "prerouting", "filter", -300},
		{"raw", "OUTPUT", "output", "filter", -300},
		{"mangle", "PREROUTING", "prerouting", "filter", -150},
		{"mangle", "INPUT", "input", "filter", -150},
		{"mangle", "FORWARD", "forward", "filter", -150},
		{"mangle", "OUTPUT", "output", "route", -150},
		{"mangle", "POSTROUTING", "postrouting", "filter", -150},
		{"nat", "PREROUTING", "prerouting", "nat", -100},
		{"nat", "INPUT", "input", "nat", 100},
		{"nat", "OUTPUT", "output", "nat", -100},
		{"nat", "POSTROUTING", "postrouting", "nat", 100},
		{"filter", "INPUT", "input", "filter", 0},
		{"filter", "FORWARD", "forward", "filter", 0},
		{"filter", "OUTPUT", "output", "filter", 0},
		{"security", "INPUT", "input", "filter", 50},
		{"security", "FORWARD", "forward", "filter", 50},
		{"security", "OUTPUT", "output", "filter", 50},
	}
	bridgeBuiltins = []builtin{
		{"filter", "INPUT", "input", "filter", -200},
		{"filter", "FORWARD", "forward", "filter", -200},
		{"filter", "OUTPUT", "output", "filter", -200},
		{"nat", "PREROUTING", "prerouting", "filter", -300},
		{"nat", "OUTPUT", "output", "filter", 100},
		{"nat", "POSTROUTING", "postrouting", "filter", 300},
		{"broute", "BROUTING", "prerouting", "filter", -2147483648},
	}
	arpBuiltins = []builtin{
		{"filter", "INPUT", "input", "filter", 0},
		{"filter", "OUTPUT", "output", "filter", 0},
	}
)

// builtins are the chains that the family's own tool makes, and that tool.
func builtins(f snap.Family) ([]builtin, snap.System) {
	switch f {
	case snap.IPv4, snap.IPv6:
		return ipBuiltins, snap.IPTablesNFT
	case snap.BridgeFamily:
		return bridgeBuiltins, snap.EBTablesNFT
	case snap.ARP:
		return arpBuiltins, snap.ARPTablesNFT
	}
	return nil, snap.NFT
}

// Classify says who wrote a table of nf_tables: iptables-nft, ebtables-nft or
// arptables-nft when its name and all its base chains are theirs, with their
// hooks, types and priorities. That is also how those tools decide whether a
// table is theirs (iptables: nft.c, nft_is_table_compatible). A table of
// theirs with no base chain, which is what a lone user chain gives, is told by
// its rules; one that has none yet is theirs, as they would take it for it.
func Classify(t *snap.Table) snap.System {
	list, sys := builtins(t.Family)
	named, base, compat, rules := false, false, false, 0
	for _, b := range list {
		named = named || b.table == t.Name
	}
	if !named {
		return snap.NFT
	}
	for i := range t.Chains {
		c := &t.Chains[i]
		rules += len(c.Rules)
		for j := range c.Rules {
			compat = compat || c.Rules[j].Compat != nil || hasXt(c.Rules[j].Exprs)
		}
		if !c.Base() {
			continue
		}
		base = true
		if !ownChain(list, t.Name, c) {
			return snap.NFT
		}
	}
	if !base && !compat && (rules > 0 || len(t.Chains) == 0) {
		return snap.NFT
	}
	return sys
}

func ownChain(list []builtin, table string, c *snap.Chain) bool {
	for _, b := range list {
		if b.table == table && b.chain == c.Name {
			return b.hook == c.Hook && b.typ == c.Type && (b.prio == c.Priority || b.table == "broute")
		}
	}
	return false
}

func hasXt(x snap.Exprs) bool {
	for _, e := range x {
		if _, ok := e.(*snap.Xt); ok {
			return true
		}
	}
	return false
}
