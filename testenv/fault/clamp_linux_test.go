package fault_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestClampIsWhatNftWrites hands the kernel a rule that writes the size of segments, reads
// it back in nft's words, and takes it away again.
func TestClampIsWhatNftWrites(t *testing.T) {
	h := alone(t)
	if h == nil {
		return
	}
	s := h.read()
	was := s.HostNs().Ruleset.Tables
	const text = `oifname "eth0" tcp flags syn tcp option maxseg size set rt mtu`
	ref := fixups.ChainRef{Where: fixups.At(s, s.Host.Netns), System: snap.NFT, Family: snap.Inet, Table: "mss", Chain: "forward"}
	id := h.do(s,
		&fixups.TableAdd{ChainRef: ref},
		&fixups.ChainAdd{ChainRef: ref, Type: "filter", Hook: "forward", Priority: -150, Policy: "accept"},
		&fixups.RuleInsert{ChainRef: ref, Position: 1, Text: text})
	host := h.read().HostNs()
	table := host.Ruleset.Table(snap.NFT, snap.Inet, "mss")
	if table == nil || len(table.Chains) != 1 || len(table.Chains[0].Rules) != 1 {
		t.Fatalf("the kernel has %+v", table)
	}
	c := &table.Chains[0]
	if got := firewall.RuleText(host, table, c, &c.Rules[0]); got != text {
		t.Errorf("it reads %q, want %q", got, text)
	}
	h.undo(id)
	if d := cmp.Diff(was, h.read().HostNs().Ruleset.Tables); d != "" {
		t.Errorf("after undo (-want +got):\n%s", d)
	}
}
