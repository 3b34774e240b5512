package rules

import (
	"fmt"
	"strings"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestLoops: the kernel refuses chains that lead to themselves, and jumps that
// nest too deep; a rule set that has them all the same ends, without a verdict.
func TestLoops(t *testing.T) {
	t.Parallel()
	gotoChain := func(c string) snap.Expr {
		return &snap.Immediate{Dreg: snap.VerdictReg, Verdict: &snap.Verdict{Code: "goto", Chain: c}}
	}
	var twice []snap.Chain // each chain jumps to the next one twice: 2^40 ways
	for i := range 40 {
		next := jump(fmt.Sprintf("t%d", i+1))
		twice = append(twice, chainOf(fmt.Sprintf("t%d", i), snap.Exprs{next}, snap.Exprs{next}))
	}
	twice = append(twice, chainOf("t40", snap.Exprs{verdict("return")}))
	for _, c := range []struct {
		name   string
		first  snap.Expr
		chains []snap.Chain
		why    string
	}{
		{"to itself", jump("a"), []snap.Chain{chainOf("a", snap.Exprs{jump("a")})}, "nested deeper"},
		{"two that jump to each other", jump("a"), []snap.Chain{chainOf("a", snap.Exprs{jump("b")}), chainOf("b", snap.Exprs{jump("a")})}, "nested deeper"},
		{"two that go to each other", gotoChain("a"), []snap.Chain{chainOf("a", snap.Exprs{gotoChain("b")}), chainOf("b", snap.Exprs{gotoChain("a")})}, "nested deeper"},
		{"a jump that goes on", jump("a"), []snap.Chain{chainOf("a", snap.Exprs{gotoChain("b")}), chainOf("b", snap.Exprs{jump("a")})}, "nested deeper"},
		{"as wide as deep", jump("t0"), twice, ""},
	} {
		for _, sys := range []snap.System{snap.NFT, snap.IPTablesLegacy} {
			t.Run(c.name+" "+string(sys), func(t *testing.T) {
				t.Parallel()
				rs := baseTable(snap.IPv4, "forward", "accept", rules(snap.Exprs{c.first}), c.chains...)
				rs.Tables[0].System = sys
				got := Compile(rs).bases[0].Run(syn(), world())
				if len(got) != 1 || got[0].Verdict != "unknown" || !strings.Contains(got[0].Unknown, c.why) {
					t.Errorf("got %d branches, %s %q", len(got), got[0].Verdict, got[0].Unknown)
				}
			})
		}
	}
}

// TestDeepChains: ip_tables takes as many chains inside of each other as there
// are, nf_tables 16.
func TestDeepChains(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sys  snap.System
		deep int
		want string
	}{{snap.IPTablesLegacy, 200, "drop"}, {snap.NFT, 16, "drop"}, {snap.NFT, 17, "unknown"}} {
		if got := deepChains(c.sys, c.deep).bases[0].Run(syn(), world())[0].Verdict; got != c.want {
			t.Errorf("%s, %d deep: %s, want %s", c.sys, c.deep, got, c.want)
		}
	}
}
