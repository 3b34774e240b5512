package rules

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// fakeEnv is an Env made of tables.
type fakeEnv struct {
	links   []snap.Link
	types   map[string]string // address, or address%ifindex
	fib     func(FIBQuery) (int, string, bool)
	ipsets  []snap.IPSet
	recent  []snap.RecentList
	limits  []snap.HashLimit
	sysctls map[string]string
	socket  func(p *Packet, transparent bool) (bool, bool)
	open    uint32 // connections; 0 not known
	queues  []uint16
	first   map[int]netip.Addr // by ifindex
	now     time.Time
}

func (e *fakeEnv) Link(i int) *snap.Link {
	for n := range e.links {
		if e.links[n].Index == i {
			return &e.links[n]
		}
	}
	return nil
}

func (e *fakeEnv) AddrType(a netip.Addr, dev int) string {
	if t, ok := e.types[a.String()+"%"+e.name(dev)]; ok {
		return t
	}
	if t, ok := e.types[a.String()]; ok {
		return t
	}
	return "unicast"
}

func (e *fakeEnv) name(dev int) string {
	if l := e.Link(dev); l != nil {
		return l.Name
	}
	return ""
}

func (e *fakeEnv) FIB(q FIBQuery) (int, string, bool) {
	if e.fib == nil {
		return 0, "", false
	}
	return e.fib(q)
}

func (e *fakeEnv) IPSet(name string) *snap.IPSet {
	for i := range e.ipsets {
		if e.ipsets[i].Name == name {
			return &e.ipsets[i]
		}
	}
	return nil
}

func (e *fakeEnv) IPSetAt(index int) *snap.IPSet {
	for i := range e.ipsets {
		if e.ipsets[i].Index == index {
			return &e.ipsets[i]
		}
	}
	return nil
}

func (e *fakeEnv) Recent(name string) *snap.RecentList {
	return (&snap.Netns{Recent: e.recent}).RecentList(name)
}

func (e *fakeEnv) HashLimit(name string, fam snap.Family) *snap.HashLimit {
	return (&snap.Netns{HashLimits: e.limits}).HashLimit(name, fam)
}

func (e *fakeEnv) Sysctl(key string) (string, bool) { v, ok := e.sysctls[key]; return v, ok }

func (e *fakeEnv) Socket(p *Packet, transparent bool) (bool, bool) {
	if e.socket == nil {
		return false, false
	}
	return e.socket(p, transparent)
}

func (e *fakeEnv) Connections(a, mask netip.Addr, to bool) (uint32, bool) {
	return e.open, e.open > 0
}

func (e *fakeEnv) Queued(num uint16) (taken, known bool) {
	return slices.Contains(e.queues, num), e.queues != nil
}

func (e *fakeEnv) DeviceAddr(dev int, fam snap.Family) netip.Addr { return e.first[dev] }

func (e *fakeEnv) Now() time.Time { return e.now }

// world has lo 1, eth0 2, br0 3 and its port veth1 4.
func world() *fakeEnv {
	return &fakeEnv{
		links: []snap.Link{
			{Index: 1, Name: "lo", Kind: "loopback", Loopback: true, MTU: 65536},
			{Index: 2, Name: "eth0", MAC: "02:00:00:00:00:02", MTU: 1500, Group: 7},
			{Index: 3, Name: "br0", Kind: "bridge", MAC: "02:00:00:00:00:03", MTU: 1500, Bridge: &snap.Bridge{}},
			{Index: 4, Name: "veth1", Kind: "veth", MAC: "02:00:00:00:00:04", MTU: 1500, Master: 3, Port: &snap.BridgePort{State: 3}},
		},
		types: map[string]string{"192.0.2.1": "local", "192.0.2.255": "broadcast", "198.51.100.1": "local", "198.51.100.1%eth0": "unicast"},
		now:   time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC),
	}
}

// syn is a first TCP packet from 192.0.2.10:40000 to 203.0.113.5:80 that came
// in by eth0.
func syn() Packet {
	return Packet{
		Family: snap.IPv4, Proto: 6, Src: netip.MustParseAddr("192.0.2.10"), Dst: netip.MustParseAddr("203.0.113.5"),
		Sport: 40000, Dport: 80, TCPFlags: 2, TCPMSS: 1460, TTL: 64, Len: 60, DF: true, PktType: "host", Iif: 2,
		SrcMAC: "02:00:00:00:00:0a", DstMAC: "02:00:00:00:00:02",
		CT: CT{
			State: "new",
			Orig:  snap.Tuple{Src: netip.MustParseAddrPort("192.0.2.10:40000"), Dst: netip.MustParseAddrPort("203.0.113.5:80")},
		},
	}
}

func syn6() Packet {
	p := syn()
	p.Family, p.Src, p.Dst, p.Len = snap.IPv6, netip.MustParseAddr("2001:db8::10"), netip.MustParseAddr("2001:db8:1::5"), 80
	p.CT.Orig = snap.Tuple{}
	return p
}

// Short forms of expressions.
func drop() snap.Expr   { return verdict("drop") }
func accept() snap.Expr { return verdict("accept") }

func verdict(code string) snap.Expr {
	return &snap.Immediate{Dreg: snap.VerdictReg, Verdict: &snap.Verdict{Code: code}}
}

func jump(c string) snap.Expr {
	return &snap.Immediate{Dreg: snap.VerdictReg, Verdict: &snap.Verdict{Code: "jump", Chain: c}}
}

func gotoChain(c string) snap.Expr {
	return &snap.Immediate{Dreg: snap.VerdictReg, Verdict: &snap.Verdict{Code: "goto", Chain: c}}
}

func meta(key string) snap.Expr { return &snap.Meta{Key: key, Dreg: 4, Sreg: snap.NoReg} }

func payload(base string, off, n int) snap.Expr {
	return &snap.Payload{Base: base, Offset: off, Len: n, Dreg: 4, Sreg: snap.NoReg}
}

func eq(b ...byte) snap.Expr { return &snap.Cmp{Sreg: 4, Op: "==", Data: b} }
func ne(b ...byte) snap.Expr { return &snap.Cmp{Sreg: 4, Op: "!=", Data: b} }

// markAs sets the packet's mark, which tests use to see where it has been.
func markAs(n byte) []snap.Expr {
	return []snap.Expr{
		&snap.Immediate{Dreg: 0, Data: []byte{n, 0, 0, 0}}, &snap.Meta{Key: "mark", Dreg: snap.NoReg, Sreg: 0},
	}
}

func rules(list ...snap.Exprs) []snap.Rule {
	out := make([]snap.Rule, len(list))
	for i, x := range list {
		out[i] = snap.Rule{Num: i + 1, Exprs: x}
	}
	return out
}

// base makes a table with one base chain and others.
func baseTable(fam snap.Family, hook, policy string, list []snap.Rule, more ...snap.Chain) *snap.Ruleset {
	t := snap.Table{System: snap.NFT, Family: fam, Name: "t"}
	t.Chains = append([]snap.Chain{{Name: "base", Hook: hook, Type: "filter", Policy: policy, Rules: list}}, more...)
	return &snap.Ruleset{Tables: []snap.Table{t}}
}

// run runs the packet through the only base chain there is.
func run(t *testing.T, rs *snap.Ruleset, p Packet, env Env) []Branch {
	t.Helper()
	prog := Compile(rs)
	if len(prog.bases) != 1 {
		t.Fatalf("%d base chains, want 1", len(prog.bases))
	}
	return prog.bases[0].Run(p, env)
}

// verdicts are the verdicts of branches, with what was assumed.
func verdicts(list []Branch) []string {
	var out []string
	for _, b := range list {
		s := b.Verdict
		if b.Place.Policy {
			s += " policy"
		}
		for _, a := range b.Packet.Assumed {
			if a.Value {
				s += " if"
			} else {
				s += " unless"
			}
			if a.StateDependent {
				s += " state"
			}
		}
		out = append(out, s)
	}
	return out
}

func wantVerdicts(t *testing.T, got []Branch, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, verdicts(got)); d != "" {
		for _, b := range got {
			t.Logf("%s: %s %v", b.Verdict, b.Unknown, b.Packet.Assumed)
		}
		t.Errorf("verdicts (-want +got):\n%s", d)
	}
}

func TestRunMatches(t *testing.T) {
	t.Parallel()
	ten := netip.MustParseAddr("10.0.0.1")
	cases := []struct {
		name  string
		exprs snap.Exprs
		pkt   func(*Packet)
		want  string // "drop" when the rule matches
	}{
		{"source address", snap.Exprs{payload("nh", 12, 4), eq(192, 0, 2, 10)}, nil, "drop"},
		{"other source address", snap.Exprs{payload("nh", 12, 4), eq(192, 0, 2, 11)}, nil, "accept policy"},
		{"destination port", snap.Exprs{payload("th", 2, 2), eq(0, 80)}, nil, "drop"},
		{"destination port of a later fragment", snap.Exprs{payload("th", 2, 2), ne(0, 81)}, func(p *Packet) { p.Frag = true }, "accept policy"},
		{"prefix by mask", snap.Exprs{
			payload("nh", 12, 4), &snap.Bitwise{Sreg: 4, Sreg2: snap.NoReg, Dreg: 4, Len: 4, Op: "mask-xor", Mask: []byte{255, 255, 255, 0}, Xor: make([]byte, 4)},
			eq(192, 0, 2, 0),
		}, nil, "drop"},
		{"prefix by a shorter load", snap.Exprs{payload("nh", 12, 3), eq(192, 0, 2)}, nil, "drop"},
		{"whole device name is padded", snap.Exprs{meta("iifname"), eq([]byte("eth0\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")...)}, nil, "drop"},
		{"device name without padding is a prefix", snap.Exprs{meta("iifname"), eq([]byte("eth")...)}, nil, "drop"},
		{"longer device name is another", snap.Exprs{meta("iifname"), eq([]byte("eth\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")...)}, nil, "accept policy"},
		{"no device has the empty name", snap.Exprs{meta("oifname"), ne([]byte("eth0\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")...)}, nil, "drop"},
		{"mark is in host order", snap.Exprs{meta("mark"), eq(1, 2, 0, 0)}, func(p *Packet) { p.Mark = 0x201 }, "drop"},
		{"protocol is in network order", snap.Exprs{meta("protocol"), eq(8, 0)}, nil, "drop"},
		{"state new", snap.Exprs{&snap.Ct{Key: "state", Dreg: 4, Sreg: snap.NoReg}, eq(8, 0, 0, 0)}, nil, "drop"},
		{"no conntrack is invalid", snap.Exprs{&snap.Ct{Key: "state", Dreg: 4, Sreg: snap.NoReg}, eq(1, 0, 0, 0)}, func(p *Packet) { p.CT = CT{} }, "drop"},
		{"mark of no connection breaks off", snap.Exprs{&snap.Ct{Key: "mark", Dreg: 4, Sreg: snap.NoReg}, eq(0, 0, 0, 0)}, func(p *Packet) { p.CT = CT{} }, "accept policy"},
		{"greater than in network order", snap.Exprs{payload("th", 2, 2), &snap.Cmp{Sreg: 4, Op: ">", Data: []byte{0, 79}}}, nil, "drop"},
		{"not less than", snap.Exprs{payload("th", 2, 2), &snap.Cmp{Sreg: 4, Op: "<", Data: []byte{0, 80}}}, nil, "accept policy"},
		{"range", snap.Exprs{payload("th", 0, 2), &snap.Range{Sreg: 4, Op: "==", From: []byte{0x9c, 0x40}, To: []byte{0xff, 0xff}}}, nil, "drop"},
		{"outside a range", snap.Exprs{payload("th", 0, 2), &snap.Range{Sreg: 4, Op: "!=", From: []byte{0x9c, 0x40}, To: []byte{0xff, 0xff}}}, nil, "accept policy"},
		{"flags SYN without ACK", snap.Exprs{
			payload("th", 13, 1), &snap.Bitwise{Sreg: 4, Sreg2: snap.NoReg, Dreg: 4, Len: 1, Op: "mask-xor", Mask: []byte{0x12}, Xor: []byte{0}}, eq(2),
		}, nil, "drop"},
		{"ports of ICMP are type and code", snap.Exprs{payload("th", 0, 2), eq(8, 0)}, func(p *Packet) { p.Proto, p.ICMPType = 1, 8 }, "drop"},
		{"shift left", snap.Exprs{meta("mark"), &snap.Bitwise{Sreg: 4, Sreg2: snap.NoReg, Dreg: 4, Len: 4, Op: "<<", Data: []byte{8, 0, 0, 0}}, eq(0, 5, 0, 0)}, func(p *Packet) { p.Mark = 5 }, "drop"},
		{"shift right", snap.Exprs{meta("mark"), &snap.Bitwise{Sreg: 4, Sreg2: snap.NoReg, Dreg: 4, Len: 4, Op: ">>", Data: []byte{4, 0, 0, 0}}, eq(5, 0, 0, 0)}, func(p *Packet) { p.Mark = 0x5f }, "drop"},
		{"byte order", snap.Exprs{meta("mark"), &snap.Byteorder{Sreg: 4, Dreg: 4, Op: "hton", Len: 4, Size: 4}, eq(0, 0, 2, 1)}, func(p *Packet) { p.Mark = 0x201 }, "drop"},
		{"group of the device it came by", snap.Exprs{meta("iifgroup"), eq(7, 0, 0, 0)}, nil, "drop"},
		{"group of no device breaks off", snap.Exprs{meta("oifgroup"), eq(0, 0, 0, 0)}, nil, "accept policy"},
		{"packet type", snap.Exprs{meta("pkttype"), eq(1)}, func(p *Packet) { p.PktType = "broadcast" }, "drop"},
		{"length", snap.Exprs{meta("len"), eq(60, 0, 0, 0)}, nil, "drop"},
		{"source hardware address", snap.Exprs{payload("ll", 6, 6), eq(2, 0, 0, 0, 0, 10)}, nil, "drop"},
		{"hardware address of a local packet breaks off", snap.Exprs{payload("ll", 6, 6), ne(1, 1, 1, 1, 1, 1)}, func(p *Packet) { p.SrcMAC, p.DstMAC, p.Local = "", "", &Sender{} }, "accept policy"},
		{"owner", snap.Exprs{meta("skuid"), eq(233, 3, 0, 0)}, func(p *Packet) { p.Local = &Sender{UID: 1001, KnownID: true} }, "drop"},
		{"owner of a received packet breaks off", snap.Exprs{meta("skuid"), ne(233, 3, 0, 0)}, nil, "accept policy"},
		{"type of the destination", snap.Exprs{&snap.Fib{Result: "type", Flags: []string{"daddr"}, Dreg: 4}, eq(2, 0, 0, 0)}, func(p *Packet) { p.Dst = netip.MustParseAddr("192.0.2.1") }, "drop"},
		{"type limited to the device", snap.Exprs{&snap.Fib{Result: "type", Flags: []string{"daddr", "iif"}, Dreg: 4}, eq(2, 0, 0, 0)}, func(p *Packet) { p.Dst = netip.MustParseAddr("198.51.100.1") }, "accept policy"},
		{"original destination", snap.Exprs{&snap.Ct{Key: "dst", Dir: "original", Dreg: 4, Sreg: snap.NoReg}, eq(203, 0, 113, 5)}, func(p *Packet) { p.Dst = ten }, "drop"},
		{"original destination port", snap.Exprs{&snap.Ct{Key: "proto-dst", Dir: "original", Dreg: 4, Sreg: snap.NoReg}, eq(0, 80)}, func(p *Packet) { p.Dport = 8080 }, "drop"},
		{"status dnat", snap.Exprs{
			&snap.Ct{Key: "status", Dreg: 4, Sreg: snap.NoReg},
			&snap.Bitwise{Sreg: 4, Sreg2: snap.NoReg, Dreg: 4, Len: 4, Op: "mask-xor", Mask: []byte{0x20, 0, 0, 0}, Xor: make([]byte, 4)}, ne(0, 0, 0, 0),
		}, func(p *Packet) { p.CT.DNAT = true }, "drop"},
		{"maximum segment size", snap.Exprs{&snap.Exthdr{Op: "tcpopt", Type: 2, Offset: 2, Len: 2, Dreg: 4, Sreg: snap.NoReg}, eq(5, 180)}, nil, "drop"},
		{"no IPv6 extension header", snap.Exprs{&snap.Exthdr{Op: "ipv6", Type: 43, Present: true, Len: 1, Dreg: 4, Sreg: snap.NoReg}, eq(0)}, nil, "drop"},
		{"traffic class without the flow label", snap.Exprs{
			payload("nh", 0, 2), &snap.Bitwise{Sreg: 4, Sreg2: snap.NoReg, Dreg: 4, Len: 2, Op: "mask-xor", Mask: []byte{0x0f, 0xc0}, Xor: []byte{0, 0}}, eq(2, 0),
		}, func(p *Packet) { *p = syn6(); p.TOS = 0x20 }, "drop"},
		{"IPv6 source", snap.Exprs{meta("nfproto"), eq(10), payload("nh", 8, 16), eq(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16)}, func(p *Packet) { *p = syn6() }, "drop"},
		{"the other family of an inet chain", snap.Exprs{meta("nfproto"), eq(2), payload("nh", 12, 4), ne(9, 9, 9, 9)}, func(p *Packet) { *p = syn6() }, "accept policy"},
		{"hour of the day in UTC", snap.Exprs{meta("hour"), &snap.Byteorder{Sreg: 4, Dreg: 4, Op: "hton", Len: 4, Size: 4}, &snap.Range{Sreg: 4, Op: "==", From: []byte{0, 0, 0x62, 0x70}, To: []byte{0, 0, 0x70, 0x80}}}, nil, "drop"},
		{"a socket that is not there", snap.Exprs{&snap.SocketExpr{Key: "transparent", Dreg: 4}, eq(0)}, nil, "accept policy"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := syn()
			if c.pkt != nil {
				c.pkt(&p)
			}
			env := world()
			env.socket = func(*Packet, bool) (bool, bool) { return false, true }
			rs := baseTable(snap.Inet, "input", "accept", rules(append(c.exprs, drop())))
			wantVerdicts(t, run(t, rs, p, env), c.want)
		})
	}
}
