package fixups_test

import (
	"bytes"
	"testing"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestAMatchOnAnIPSetIsIPTablesOwn: the bytes are those of iptables 1.8.9 and 1.8.11, so
// that the rule's owner finds it again to delete it.
func TestAMatchOnAnIPSetIsIPTablesOwn(t *testing.T) {
	t.Parallel()
	ref := fixups.ChainRef{Where: fixups.Where{ID: "host", Host: true}, System: snap.IPTablesNFT, Family: snap.IPv4, Table: "filter", Chain: "FORWARD"}
	for _, tt := range []struct {
		dirs string
		not  bool
		head []byte // index, dimensions, flags; the rest is 0
	}{
		{"dst", false, []byte{3, 0, 1, 0}},
		{"src", false, []byte{3, 0, 1, 2}},
		{"src,dst", true, []byte{3, 0, 2, 3}},
		{"dst,src", false, []byte{3, 0, 2, 4}},
	} {
		args := []string{"-m", "set", "--match-set", "nets", tt.dirs, "-j", "DOCKER"}
		if tt.not {
			args = append([]string{"-m", "set", "!"}, args[2:]...)
		}
		op := &fixups.RuleInsert{ChainRef: ref, Args: args, IPSets: map[string]int{"nets": 3}}
		r, err := op.Compile()
		if err != nil {
			t.Fatal(err)
		}
		x := r.Exprs[0].(*snap.Xt)
		if want := append(tt.head, make([]byte, 44)...); x.Name != "set" || x.Rev != 4 || !bytes.Equal(x.Info, want) {
			t.Errorf("%s: %+v, want %v", tt.dirs, x, want)
		}
		op.IPSets = nil // its number is not known
		if _, err := op.Compile(); err == nil {
			t.Errorf("%s: a rule that asks a set without a number", tt.dirs)
		}
	}
}
