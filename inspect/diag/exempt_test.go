package diag

import (
	"net/netip"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func TestFromAny(t *testing.T) {
	t.Parallel()
	saddr := &snap.Payload{Base: "nh", Offset: 12, Len: 4, Dreg: 1}
	daddr := &snap.Payload{Base: "nh", Offset: 16, Len: 4, Dreg: 1}
	is := &snap.Cmp{Sreg: 1, Op: "==", Data: []byte{172, 30, 1, 11}}
	accept := &snap.Immediate{Verdict: &snap.Verdict{Code: "accept"}}
	for _, tt := range []struct {
		name string
		in   snap.Exprs
		left int // expressions
		asks bool
	}{
		{"a source", snap.Exprs{saddr, is, accept}, 1, true},
		{"a source's network", snap.Exprs{saddr, &snap.Bitwise{Sreg: 1, Dreg: 1, Len: 4}, is, accept}, 1, true},
		{"a source in a set", snap.Exprs{saddr, &snap.Lookup{Set: "who", Sreg: 1, Dreg: snap.NoReg}, accept}, 1, true},
		{"a source that leads to a verdict", snap.Exprs{saddr, &snap.Lookup{Set: "who", Sreg: 1, Dreg: snap.VerdictReg}}, 1, true},
		{"a destination", snap.Exprs{daddr, is, accept}, 3, false},
		{"a source, and a destination in the same register", snap.Exprs{saddr, is, daddr, is, accept}, 3, true},
		{"iptables-legacy's", snap.Exprs{&snap.XtEntry{Src: netip.MustParsePrefix("172.30.1.0/24"), Inv: []string{"src"}}, accept}, 2, true},
		{"iptables-legacy's without one", snap.Exprs{&snap.XtEntry{InIf: "br-app"}, accept}, 2, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, asks := fromAny(snap.Rule{Exprs: tt.in})
			if asks != tt.asks || len(r.Exprs) != tt.left {
				t.Errorf("%d expressions are left, %v; want %d, %v", len(r.Exprs), asks, tt.left, tt.asks)
			}
			if e, ok := r.Exprs[0].(*snap.XtEntry); ok && (e.Src.IsValid() || len(e.Inv) > 0) {
				t.Errorf("it still asks for %v %v", e.Src, e.Inv)
			}
		})
	}
}
