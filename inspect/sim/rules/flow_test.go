package rules

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func chainOf(name string, list ...snap.Exprs) snap.Chain {
	return snap.Chain{Name: name, Rules: rules(list...)}
}

func with(x []snap.Expr, more ...snap.Expr) snap.Exprs {
	return append(append(snap.Exprs{}, x...), more...)
}

func limit() snap.Expr { return &snap.Limit{Rate: 5, Unit: 1} }

// outcomes are verdicts with the mark that the packet has then.
func outcomes(list []Branch) []string {
	var out []string
	for _, b := range list {
		s := b.Verdict
		if b.Place.Policy {
			s += " policy"
		}
		out = append(out, fmt.Sprintf("%s mark %d", s, b.Packet.Mark))
	}
	return out
}

func TestChains(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		rs   *snap.Ruleset
		want []string
	}{
		{"the policy comes at the end", baseTable(snap.IPv4, "forward", "drop", rules(with(markAs(1)))), []string{"drop policy mark 1"}},
		{"no policy accepts", baseTable(snap.IPv4, "forward", "", nil), []string{"accept policy mark 0"}},
		{"return in a base chain is the policy", baseTable(snap.IPv4, "forward", "drop", rules(snap.Exprs{verdict("return")}, snap.Exprs{accept()})), []string{"drop policy mark 0"}},
		{"a jump to an empty chain comes back", baseTable(snap.IPv4, "forward", "drop", rules(snap.Exprs{jump("a")}, with(markAs(1), accept())), chainOf("a")), []string{"accept mark 1"}},
		{"return goes behind the jump", baseTable(snap.IPv4, "forward", "drop", rules(snap.Exprs{jump("a")}, with(markAs(1), accept())), chainOf("a", snap.Exprs{verdict("return")}, snap.Exprs{drop()})), []string{"accept mark 1"}},
		{"a goto from a base chain does not come back", baseTable(snap.IPv4, "forward", "drop", rules(snap.Exprs{gotoChain("a")}, snap.Exprs{accept()}), chainOf("a", with(markAs(1)))), []string{"drop policy mark 1"}},
		{"after a goto it comes back to who jumped", baseTable(snap.IPv4, "forward", "drop", rules(snap.Exprs{jump("a")}, snap.Exprs{accept()}),
			chainOf("a", snap.Exprs{gotoChain("b")}, with(markAs(9))), chainOf("b", with(markAs(1)))), []string{"accept mark 1"}},
		{"two gotos in a row", baseTable(snap.IPv4, "forward", "drop", rules(snap.Exprs{jump("a")}, snap.Exprs{accept()}),
			chainOf("a", snap.Exprs{gotoChain("b")}, with(markAs(9))), chainOf("b", snap.Exprs{gotoChain("c")}, with(markAs(8))), chainOf("c", snap.Exprs{verdict("return")})), []string{"accept mark 0"}},
		{"a goto inside a jumped-to chain's callee", baseTable(snap.IPv4, "forward", "drop", rules(snap.Exprs{jump("a")}, snap.Exprs{accept()}),
			chainOf("a", snap.Exprs{jump("b")}, with(markAs(2))), chainOf("b", snap.Exprs{gotoChain("c")}), chainOf("c")), []string{"accept mark 2"}},
		{"expressions after a match that fails don't run", baseTable(snap.IPv4, "forward", "accept", rules(with([]snap.Expr{meta("mark"), eq(1, 0, 0, 0)}, markAs(5)...))), []string{"accept policy mark 0"}},
		{"a limit that only logs does not split", baseTable(snap.IPv4, "forward", "drop", rules(snap.Exprs{limit(), &snap.Log{}}, snap.Exprs{limit(), &snap.Log{}}, snap.Exprs{accept()})), []string{"accept mark 0"}},
		{"a limit that accepts splits", baseTable(snap.IPv4, "forward", "drop", rules(snap.Exprs{limit(), accept()})), []string{"accept mark 0", "drop policy mark 0"}},
		{"both sides of a limit accept", baseTable(snap.IPv4, "forward", "accept", rules(snap.Exprs{limit(), accept()}, snap.Exprs{drop()})), []string{"accept mark 0", "drop mark 0"}},
		{"sides that meet in another chain", baseTable(snap.IPv4, "forward", "drop", rules(snap.Exprs{limit(), jump("a")}, with(markAs(3), accept())), chainOf("a", snap.Exprs{&snap.Log{}})), []string{"accept mark 3"}},
		{"sides with different marks stay apart", baseTable(snap.IPv4, "forward", "accept", rules(with([]snap.Expr{limit()}, markAs(1)...))), []string{"accept policy mark 1", "accept policy mark 0"}},
		{"a chain that was not read", baseTable(snap.IPv4, "forward", "accept", rules(snap.Exprs{jump("a")}), snap.Chain{Name: "a", Unread: "permission denied"}), []string{"unknown mark 0"}},
		{"a queue", baseTable(snap.IPv4, "forward", "accept", rules(snap.Exprs{&snap.Queue{Num: 3, Sreg: snap.NoReg}})), []string{"queue mark 0"}},
		{"an unknown match goes both ways", baseTable(snap.IPv4, "forward", "accept", rules(snap.Exprs{&snap.Unknown{Name: "osf"}, drop()})), []string{"drop mark 0", "accept policy mark 0"}},
		{"an unknown match that does not matter", baseTable(snap.IPv4, "forward", "drop", rules(snap.Exprs{&snap.Unknown{Name: "osf"}, drop()}, snap.Exprs{drop()})), []string{"drop mark 0"}},
		{"an unknown verdict", baseTable(snap.IPv4, "forward", "drop", rules(snap.Exprs{&snap.Unknown{Name: "fate"}})), []string{"unknown mark 0"}},
		{"compare with an unknown value", baseTable(snap.IPv4, "forward", "drop", rules(snap.Exprs{payload("nh", 4, 2), eq(0, 7), accept()})), []string{"accept mark 0", "drop policy mark 0"}},
		{"unknown bits that are masked away", baseTable(snap.IPv4, "forward", "drop", rules(snap.Exprs{payload("th", 12, 2), &snap.Bitwise{Sreg: 4, Sreg2: snap.NoReg, Dreg: 4, Len: 2, Op: "mask-xor", Mask: []byte{0, 2}, Xor: []byte{0, 0}}, eq(0, 2), accept()})), []string{"accept mark 0"}},
		{"the same unknown is not decided both ways", baseTable(snap.IPv4, "forward", "drop",
			rules(snap.Exprs{jump("a")}, snap.Exprs{jump("a")}), chainOf("a", snap.Exprs{payload("nh", 4, 2), eq(0, 7), verdict("return")}, with(markAs(4)))), []string{"drop policy mark 0", "drop policy mark 4"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if d := cmp.Diff(c.want, outcomes(run(t, c.rs, syn(), world()))); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestPathTellsWhatMayHaveMatched(t *testing.T) {
	t.Parallel()
	rs := baseTable(snap.IPv4, "forward", "accept", rules(snap.Exprs{limit(), &snap.Log{}}, snap.Exprs{&snap.Counter{}}, snap.Exprs{drop()}))
	got := run(t, rs, syn(), world())
	wantVerdicts(t, got, "drop")
	var path []string
	for _, p := range got[0].Path {
		s := fmt.Sprint(p.Num)
		if p.Maybe {
			s += " maybe"
		}
		path = append(path, s)
	}
	if d := cmp.Diff([]string{"1 maybe", "2", "3"}, path); d != "" {
		t.Errorf("path (-want +got):\n%s", d)
	}
}

func TestManyLogsStayOneBranch(t *testing.T) {
	t.Parallel()
	var list []snap.Exprs
	for range 200 {
		list = append(list, snap.Exprs{limit(), &snap.Log{}})
	}
	wantVerdicts(t, run(t, baseTable(snap.IPv4, "forward", "drop", rules(list...)), syn(), world()), "drop policy")
}

func TestTooManyWaysAreUnknown(t *testing.T) {
	t.Parallel()
	var list []snap.Exprs
	for i := range 100 {
		list = append(list, with([]snap.Expr{limit()}, append(markAs(byte(i+1)), accept())...))
	}
	got := run(t, baseTable(snap.IPv4, "forward", "drop", rules(list...)), syn(), world())
	if len(got) != 1 || got[0].Verdict != "unknown" || !strings.Contains(got[0].Unknown, "64 ways") {
		t.Errorf("got %v, want one unknown branch", verdicts(got))
	}
}

func TestLoopEndsUnknown(t *testing.T) {
	t.Parallel()
	for _, enter := range []snap.Expr{jump("a"), gotoChain("a")} {
		got := run(t, baseTable(snap.IPv4, "forward", "drop", rules(snap.Exprs{enter}), chainOf("a", snap.Exprs{enter})), syn(), world())
		wantVerdicts(t, got, "unknown")
	}
}

// nestedJumps is as deep as NFT_JUMP_STACK_SIZE allows, or deeper.
func nestedJumps(depth int) *snap.Ruleset {
	var more []snap.Chain
	for i := range depth {
		next := snap.Exprs{jump(fmt.Sprint("c", i+1))}
		if i == depth-1 {
			next = snap.Exprs{drop()}
		}
		more = append(more, chainOf(fmt.Sprint("c", i), next))
	}
	return baseTable(snap.IPv4, "forward", "accept", rules(snap.Exprs{jump("c0")}), more...)
}

func TestJumpDepth(t *testing.T) {
	t.Parallel()
	wantVerdicts(t, run(t, nestedJumps(16), syn(), world()), "drop")
	wantVerdicts(t, run(t, nestedJumps(17), syn(), world()), "unknown")
}

func TestBaseChains(t *testing.T) {
	t.Parallel()
	chain := func(name, hook string, prio int32, seq int, dev ...string) snap.Chain {
		return snap.Chain{Name: name, Hook: hook, Type: "filter", Priority: prio, Seq: seq, Devices: dev}
	}
	p := Compile(&snap.Ruleset{Tables: []snap.Table{
		{System: snap.NFT, Family: snap.Inet, Name: "i", Chains: []snap.Chain{
			chain("i-late", "forward", 10, 0), chain("i-first", "forward", 0, 1), chain("i-in", "ingress", 0, 0, "eth0"), chain("i-user", "", 0, 0),
		}},
		{System: snap.IPTablesNFT, Family: snap.IPv4, Name: "filter", Chains: []snap.Chain{chain("FORWARD", "forward", 0, 2)}},
		{System: snap.IPTablesNFT, Family: snap.IPv6, Name: "filter", Chains: []snap.Chain{chain("FORWARD6", "forward", 0, 0)}},
		{System: snap.NFT, Family: snap.IPv4, Name: "asleep", Dormant: true, Chains: []snap.Chain{chain("dormant", "forward", 0, 0)}},
		{System: snap.NFT, Family: snap.Netdev, Name: "n", Chains: []snap.Chain{
			chain("n-eth", "ingress", -5, 0, "eth0", "eth1"), chain("n-wild", "ingress", 5, 0, "veth*"), chain("n-out", "egress", 0, 0, "eth0"),
		}},
		{System: snap.NFT, Family: snap.BridgeFamily, Name: "b", Chains: []snap.Chain{chain("b-fwd", "forward", 0, 0)}},
	}})
	cases := []struct {
		fam       snap.Family
		hook, dev string
		want      []string
	}{
		{snap.IPv4, "forward", "", []string{"FORWARD tied", "i-first tied", "i-late"}},
		{snap.IPv6, "forward", "", []string{"i-first tied", "FORWARD6 tied", "i-late"}},
		{snap.BridgeFamily, "forward", "", []string{"b-fwd"}},
		{snap.ARP, "forward", "", nil},
		{snap.Netdev, "ingress", "eth0", []string{"n-eth", "i-in"}},
		{snap.Netdev, "ingress", "eth1", []string{"n-eth"}},
		{snap.Netdev, "ingress", "veth7", []string{"n-wild"}},
		{snap.Netdev, "egress", "eth0", []string{"n-out"}},
	}
	for _, c := range cases {
		var got []string
		for _, b := range p.BaseChains(c.fam, c.hook, c.dev) {
			s := b.Chain.Name
			if b.Tied {
				s += " tied"
			}
			got = append(got, s)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s %s %s (-want +got):\n%s", c.fam, c.hook, c.dev, d)
		}
	}
}

// TestSameLooksAtEveryField changes each field of a packet in turn.
func TestSameLooksAtEveryField(t *testing.T) {
	t.Parallel()
	var walk func(v reflect.Value, name string, check func(name string))
	walk = func(v reflect.Value, name string, check func(string)) {
		for i := range v.NumField() {
			f, n := v.Field(i), name+v.Type().Field(i).Name
			if n == "Assumed" {
				continue
			}
			old := reflect.New(f.Type()).Elem()
			old.Set(f)
			switch x := f.Addr().Interface().(type) {
			case *netip.Addr:
				*x = netip.MustParseAddr("192.0.2.99")
			case *snap.Tuple:
				x.Dst = netip.MustParseAddrPort("192.0.2.99:9")
			case *[]byte:
				*x = []byte{1}
			case *[2]uint64:
				x[1]++
			case *[]RecentTouch:
				*x = []RecentTouch{{List: "x"}}
			case **Sender:
				*x = &Sender{UID: 5}
			case *CT:
				walk(f, n+".", check)
				continue
			case *string:
				*x += "x"
			case *snap.Family:
				*x += "x"
			case *bool:
				*x = !*x
			default:
				switch {
				case f.CanInt():
					f.SetInt(f.Int() + 1)
				case f.CanUint():
					f.SetUint(f.Uint() + 1)
				default:
					t.Fatalf("%s: a type this test can't change", n)
				}
			}
			check(n)
			f.Set(old)
		}
	}
	p, q := syn(), syn()
	walk(reflect.ValueOf(&p).Elem(), "", func(name string) {
		if p.same(&q) {
			t.Errorf("%s is not compared", name)
		}
	})
	if !p.same(&q) {
		t.Error("equal packets are not the same")
	}
}

// TestTypeOfTheDeviceOnTheWayOut: kernels differ in which device "meta iiftype"
// means where the packet leaves.
func TestTypeOfTheDeviceOnTheWayOut(t *testing.T) {
	t.Parallel()
	rule := snap.Exprs{meta("iiftype"), eq(1, 0), drop()}
	for hook, want := range map[string][]string{
		"egress": {"drop if", "accept policy unless"}, "postrouting": {"drop if", "accept policy unless"},
		"output": {"accept policy"},
	} {
		k := syn()
		k.Iif, k.Oif = 0, 2
		wantVerdicts(t, run(t, baseTable(snap.IPv4, hook, "accept", rules(rule)), k, world()), want...)
	}
	wantVerdicts(t, run(t, baseTable(snap.IPv4, "forward", "accept", rules(rule)), syn(), world()), "drop")
}
