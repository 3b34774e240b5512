package rules

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	fw "github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// runOps runs compiled expressions as the only rule of a chain.
func runOps(hook string, p Packet, env Env, ops ...op) []Branch {
	t := &table{src: &snap.Table{System: snap.IPTablesLegacy, Family: p.Family, Name: "t"}, byName: map[string]*chain{}}
	c := &chain{src: &snap.Chain{Name: "c", Hook: hook, Policy: "accept"}, table: t, rules: []rule{{place: Place{Table: "t", Chain: "c", Num: 1}, ops: ops}}}
	b := &BaseChain{Table: t.src, Chain: c.src, System: t.src.System, code: c, policy: Place{Policy: true}}
	return b.Run(p, env)
}

func mustTarget(t *testing.T, v any) op {
	t.Helper()
	o, ok := target(v)
	if !ok || o == nil {
		t.Fatalf("%T is not compiled", v)
	}
	return o
}

func imm(reg int, b ...byte) snap.Expr { return &snap.Immediate{Dreg: reg, Data: b} }

var noPlace = cmpopts.IgnoreFields(NAT{}, "Place")

func TestNAT(t *testing.T) {
	t.Parallel()
	addr := netip.MustParseAddr
	cases := []struct {
		name string
		rule snap.Exprs
		pkt  func(*Packet)
		want *NAT
	}{
		{
			"dnat to address and port",
			snap.Exprs{imm(0, 10, 0, 0, 5), imm(4, 0, 80), &snap.Nat{Type: "dnat", Family: snap.IPv4, AddrMin: 0, AddrMax: snap.NoReg, ProtoMin: 4, ProtoMax: snap.NoReg}},
			nil,
			&NAT{Kind: "dnat", AddrMin: addr("10.0.0.5"), AddrMax: addr("10.0.0.5"), PortMin: 80, PortMax: 80},
		},
		{
			"snat to a range",
			snap.Exprs{imm(0, 10, 0, 0, 5), imm(4, 10, 0, 0, 9), &snap.Nat{Type: "snat", Family: snap.IPv4, AddrMin: 0, AddrMax: 4, ProtoMin: snap.NoReg, ProtoMax: snap.NoReg, Flags: []string{"map-ips", "fully-random"}}},
			nil,
			&NAT{Kind: "snat", Src: true, AddrMin: addr("10.0.0.5"), AddrMax: addr("10.0.0.9"), Random: true},
		},
		{"dnat of the other family does nothing", snap.Exprs{imm(0, 10, 0, 0, 5), &snap.Nat{Type: "dnat", Family: snap.IPv4, AddrMin: 0, AddrMax: snap.NoReg, ProtoMin: snap.NoReg, ProtoMax: snap.NoReg}}, func(p *Packet) { *p = syn6() }, nil},
		{"masquerade", snap.Exprs{&snap.Masq{ProtoMin: snap.NoReg, ProtoMax: snap.NoReg}}, nil, &NAT{Kind: "masquerade", Src: true}},
		{"masquerade to ports", snap.Exprs{imm(0, 4, 0), imm(1, 8, 0), &snap.Masq{ProtoMin: 0, ProtoMax: 1, Flags: []string{"random"}}}, nil, &NAT{Kind: "masquerade", Src: true, PortMin: 1024, PortMax: 2048, Random: true}},
		{"redirect", snap.Exprs{imm(0, 0x1f, 0x90), &snap.Redir{ProtoMin: 0, ProtoMax: snap.NoReg}}, nil, &NAT{Kind: "redirect", PortMin: 8080, PortMax: 8080}},
		{
			"netmap keeps the host part",
			snap.Exprs{imm(0, 10, 1, 0, 0), imm(4, 10, 1, 0, 255), &snap.Nat{Type: "dnat", Family: snap.IPv4, AddrMin: 0, AddrMax: 4, ProtoMin: snap.NoReg, ProtoMax: snap.NoReg, Flags: []string{"netmap"}}},
			nil,
			&NAT{Kind: "netmap", AddrMin: addr("10.1.0.5"), AddrMax: addr("10.1.0.5"), Prefix: netip.MustParsePrefix("10.1.0.0/24")},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := syn()
			if c.pkt != nil {
				c.pkt(&p)
			}
			rs := baseTable(snap.Inet, "prerouting", "accept", rules(c.rule))
			rs.Tables[0].Chains[0].Type = "nat"
			got := run(t, rs, p, world())
			if len(got) != 1 || got[0].Verdict != "accept" {
				t.Fatalf("got %v, want one accept", verdicts(got))
			}
			if d := cmp.Diff(c.want, got[0].NAT, noPlace, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
				t.Errorf("mapping (-want +got):\n%s", d)
			}
		})
	}
}

func TestXtNAT(t *testing.T) {
	t.Parallel()
	addr := netip.MustParseAddr
	cases := []struct {
		name, hook string
		target     *fw.NATTarget
		want       NAT
	}{
		{"DNAT keeps the port", "prerouting", &fw.NATTarget{Kind: "DNAT", HasAddr: true, AddrMin: addr("10.0.0.5"), AddrMax: addr("10.0.0.5")}, NAT{Kind: "dnat", AddrMin: addr("10.0.0.5"), AddrMax: addr("10.0.0.5")}},
		{
			"DNAT shifts ports", "prerouting", &fw.NATTarget{Kind: "DNAT", HasAddr: true, HasPort: true, PortOffset: true, BasePort: 78, Port: fw.PortRange{Min: 5000, Max: 5009}, AddrMin: addr("10.0.0.5"), AddrMax: addr("10.0.0.5")},
			NAT{Kind: "dnat", AddrMin: addr("10.0.0.5"), AddrMax: addr("10.0.0.5"), PortMin: 5002, PortMax: 5002},
		},
		{"REDIRECT", "output", &fw.NATTarget{Kind: "REDIRECT", HasPort: true, Port: fw.PortRange{Min: 53, Max: 53}}, NAT{Kind: "redirect", PortMin: 53, PortMax: 53}},
		{"MASQUERADE at random", "postrouting", &fw.NATTarget{Kind: "MASQUERADE", FullyRandom: true}, NAT{Kind: "masquerade", Src: true, Random: true}},
		{
			"NETMAP in POSTROUTING maps the source", "postrouting", &fw.NATTarget{Kind: "NETMAP", HasAddr: true, AddrMin: addr("10.9.0.0"), AddrMax: addr("10.9.255.255")},
			NAT{Kind: "netmap", Src: true, AddrMin: addr("10.9.2.10"), AddrMax: addr("10.9.2.10"), Prefix: netip.MustParsePrefix("10.9.0.0/16")},
		},
	}
	for _, c := range cases {
		got := runOps(c.hook, syn(), world(), mustTarget(t, c.target))
		if len(got) != 1 || got[0].NAT == nil || !got[0].NAT.same(&c.want) {
			t.Errorf("%s: got %+v, want %+v", c.name, got[0].NAT, c.want)
		}
	}
}

func TestReject(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		rule snap.Expr
		pkt  func(*Packet)
		want string
	}{
		{"port unreachable", &snap.Reject{Type: "icmp", Code: 3}, nil, "reject icmp:3/3"},
		{"icmpx port unreachable in IPv4", &snap.Reject{Type: "icmpx", Code: 1}, nil, "reject icmp:3/3"},
		{"icmpx port unreachable in IPv6", &snap.Reject{Type: "icmpx", Code: 1}, func(p *Packet) { *p = syn6() }, "reject icmp:1/4"},
		{"icmpx administratively prohibited", &snap.Reject{Type: "icmpx", Code: 3}, nil, "reject icmp:3/13"},
		{"reset", &snap.Reject{Type: "tcp-reset"}, nil, "reject tcp-reset"},
		{"no reset for UDP", &snap.Reject{Type: "tcp-reset"}, func(p *Packet) { p.Proto = 17 }, "drop "},
		{"no reset for a reset", &snap.Reject{Type: "tcp-reset"}, func(p *Packet) { p.TCPFlags = 4 }, "drop "},
		{"no error about an error", &snap.Reject{Type: "icmp", Code: 3}, func(p *Packet) { p.Proto, p.ICMPType = 1, 3 }, "drop "},
		{"no error to a broadcast", &snap.Reject{Type: "icmp", Code: 3}, func(p *Packet) { p.Proto, p.PktType = 17, "broadcast" }, "drop "},
	}
	for _, c := range cases {
		p := syn()
		if c.pkt != nil {
			c.pkt(&p)
		}
		got := run(t, baseTable(snap.Inet, "input", "accept", rules(snap.Exprs{c.rule})), p, world())
		if s := got[0].Verdict + " " + got[0].RejectWith; len(got) != 1 || s != c.want {
			t.Errorf("%s: got %s, want %s", c.name, s, c.want)
		}
	}
	for with, want := range map[string]string{"icmp-port-unreachable": "icmp:3/3", "icmp-admin-prohibited": "icmp:3/13", "icmp6-adm-prohibited": "icmp:1/1", "tcp-reset": "tcp-reset", "echo-reply": ""} {
		p := syn()
		if strings.HasPrefix(with, "icmp6") {
			p = syn6()
		}
		if got := runOps("input", p, world(), mustTarget(t, &fw.RejectTarget{With: with})); got[0].RejectWith != want {
			t.Errorf("%s: got %s, want %s", with, got[0].RejectWith, want)
		}
	}
}

// endpoints is kube-proxy's shape: a random number chooses a chain that maps.
func endpoints(e snap.Expr, elems ...snap.Element) *snap.Ruleset {
	end := func(n byte) snap.Exprs {
		return snap.Exprs{imm(0, 10, 0, 0, n), &snap.Nat{Type: "dnat", Family: snap.IPv4, AddrMin: 0, AddrMax: snap.NoReg, ProtoMin: snap.NoReg, ProtoMax: snap.NoReg}}
	}
	rs := baseTable(snap.IPv4, "prerouting", "accept", rules(snap.Exprs{e, &snap.Lookup{Set: "__map0", Sreg: 4, Dreg: snap.VerdictReg}}),
		chainOf("ep1", end(1)), chainOf("ep2", end(2)))
	rs.Tables[0].Sets = []snap.Set{{Name: "__map0", Anonymous: true, Map: true, KeyLen: 4, Elements: elems}}
	return rs
}

func to(key []byte, c string) snap.Element {
	return snap.Element{Key: key, Verdict: &snap.Verdict{Code: "goto", Chain: c}}
}

func TestRandomEndpoints(t *testing.T) {
	t.Parallel()
	three := []snap.Element{to([]byte{0, 0, 0, 0}, "ep1"), to([]byte{1, 0, 0, 0}, "ep2"), to([]byte{2, 0, 0, 0}, "ep2")}
	type end struct {
		To     string
		Chance float64
	}
	ends := func(list []Branch) []end {
		var out []end
		for _, b := range list {
			if b.NAT == nil || len(b.Packet.Assumed) != 1 {
				out = append(out, end{To: b.Verdict})
				continue
			}
			out = append(out, end{b.NAT.AddrMin.String(), b.Packet.Assumed[0].Chance})
		}
		return out
	}
	random := &snap.Numgen{Mode: "random", Modulus: 3, Dreg: 4}
	got := run(t, endpoints(random, three...), syn(), world())
	if d := cmp.Diff([]end{{"10.0.0.1", 1.0 / 3}, {"10.0.0.2", 2.0 / 3}}, ends(got)); d != "" {
		t.Errorf("random (-want +got):\n%s", d)
	}
	if a := got[0].Packet.Assumed[0]; !a.StateDependent || !strings.Contains(a.What, "numgen random") || got[1].Packet.Assumed[0].Key == a.Key {
		t.Errorf("assumption %+v", a)
	}
	// A hash that can't be computed leaves the endpoint open, without a chance.
	got = run(t, endpoints(&snap.Hash{Type: "symhash", Modulus: 3, Dreg: 4}, three...), syn(), world())
	if d := cmp.Diff([]end{{"10.0.0.1", 0}, {"10.0.0.2", 0}}, ends(got)); d != "" {
		t.Errorf("symhash (-want +got):\n%s", d)
	}
	// Where every endpoint is the same there is nothing to choose.
	same := []snap.Element{to([]byte{0, 0, 0, 0}, "ep1"), to([]byte{1, 0, 0, 0}, "ep1"), to([]byte{2, 0, 0, 0}, "ep1")}
	if got := run(t, endpoints(random, same...), syn(), world()); len(got) != 1 || got[0].NAT.AddrMin != netip.MustParseAddr("10.0.0.1") {
		t.Errorf("one endpoint: %v", ends(got))
	}
}

func TestStatisticChain(t *testing.T) {
	t.Parallel()
	half := stateMatch(&fw.StatisticMatch{Random: true, Probability: 1 << 30})
	p := syn()
	first := runOps("forward", p, world(), half, opFunc(func(m *machine) ctl { m.pkt.Mark = 1; return goOn }))
	if len(first) != 2 {
		t.Fatalf("%d ways, want 2", len(first))
	}
	for _, b := range first {
		a := b.Packet.Assumed
		if len(a) != 1 || a[0].Chance != 0.5 || !a[0].StateDependent {
			t.Errorf("assumed %+v", a)
		}
		// The next draw does not follow from this one.
		if again := runOps("forward", b.Packet, world(), half, opFunc(func(m *machine) ctl { m.pkt.Mark += 2; return goOn })); len(again) != 2 {
			t.Errorf("second draw: %d ways, want 2", len(again))
		}
	}
	for prob, want := range map[uint32]string{0: "accept policy mark 0", 1 << 31: "accept policy mark 1"} {
		got := runOps("forward", p, world(), stateMatch(&fw.StatisticMatch{Random: true, Probability: prob}), opFunc(func(m *machine) ctl { m.pkt.Mark = 1; return goOn }))
		if d := cmp.Diff([]string{want}, outcomes(got)); d != "" {
			t.Errorf("probability %d (-want +got):\n%s", prob, d)
		}
	}
}

func TestConnmarkTarget(t *testing.T) {
	t.Parallel()
	p := syn()
	p.Mark, p.CT.Mark = 0x12, 0xf000
	got := runOps("forward", p, world(), mustTarget(t, &fw.ConnmarkTarget{Mode: "save", CTMask: 0xff, NFMask: 0xff}))
	if m := got[0].Packet.CT.Mark; m != 0xf012 {
		t.Errorf("saved %#x, want 0xf012", m)
	}
	got = runOps("forward", p, world(), mustTarget(t, &fw.ConnmarkTarget{Mode: "restore", CTMask: 0xf000, NFMask: 0xff, ShiftRight: true, ShiftBits: 12}))
	if m := got[0].Packet.Mark; m != 0xf {
		t.Errorf("restored %#x, want 0xf", m)
	}
	p.CT = CT{State: "untracked"}
	got = runOps("forward", p, world(), mustTarget(t, &fw.ConnmarkTarget{Mode: "restore", CTMask: 0xff, NFMask: 0xff}))
	if m := got[0].Packet.Mark; m != 0x12 {
		t.Errorf("without a connection the mark became %#x", m)
	}
}

func TestNotrack(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]op{"nft": opFunc(notrack), "xt": mustTarget(t, &fw.CTTarget{Notrack: true})} {
		p := syn()
		p.CT = CT{}
		if got := runOps("prerouting", p, world(), o); !got[0].Notrack || got[0].Packet.CT.State != "untracked" {
			t.Errorf("%s: %+v", name, got[0].Packet.CT)
		}
		if got := runOps("prerouting", syn(), world(), o); got[0].Notrack || got[0].Packet.CT.State != "new" {
			t.Errorf("%s: a tracked packet became %+v", name, got[0].Packet.CT)
		}
	}
}

func TestTproxy(t *testing.T) {
	t.Parallel()
	rule := snap.Exprs{imm(0, 127, 0, 0, 1), imm(4, 0x3a, 0x98), &snap.Tproxy{Family: snap.IPv4, Addr: 0, Port: 4}, accept()}
	rs := baseTable(snap.IPv4, "prerouting", "drop", rules(rule))
	for _, c := range []struct {
		found, known bool
		want         []string
	}{{true, true, []string{"accept"}}, {false, true, []string{"drop policy"}}, {false, false, []string{"accept if", "drop policy unless"}}} {
		env := world()
		env.socket = func(p *Packet, transparent bool) (bool, bool) {
			if !transparent || p.Dst != netip.MustParseAddr("127.0.0.1") || p.Dport != 15000 {
				t.Errorf("asked for %s:%d", p.Dst, p.Dport)
			}
			return c.found, c.known
		}
		got := run(t, rs, syn(), env)
		wantVerdicts(t, got, c.want...)
		if want := netip.MustParseAddrPort("127.0.0.1:15000"); got[0].Verdict == "accept" && got[0].Tproxy != want {
			t.Errorf("handed to %s, want %s", got[0].Tproxy, want)
		}
	}
}

func TestUnknownTargets(t *testing.T) {
	t.Parallel()
	xt := func(target bool, name string) snap.Expr {
		return &snap.Xt{Target: target, Name: name, Rev: 9, Info: []byte{1}}
	}
	for _, c := range []struct {
		rule snap.Exprs
		want []string
	}{
		{snap.Exprs{xt(true, "FATE")}, []string{"unknown"}},
		{snap.Exprs{xt(true, "LOG")}, []string{"drop policy"}},
		{snap.Exprs{xt(false, "fate"), accept()}, []string{"accept if", "drop policy unless"}},
		{snap.Exprs{xt(false, "fate"), drop()}, []string{"drop"}},
	} {
		wantVerdicts(t, run(t, baseTable(snap.IPv4, "input", "drop", rules(c.rule)), syn(), world()), c.want...)
	}
	got := run(t, baseTable(snap.IPv4, "input", "drop", rules(snap.Exprs{xt(false, "fate"), accept()})), syn(), world())
	if w := got[0].Packet.Assumed[0].What; w != "match fate rev 9, which is not known, in ipv4 t base rule 1" {
		t.Errorf("assumed %q", w)
	}
}
