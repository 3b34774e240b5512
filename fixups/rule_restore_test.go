package fixups_test

import (
	"testing"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestRestoredRuleIsToldByItsSet: a rule with a set in braces is there only where its set
// holds the same, whatever the kernel calls it, and in whatever order it gives it.
func TestRestoredRuleIsToldByItsSet(t *testing.T) {
	t.Parallel()
	set := func(name string, keys ...string) snap.Set {
		s := snap.Set{Name: name, Anonymous: true, Constant: true, KeyLen: 4}
		for _, k := range keys {
			s.Elements = append(s.Elements, snap.Element{Key: []byte(k)})
		}
		return s
	}
	rule := func(set string) snap.Rule {
		return snap.Rule{Num: 1, Exprs: snap.Exprs{&snap.Meta{Key: "iifname", Dreg: 0, Sreg: snap.NoReg}, &snap.Lookup{Set: set, Sreg: 0, Dreg: snap.NoReg}, &snap.Immediate{Dreg: snap.VerdictReg, Verdict: &snap.Verdict{Code: "accept"}}}}
	}
	s := &snap.Snapshot{Host: snap.Host{Netns: "host"}, Netns: []snap.Netns{{ID: "host", Ruleset: snap.Ruleset{Tables: []snap.Table{{
		System: snap.NFT, Family: snap.Inet, Name: "t", Sets: []snap.Set{set("__set0", "aaaa", "bbbb")}, Chains: []snap.Chain{{Name: "c", Rules: []snap.Rule{rule("__set0")}}},
	}}}}}}
	for name, tt := range map[string]struct {
		keys []string
		want bool
	}{"the same": {[]string{"bbbb", "aaaa"}, true}, "one other": {[]string{"aaaa", "cccc"}, false}, "one more": {[]string{"aaaa", "bbbb", "cccc"}, false}} {
		o := &fixups.RuleRestore{ChainRef: fixups.ChainAt(s, "host", &s.Netns[0].Ruleset.Tables[0], "c"), Num: 1, Rule: rule("__set9"), Sets: []snap.Set{set("__set9", tt.keys...)}}
		if got := o.Holds(s); got != tt.want {
			t.Errorf("%s: holds %v, want %v", name, got, tt.want)
		}
	}
}
