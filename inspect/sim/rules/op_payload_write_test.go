package rules

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// written is a rule that puts bytes into a header.
func written(base string, off int, b ...byte) snap.Exprs {
	return snap.Exprs{imm(0, b...), &snap.Payload{Base: base, Offset: off, Len: len(b), Dreg: snap.NoReg, Sreg: 0}}
}

func TestWritesIntoHeaders(t *testing.T) {
	t.Parallel()
	v4, v6 := syn, syn6
	udp := func() Packet { p := syn(); p.Proto, p.TCPFlags = snap.IPProtoUDP, 0; return p }
	for _, c := range []struct {
		name string
		pkt  func() Packet
		rule snap.Exprs
		want func(*Packet) // nil: nothing
	}{
		{"the DSCP", v4, written("nh", 1, 0xb8), func(p *Packet) { p.TOS = 0xb8 }},
		{"the time to live, and not the protocol behind it", v4, written("nh", 8, 9), func(p *Packet) { p.TTL = 9 }},
		{"do not fragment", v4, written("nh", 6, 0, 0), func(p *Packet) { p.DF = false }},
		{"the id, which is not kept", v4, written("nh", 4, 1, 2), nil},
		{"the source", v4, written("nh", 12, 192, 0, 2, 1), func(p *Packet) { p.Src = netip.MustParseAddr("192.0.2.1") }},
		{"the last byte of the destination", v4, written("nh", 19, 77), func(p *Packet) {
			b := p.Dst.As4()
			b[3] = 77
			p.Dst = netip.AddrFrom4(b)
		}},
		{"both ports", v4, written("th", 0, 0, 5, 0x1f, 0x90), func(p *Packet) { p.Sport, p.Dport = 5, 8080 }},
		{"the flags of TCP", v4, written("th", 13, TCPRST|TCPACK), func(p *Packet) { p.TCPFlags = TCPRST | TCPACK }},
		{"what is no flag of UDP", udp, written("th", 13, 4), nil},
		{"IPv6: the traffic class", v6, written("nh", 0, 0x6b, 0x80), func(p *Packet) { p.TOS = 0xb8 }},
		{"IPv6: the hop limit", v6, written("nh", 7, 9), func(p *Packet) { p.TTL = 9 }},
		{"IPv6: the destination", v6, written("nh", 24, netip.MustParseAddr("2001:db8::99").AsSlice()...), func(p *Packet) { p.Dst = netip.MustParseAddr("2001:db8::99") }},
		{"the destination's MAC", v4, written("ll", 0, 2, 0, 0, 0, 0, 9), func(p *Packet) { p.DstMAC = "02:00:00:00:00:09" }},
		{"the source's MAC", v4, written("ll", 6, 2, 0, 0, 0, 0, 9), func(p *Packet) { p.SrcMAC = "02:00:00:00:00:09" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := c.pkt()
			p.SrcMAC, p.DstMAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
			want := p
			if c.want != nil {
				c.want(&want)
			}
			got := run(t, baseTable(p.Family, "forward", "accept", rules(c.rule)), p, world())
			if len(got) != 1 || got[0].Verdict != "accept" {
				t.Fatalf("got %v, want one accept", verdicts(got))
			}
			if d := cmp.Diff(want, got[0].Packet, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

// What is written is not known, and so nothing behind it: no guess is made.
func TestUnknownBytesInAHeader(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"nh", "th"} {
		rule := snap.Exprs{&snap.Meta{Key: "random", Dreg: 0, Sreg: snap.NoReg}, &snap.Payload{Base: base, Offset: map[string]int{"nh": 16, "th": 0}[base], Len: 4, Dreg: snap.NoReg, Sreg: 0}}
		got := run(t, baseTable(snap.IPv4, "forward", "accept", rules(rule)), syn(), world())
		wantVerdicts(t, got, "unknown")
	}
}
