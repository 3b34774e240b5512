package firewall

import (
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestClassify: tables without a base chain, as iptables itself would take them.
func TestClassify(t *testing.T) {
	t.Parallel()
	rule := []snap.Rule{{Exprs: snap.Exprs{&snap.Immediate{Verdict: &snap.Verdict{Code: "drop"}}}}}
	for _, c := range []struct {
		name  string
		table snap.Table
		want  snap.System
	}{
		{"a chain that iptables -N has just made", snap.Table{Family: snap.IPv4, Name: "filter", Chains: []snap.Chain{{Name: "DOCKER"}}}, snap.IPTablesNFT},
		{"a rule that nft wrote", snap.Table{Family: snap.IPv4, Name: "filter", Chains: []snap.Chain{{Name: "mine", Rules: rule}}}, snap.NFT},
		{"nothing in it", snap.Table{Family: snap.IPv4, Name: "filter"}, snap.NFT},
		{"another name", snap.Table{Family: snap.IPv4, Name: "mine", Chains: []snap.Chain{{Name: "DOCKER"}}}, snap.NFT},
		{"a base chain of its own", snap.Table{Family: snap.IPv4, Name: "filter", Chains: []snap.Chain{{Name: "fwd", Hook: "forward", Type: "filter"}}}, snap.NFT},
		{"both families at once", snap.Table{Family: snap.Inet, Name: "filter", Chains: []snap.Chain{{Name: "DOCKER"}}}, snap.NFT},
	} {
		if got := Classify(&c.table); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
