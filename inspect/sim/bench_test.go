package sim

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// crowd is a Docker host with n containers on four bridges and Docker's own
// shape of rules: users first, isolation in two stages, a chain of accepted
// ports, masquerade and DNAT for one port of each tenth container.
func crowd(tb testing.TB, n int) *model {
	tb.Helper()
	m := uplinked(tb)
	m.listen("internet", "tcp 0.0.0.0:80")
	fwd := m.chain("host", snap.IPv4, "filter", "forward", 0, "drop")
	t := &m.ns["host"].Ruleset.Tables[0]
	var masqs, dnats []snap.Exprs
	jump := func(chain string) snap.Exprs {
		return snap.Exprs{&snap.Counter{}, &snap.Immediate{Dreg: snap.VerdictReg, Verdict: &snap.Verdict{Code: "jump", Chain: chain}}}
	}
	established := snap.Exprs{
		&snap.Ct{Key: "state", Dreg: 0, Sreg: snap.NoReg},
		&snap.Bitwise{Sreg: 0, Sreg2: snap.NoReg, Dreg: 0, Len: 4, Op: "mask-xor", Mask: []byte{6, 0, 0, 0}, Xor: make([]byte, 4)},
		&snap.Cmp{Sreg: 0, Op: "!=", Data: make([]byte, 4)},
	}
	chains := map[string][]snap.Exprs{"forward": {jump("DOCKER-USER"), jump("DOCKER-ISOLATION-STAGE-1")}, "DOCKER-USER": {{&snap.Counter{}, verdict("return")}}}
	for i := range 4 {
		br := fmt.Sprintf("br-%d", i)
		m.bridge("host", br, fmt.Sprintf("172.%d.0.1/16", 20+i))
		masqs = append(masqs, join(match(nh(12, 2), 172, byte(20+i)), snap.Exprs{meta("oifname"), &snap.Cmp{Sreg: 0, Op: "!=", Data: append([]byte(br), make([]byte, 12)...)}}, masq()))
		chains["forward"] = append(chains["forward"],
			join(ifname("oifname", br), established, accept()), join(ifname("oifname", br), jump("DOCKER")), join(ifname("iifname", br), accept()))
		chains["DOCKER-ISOLATION-STAGE-1"] = append(chains["DOCKER-ISOLATION-STAGE-1"],
			join(ifname("iifname", br), snap.Exprs{meta("oifname"), &snap.Cmp{Sreg: 0, Op: "!=", Data: append([]byte(br), make([]byte, 12)...)}}, jump("DOCKER-ISOLATION-STAGE-2")))
		chains["DOCKER-ISOLATION-STAGE-2"] = append(chains["DOCKER-ISOLATION-STAGE-2"], join(ifname("oifname", br), drop()))
	}
	for i := range n {
		name, br := fmt.Sprintf("c%d", i), i%4
		addr := fmt.Sprintf("172.%d.%d.%d", 20+br, i/4/250, 2+i/4%250)
		m.netns(name, "")
		m.veth("host", fmt.Sprintf("veth%d", i), name, "eth0")
		m.port("host", fmt.Sprintf("veth%d", i), fmt.Sprintf("br-%d", br))
		m.addr(name, "eth0", addr+"/16")
		m.route(name, fmt.Sprintf("default via 172.%d.0.1 dev eth0", 20+br))
		m.listen(name, "tcp 0.0.0.0:80")
		if i%10 == 0 {
			dnats = append(dnats, join(daddr("192.0.2.2"), l4(6), dport(uint16(8000+i)), dnat(addr, 80)))
			chains["DOCKER"] = append(chains["DOCKER"], join(daddr(addr), l4(6), dport(80), accept()))
		}
	}
	t.Chains = nil
	for _, c := range []string{"forward", "DOCKER-USER", "DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2", "DOCKER"} {
		x := snap.Chain{Name: c}
		if c == "forward" {
			x = *fwd
		}
		for i, e := range chains[c] {
			x.Rules = append(x.Rules, snap.Rule{Handle: uint64(i + 1), Num: i + 1, Exprs: e, Packets: -1, Bytes: -1})
		}
		t.Chains = append(t.Chains, x)
	}
	m.chain("host", snap.IPv4, "nat", "postrouting", 100, "accept", masqs...)
	m.chain("host", snap.IPv4, "nat", "prerouting", -100, "accept", dnats...)
	return m
}

// cpu is the processor time that this process has used: on a machine that
// others use as well, what a flow costs is told by it and not by the clock.
func cpu(tb testing.TB) time.Duration {
	tb.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkMatrix predicts the matrix of 200 containers, all pairs. The goal
// is 50,000 flows a second and core.
func BenchmarkMatrix(b *testing.B) {
	const n = 200
	m := crowd(b, n)
	w := m.world()
	addr := func(i int) netip.Addr { return m.ns[fmt.Sprintf("c%d", i)].Addrs[2].Prefix.Addr() }
	flow := func(i int) Flow {
		from, to := i%n, i/n%n
		return Flow{From: fmt.Sprintf("c%d", from), Dst: addr(to), Proto: snap.TCP, Dport: 80}
	}
	verdicts := map[Verdict]int{}
	for i := range n * n {
		verdicts[w.Trace(flow(i)).Verdict]++
	}
	if verdicts[Unknown] > 0 || verdicts[Delivered] < n*n/5 || verdicts[Dropped] < n*n/2 {
		b.Fatalf("verdicts %v", verdicts)
	}
	b.ReportAllocs()
	i, start := 0, cpu(b)
	for b.Loop() {
		w.Trace(flow(i))
		i++
	}
	b.ReportMetric(float64(i)/(cpu(b)-start).Seconds(), "flows/s/core")
}
