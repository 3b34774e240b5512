package fault

import (
	"fmt"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

func foreignTableDrops() Fault {
	return Fault{
		Name: "foreign-table-drops", Code: "ND3102", Title: "another program's nftables table drops what a network sends out", Suffers: "web -> 198.51.100.20:80",
		Break: func(s *snap.Snapshot, target string) ([]fixups.Op, error) {
			v, err := find(s, target)
			if err != nil {
				return nil, err
			}
			return hooked(v, "hardening", "forward", -10, fmt.Sprintf("iifname %q tcp dport 80 counter drop", v.bridge.Name)), nil
		},
	}
}

// hooked is a table of one chain with one rule.
func hooked(v *victim, table, hook string, priority int32, rule string) []fixups.Op {
	return hookedAs(v, "filter", table, hook, priority, rule)
}

// hookedAs is hooked for a chain of some type.
func hookedAs(v *victim, kind, table, hook string, priority int32, rule string) []fixups.Op {
	ref := fixups.ChainRef{Where: v.on(), System: snap.NFT, Family: snap.IPv4, Table: table}
	chain := ref
	chain.Chain = hook
	return []fixups.Op{
		&fixups.TableAdd{ChainRef: ref},
		&fixups.ChainAdd{ChainRef: chain, Hook: hook, Type: kind, Priority: priority, Policy: "accept"},
		&fixups.RuleInsert{ChainRef: chain, Text: rule},
	}
}
