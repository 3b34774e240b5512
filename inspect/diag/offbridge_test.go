package diag_test

import (
	"testing"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/diag/checks"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// A veth that left its bridge meets rules that know the bridge alone: what they
// say of it is a consequence, and must not get a rule of its own.
func TestRulesAgainstAVethOffItsBridgeAreAConsequence(t *testing.T) {
	t.Parallel()
	s := recorded(t)
	w := fixups.At(s, "host")
	client := s.Ns("client")
	l := s.HostNs().LinkAt(client.Link("eth0").Peer)
	for _, op := range []fixups.Op{
		&fixups.ChainPolicy{ChainRef: fixups.ChainRef{Where: w, System: snap.IPTablesNFT, Family: snap.IPv4, Table: "filter", Chain: "FORWARD"}, Policy: "drop"},
		&fixups.LinkMaster{Where: w, Name: l.Name},
	} {
		if err := op.On(s); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, f := range diag.Run(diag.Build(s, nil, diag.Options{}), checks.All()).Findings {
		if f.Severity == diag.Error {
			got = append(got, string(f.Code))
		}
	}
	if len(got) != 1 || got[0] != "ND1107" {
		t.Errorf("%q, want ND1107 alone", got)
	}
}
