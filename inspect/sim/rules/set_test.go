package rules

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func withSet(s snap.Set, list ...snap.Exprs) *snap.Ruleset {
	rs := baseTable(snap.IPv4, "input", "accept", rules(list...))
	rs.Tables[0].Sets = []snap.Set{s}
	return rs
}

func lookup(invert bool) snap.Expr {
	return &snap.Lookup{Set: "s", Sreg: 4, Dreg: snap.NoReg, Invert: invert}
}

func el(key ...byte) snap.Element { return snap.Element{Key: key} }

func between4(from, to [4]byte) snap.Element { return snap.Element{Key: from[:], KeyEnd: to[:]} }

func TestSets(t *testing.T) {
	t.Parallel()
	saddr, dport := payload("nh", 12, 4), payload("th", 2, 2)
	add := func() snap.Exprs { return snap.Exprs{saddr, &snap.Dynset{Set: "s", Op: "add", SregKey: 4}} }
	cases := []struct {
		name string
		set  snap.Set
		rule []snap.Exprs
		want []string
	}{
		{"member", snap.Set{Name: "s", KeyLen: 4, Elements: []snap.Element{el(192, 0, 2, 10)}}, []snap.Exprs{{saddr, lookup(false), drop()}}, []string{"drop"}},
		{"no member", snap.Set{Name: "s", KeyLen: 4, Elements: []snap.Element{el(192, 0, 2, 11)}}, []snap.Exprs{{saddr, lookup(false), drop()}}, []string{"accept policy"}},
		{"inverted", snap.Set{Name: "s", KeyLen: 4, Elements: []snap.Element{el(192, 0, 2, 11)}}, []snap.Exprs{{saddr, lookup(true), drop()}}, []string{"drop"}},
		{"empty", snap.Set{Name: "s", KeyLen: 4}, []snap.Exprs{{saddr, lookup(false), drop()}}, []string{"accept policy"}},
		{"inside an interval", snap.Set{Name: "s", KeyLen: 4, Interval: true, Elements: []snap.Element{between4([4]byte{192, 0, 2, 0}, [4]byte{192, 0, 2, 255}), el(198, 51, 100, 1)}}, []snap.Exprs{{saddr, lookup(false), drop()}}, []string{"drop"}},
		{"at the end of an interval", snap.Set{Name: "s", KeyLen: 4, Interval: true, Elements: []snap.Element{between4([4]byte{192, 0, 2, 0}, [4]byte{192, 0, 2, 10})}}, []snap.Exprs{{saddr, lookup(false), drop()}}, []string{"drop"}},
		{"behind an interval", snap.Set{Name: "s", KeyLen: 4, Interval: true, Elements: []snap.Element{between4([4]byte{192, 0, 2, 0}, [4]byte{192, 0, 2, 9}), between4([4]byte{192, 0, 2, 11}, [4]byte{192, 0, 2, 12})}}, []snap.Exprs{{saddr, lookup(false), drop()}}, []string{"accept policy"}},
		{"catch-all", snap.Set{Name: "s", KeyLen: 4, Elements: []snap.Element{{CatchAll: true}}}, []snap.Exprs{{saddr, lookup(false), drop()}}, []string{"drop"}},
		{"not read", snap.Set{Name: "s", KeyLen: 4, Unread: "permission denied"}, []snap.Exprs{{saddr, lookup(false), drop()}}, []string{"drop if", "accept policy unless"}},
		{"a part read: a hit is a hit", snap.Set{Name: "s", KeyLen: 4, Truncated: true, Elements: []snap.Element{el(192, 0, 2, 10)}}, []snap.Exprs{{saddr, lookup(false), drop()}}, []string{"drop"}},
		{"a part read: a miss is not", snap.Set{Name: "s", KeyLen: 4, Truncated: true, Elements: []snap.Element{el(192, 0, 2, 11)}}, []snap.Exprs{{saddr, lookup(false), drop()}}, []string{"drop if", "accept policy unless"}},
		{"filled by a rule, and in it", snap.Set{Name: "s", KeyLen: 4, Dynamic: true, Elements: []snap.Element{el(192, 0, 2, 10)}}, []snap.Exprs{{saddr, lookup(false), drop()}, add()}, []string{"drop"}},
		{"filled by a rule, and not in it", snap.Set{Name: "s", KeyLen: 4, Dynamic: true, Elements: []snap.Element{el(192, 0, 2, 11)}}, []snap.Exprs{{saddr, lookup(false), drop()}, add()}, []string{"drop if state", "accept policy unless state"}},
		{"filled for this very packet", snap.Set{Name: "s", KeyLen: 4, Dynamic: true, Elements: []snap.Element{el(192, 0, 2, 10)}}, []snap.Exprs{add(), {saddr, lookup(false), drop()}}, []string{"drop if state", "accept policy unless state"}},
		{"dynamic but not filled by a rule", snap.Set{Name: "s", KeyLen: 4, Dynamic: true, Elements: []snap.Element{el(192, 0, 2, 10)}}, []snap.Exprs{{saddr, lookup(false), drop()}}, []string{"drop"}},
		{"adding matches", snap.Set{Name: "s", KeyLen: 4, Dynamic: true}, []snap.Exprs{append(add(), drop())}, []string{"drop"}},
		{"adding under a limit", snap.Set{Name: "s", KeyLen: 4, Dynamic: true}, []snap.Exprs{{saddr, &snap.Dynset{Set: "s", Op: "update", SregKey: 4, Exprs: snap.Exprs{limit()}}, drop()}}, []string{"drop if state", "accept policy unless state"}},
		{"a limit in an element", snap.Set{Name: "s", KeyLen: 4, Elements: []snap.Element{{Key: []byte{192, 0, 2, 10}, Exprs: snap.Exprs{&snap.Counter{}, limit()}}}}, []snap.Exprs{{saddr, lookup(false), drop()}}, []string{"drop if state", "accept policy unless state"}},
		{"an unknown key that no element can match", snap.Set{Name: "s", KeyLen: 2, Elements: []snap.Element{el(0x40, 1)}}, []snap.Exprs{{payload("th", 12, 2), &snap.Bitwise{Sreg: 4, Sreg2: snap.NoReg, Dreg: 4, Len: 2, Op: "mask-xor", Mask: []byte{0xf, 0xff}, Xor: []byte{0, 0}}, lookup(false), drop()}}, []string{"accept policy"}},
		{"an unknown key that one may match", snap.Set{Name: "s", KeyLen: 2, Elements: []snap.Element{el(1, 2), el(3, 4)}}, []snap.Exprs{{payload("nh", 4, 2), lookup(false), drop()}}, []string{"drop if", "accept policy unless"}},
		{
			"concatenation",
			snap.Set{Name: "s", KeyLen: 8, Concat: true, Fields: []int{4, 2}, Elements: []snap.Element{el(192, 0, 2, 10, 0, 80, 0, 0)}},
			[]snap.Exprs{{saddr, &snap.Payload{Base: "th", Offset: 2, Len: 2, Dreg: 5, Sreg: snap.NoReg}, lookup(false), drop()}},
			[]string{"drop"},
		},
		{"concatenation with intervals: every part must be inside", snap.Set{Name: "s", KeyLen: 8, Concat: true, Interval: true, Fields: []int{4, 2}, Elements: []snap.Element{
			{Key: []byte{192, 0, 2, 0, 0, 81, 0, 0}, KeyEnd: []byte{192, 0, 2, 255, 0, 90, 0, 0}}, {Key: []byte{192, 0, 2, 10, 0, 1, 0, 0}, KeyEnd: []byte{192, 0, 2, 10, 0, 79, 0, 0}},
		}}, []snap.Exprs{{saddr, &snap.Payload{Base: "th", Offset: 2, Len: 2, Dreg: 5, Sreg: snap.NoReg}, lookup(false), drop()}}, []string{"accept policy"}},
		{"verdict map", snap.Set{Name: "s", KeyLen: 2, Map: true, Elements: []snap.Element{{Key: []byte{0, 80}, Verdict: &snap.Verdict{Code: "drop"}}}}, []snap.Exprs{{dport, &snap.Lookup{Set: "s", Sreg: 4, Dreg: snap.VerdictReg}}}, []string{"drop"}},
		{"a verdict map's miss goes on", snap.Set{Name: "s", KeyLen: 2, Map: true, Elements: []snap.Element{{Key: []byte{0, 81}, Verdict: &snap.Verdict{Code: "drop"}}}}, []snap.Exprs{{dport, &snap.Lookup{Set: "s", Sreg: 4, Dreg: snap.VerdictReg}}}, []string{"accept policy"}},
		{"a verdict map's catch-all", snap.Set{Name: "s", KeyLen: 2, Map: true, Elements: []snap.Element{{CatchAll: true, Verdict: &snap.Verdict{Code: "drop"}}}}, []snap.Exprs{{dport, &snap.Lookup{Set: "s", Sreg: 4, Dreg: snap.VerdictReg}}}, []string{"drop"}},
		{"data map", snap.Set{Name: "s", KeyLen: 2, Map: true, DataLen: 4, Elements: []snap.Element{{Key: []byte{0, 80}, Data: []byte{7, 0, 0, 0}}}}, []snap.Exprs{{dport, &snap.Lookup{Set: "s", Sreg: 4, Dreg: 4}, eq(7, 0, 0, 0), drop()}}, []string{"drop"}},
		{"verdict map not read", snap.Set{Name: "s", KeyLen: 2, Map: true, Unread: "torn"}, []snap.Exprs{{dport, &snap.Lookup{Set: "s", Sreg: 4, Dreg: snap.VerdictReg}}}, []string{"unknown"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			wantVerdicts(t, run(t, withSet(c.set, c.rule...), syn(), world()), c.want...)
		})
	}
}

// TestFindAgreesWithScan compares the indexed look-up with one that looks at
// every element.
func TestFindAgreesWithScan(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	key := func(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
	for range 50 {
		s := snap.Set{Name: "s", KeyLen: 8, Interval: true, Concat: true, Fields: []int{4, 2}}
		one := snap.Set{Name: "s", KeyLen: 4, Interval: true}
		for n := uint32(0); n < 200; n += 2 + rnd.Uint32N(10) {
			end := n + rnd.Uint32N(2)
			one.Elements = append(one.Elements, snap.Element{Key: key(n), KeyEnd: key(end)})
			s.Elements = append(s.Elements, snap.Element{Key: append(key(n), 0, byte(n), 0, 0), KeyEnd: append(key(end), 1, byte(n), 0, 0)})
		}
		for _, c := range []*set{compileSet(&s), compileSet(&one)} {
			for n := range uint32(210) {
				k := key(n)
				if c.fields != nil {
					k = append(k, 0, byte(rnd.Uint32N(200)), 0, 0)
				}
				list, sure := c.candidates(k, nil)
				var want *element
				if sure {
					want = list[0]
				}
				if got := c.find(k); got != want {
					t.Fatalf("key %x: found %v, scan says %v", k, got, want)
				}
			}
		}
	}
}
