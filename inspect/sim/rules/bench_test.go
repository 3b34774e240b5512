package rules

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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

// perRun is the processor time of one run of the first base chain, and makes sure that
// it ends as it must.
func perRun(b *testing.B, p *Program, want string) time.Duration {
	b.Helper()
	pkt, env := syn(), world()
	const runs = 2000
	start := cpu(b)
	for range runs {
		if got := p.bases[0].Run(pkt, env); got[0].Verdict != want {
			b.Fatalf("verdict %s, want %s", got[0].Verdict, want)
		}
	}
	return (cpu(b) - start) / runs
}

// cpu is the processor time that this process has used: on a machine that
// others use as well, the clock tells of them.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// ratio compares what is large with what is small, in turn in the same run.
func ratio(b *testing.B, unit string, large, small *Program, want string) {
	b.Helper()
	var l, s time.Duration
	for b.Loop() {
		s += perRun(b, small, want)
		l += perRun(b, large, want)
	}
	b.ReportMetric(float64(l)/float64(s), unit)
}

// BenchmarkLargeSets looks up in sets of 10,000 elements, beside sets of ten:
// x-ten is how many times as long it takes.
func BenchmarkLargeSets(b *testing.B) {
	be := func(i int) []byte { return []byte{10, byte(i >> 16), byte(i >> 8), byte(i)} }
	port := []byte{0, 80, 0, 0}
	kinds := map[string]func(n int) *Program{
		"hash": func(n int) *Program {
			set := snap.Set{Name: "s", KeyLen: 4, Elements: []snap.Element{el(192, 0, 2, 10)}}
			for i := range n {
				set.Elements = append(set.Elements, snap.Element{Key: be(i)})
			}
			return Compile(withSet(set, snap.Exprs{payload("nh", 12, 4), lookup(false), drop()}))
		},
		"interval": func(n int) *Program {
			set := snap.Set{Name: "s", KeyLen: 4, Interval: true, Elements: []snap.Element{between4([4]byte{192, 0, 2, 0}, [4]byte{192, 0, 2, 255})}}
			for i := range n {
				set.Elements = append(set.Elements, snap.Element{Key: be(4 * i), KeyEnd: be(4*i + 2)})
			}
			return Compile(withSet(set, snap.Exprs{payload("nh", 12, 4), lookup(false), drop()}))
		},
		"concatenation": func(n int) *Program {
			set := snap.Set{Name: "s", KeyLen: 8, Fields: []int{4, 2}, Interval: true}
			for i := range n {
				set.Elements = append(set.Elements, snap.Element{Key: append(be(i), port...), KeyEnd: append(be(i), port...)})
			}
			set.Elements = append(set.Elements, snap.Element{Key: append([]byte{192, 0, 2, 10}, port...), KeyEnd: append([]byte{192, 0, 2, 10}, port...)})
			to5 := payload("th", 2, 2)
			to5.(*snap.Payload).Dreg = 5
			return Compile(withSet(set, snap.Exprs{payload("nh", 12, 4), to5, lookup(false), drop()}))
		},
	}
	for _, kind := range []string{"hash", "interval", "concatenation"} {
		b.Run(kind, func(b *testing.B) { ratio(b, "x-ten", kinds[kind](10_000), kinds[kind](10), "drop") })
	}
}

// deepChains are chains that jump to each other, one inside of the other, with a
// drop in the innermost.
func deepChains(sys snap.System, deep int) *Program {
	var more []snap.Chain
	for i := range deep {
		next := snap.Exprs{jump(fmt.Sprintf("c%d", i+1))}
		if i == deep-1 {
			next = snap.Exprs{drop()}
		}
		more = append(more, chainOf(fmt.Sprintf("c%d", i), next))
	}
	rs := baseTable(snap.IPv4, "forward", "accept", rules(snap.Exprs{jump("c0")}), more...)
	rs.Tables[0].System = sys
	return Compile(rs)
}

// BenchmarkDeepChains goes down 200 chains, beside 200 rules of one chain.
func BenchmarkDeepChains(b *testing.B) {
	var flat []snap.Exprs
	for range 200 {
		flat = append(flat, snap.Exprs{payload("nh", 12, 4), eq(10, 0, 0, 1), drop()})
	}
	flat = append(flat, snap.Exprs{drop()})
	ratio(b, "x-flat", deepChains(snap.IPTablesLegacy, 200), Compile(baseTable(snap.IPv4, "forward", "accept", rules(flat...))), "drop")
}

// BenchmarkCompileLarge makes 50,000 rules ready to run: kept-MB is what the
// program holds beside the rules themselves, x-run how many packets could have
// gone through all of them in that time.
func BenchmarkCompileLarge(b *testing.B) {
	var list []snap.Exprs
	for i := range 50_000 {
		list = append(list, snap.Exprs{payload("nh", 12, 4), eq(10, byte(i>>16), byte(i>>8), byte(i)), payload("nh", 9, 1), eq(6), payload("th", 2, 2), eq(byte(i>>8), byte(i)), drop()})
	}
	rs := baseTable(snap.IPv4, "forward", "drop", rules(list...))
	var before, after runtime.MemStats
	var compile, run time.Duration
	pkt, env := syn(), world()
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		start := cpu(b)
		p := Compile(rs)
		compile += cpu(b) - start
		runtime.GC()
		runtime.ReadMemStats(&after)
		start = cpu(b)
		if got := p.bases[0].Run(pkt, env); got[0].Verdict != "drop" || !got[0].Place.Policy {
			b.Fatal(got[0].Verdict)
		}
		run += cpu(b) - start
		runtime.KeepAlive(p)
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "kept-MB")
	b.ReportMetric(float64(compile)/float64(run), "x-run")
}
