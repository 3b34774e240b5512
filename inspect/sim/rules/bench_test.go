package rules

import (
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// dockerForward is the shape of Docker's FORWARD chain: a few jumps and
// matches, accepted by the state.
func dockerForward() *snap.Ruleset {
	ifname := func(key, name string) []snap.Expr {
		var b [16]byte
		copy(b[:], name)
		return []snap.Expr{meta(key), eq(b[:]...)}
	}
	rule := func(parts ...[]snap.Expr) snap.Exprs {
		var out snap.Exprs
		for _, p := range parts {
			out = append(out, p...)
		}
		return out
	}
	one := func(x ...snap.Expr) []snap.Expr { return x }
	established := one(&snap.Ct{Key: "state", Dreg: 4, Sreg: snap.NoReg},
		&snap.Bitwise{Sreg: 4, Sreg2: snap.NoReg, Dreg: 4, Len: 4, Op: "mask-xor", Mask: []byte{6, 0, 0, 0}, Xor: make([]byte, 4)}, ne(0, 0, 0, 0))
	return baseTable(snap.IPv4, "forward", "drop",
		rules(
			snap.Exprs{&snap.Counter{}, jump("DOCKER-USER")},
			snap.Exprs{&snap.Counter{}, jump("DOCKER-ISOLATION")},
			rule(ifname("oifname", "br0"), established, one(&snap.Counter{}, accept())),
			rule(ifname("oifname", "br0"), one(&snap.Counter{}, jump("DOCKER"))),
			rule(ifname("iifname", "br0"), one(&snap.Counter{}, accept())),
		),
		chainOf("DOCKER-USER", snap.Exprs{&snap.Counter{}, verdict("return")}),
		chainOf("DOCKER-ISOLATION", rule(ifname("iifname", "br0"), one(&snap.Counter{}, drop())), snap.Exprs{verdict("return")}),
		chainOf("DOCKER", rule(one(payload("nh", 16, 4), eq(203, 0, 113, 5), payload("nh", 9, 1), eq(6), payload("th", 2, 2), eq(0, 80), accept()))),
	)
}

func BenchmarkRunDocker(b *testing.B) {
	p := Compile(dockerForward())
	pkt, env := syn(), world()
	pkt.Oif = 3
	b.ReportAllocs()
	for b.Loop() {
		if got := p.bases[0].Run(pkt, env); got[0].Verdict != "accept" {
			b.Fatal(got[0].Verdict)
		}
	}
}

func BenchmarkRunThousandRules(b *testing.B) {
	var list []snap.Exprs
	for i := range 1000 {
		list = append(list, snap.Exprs{payload("nh", 12, 4), eq(10, 0, byte(i>>8), byte(i)), payload("nh", 9, 1), eq(6), drop()})
	}
	p := Compile(baseTable(snap.IPv4, "forward", "accept", rules(list...)))
	pkt, env := syn(), world()
	for b.Loop() {
		p.bases[0].Run(pkt, env)
	}
}
