package rules

import "github.com/netdoctor/netdoctor/inspect/snap"

// table is a compiled table.
type table struct {
	src    *snap.Table
	chains []*chain
}

// chain is a compiled chain.
type chain struct {
	src   *snap.Chain
	table *table
}

func compileTable(src *snap.Table) *table {
	t := &table{src: src}
	for i := range src.Chains {
		t.chains = append(t.chains, &chain{src: &src.Chains[i], table: t})
	}
	return t
}

// Run takes the packet through the chain and gives every way it can leave it.
// There is always at least one.
func (b *BaseChain) Run(pkt Packet, env Env) []Branch {
	return []Branch{{Verdict: "unknown", Packet: pkt, Unknown: "rules are not evaluated"}}
}
