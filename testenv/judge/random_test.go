package judge

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/sim"
)

// The generator makes a network out of a seed, with both families, macvlan,
// vxlan, policy routing and nexthop objects, does up to four things to it, and
// sends a handful of random flows. What the kernel does to them is the truth.

// flowsPerSeed is how many flows are sent over one network.
const flowsPerSeed = 16

// seeds are those to judge: ND_SEEDS=A-B, else a few that every test run takes.
func seeds(t *testing.T) (from, to uint64) {
	t.Helper()
	v, ok := os.LookupEnv("ND_SEEDS")
	if !ok {
		return 1, 6
	}
	a, b, _ := strings.Cut(v, "-")
	from, err := strconv.ParseUint(a, 10, 32)
	to, err2 := strconv.ParseUint(b, 10, 32)
	if err != nil || err2 != nil || from > to {
		t.Fatalf("ND_SEEDS=%s: want A-B", v)
	}
	return from, to
}

// TestRandom judges what the generator makes: sim must not be wrong. What it
// calls unknown is counted and told.
func TestRandom(t *testing.T) {
	t.Parallel()
	supports(t, "macvlan, vxlan or nexthop objects", `ip link add a0 type veth peer name a1; ip link add link a0 name m0 type macvlan mode bridge
ip link add vx0 type vxlan id 42 dstport 4789; ip link set lo up; ip nexthop add id 5 blackhole`)
	from, to := seeds(t)
	var tried, refused atomic.Int32
	t.Cleanup(func() {
		if refused.Load() > tried.Load()/4 {
			t.Errorf("the kernel refused %d of %d things that were to be done", refused.Load(), tried.Load())
		}
	})
	for seed := from; seed <= to; seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			g := generate(seed)
			s := build(t, g.base())
			for _, n := range g.nodes {
				s.serve(n.ns, "tcp 80", "udp 53")
			}
			for _, line := range g.done {
				tried.Add(1)
				if !s.try(line) {
					refused.Add(1)
				}
			}
			s.weigh(g)
		})
	}
}

// try does something to the network that the kernel may refuse, after what was
// done before: it is told, and the network is as it is then.
func (s *scene) try(line string) bool {
	s.t.Helper()
	n, script, _ := strings.Cut(line, " ")
	_, err := ns.Tool{Name: "sh", Args: []string{"-ec", script}}.Run(s.t.Context(), s.ns[n])
	if err != nil {
		s.t.Logf("refused: %s: %v", line, err)
	}
	return err == nil
}

// weigh compares the kernel with sim. A flow whose answer differs when it is
// sent again is not judged: the kernel remembers redirects and path MTUs, and
// hashes of several ways go with the source port.
func (s *scene) weigh(g *generated) {
	s.t.Helper()
	w := s.read()
	var list []flow
	for range flowsPerSeed {
		list = append(list, s.parseFlow(g.flow()))
	}
	s.answers(w, list)
	got := s.send(list)
	s.again(w, list, got)
	second := s.send(list)
	s.again(w, list, second)
	agree, unknown, unstable := 0, 0, 0
	for i, f := range list {
		tr := w.Trace(f.sim)
		switch said := folded(tr); {
		case got[i].verdict != second[i].verdict:
			unstable++
		case tr.Verdict == sim.Unknown:
			unknown++
			s.t.Logf("%s: unknown: %s (the kernel: %s)", f.text, strings.Join(tr.Unknown, "; "), got[i].verdict)
		case said == got[i].verdict, string(tr.Verdict) == got[i].verdict: // a REJECT may look like either
			agree++
		default:
			s.t.Errorf("%s: the kernel says %s (%s), sim %s\ndone to the network:\n%s\n%s", f.text, got[i].verdict, got[i].detail, said, strings.Join(g.done, "\n"), s.trail(tr))
		}
	}
	s.t.Logf("agree %d of %d, unknown %d, unstable %d; done:\n%s", agree, len(list), unknown, unstable, strings.Join(g.done, "\n"))
	if agree == 0 {
		s.t.Errorf("not one flow could be judged")
	}
}

// node is a namespace with an application.
type node struct {
	ns     string
	v4, v6 string
}

// generated is one network.
type generated struct {
	r       *rand.Rand
	nodes   []node
	lines   []string // that build it
	done    []string // what is done to it then
	macvlan string   // mode; "" there is none
	vxlan   bool
}

func (g *generated) base() string { return strings.Join(g.lines, "\n") + "\n" }

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// generate makes the network of a seed.
func generate(seed uint64) *generated {
	g := &generated{r: rand.New(rand.NewPCG(seed, 0x6e64))}
	g.lines = strings.Split(strings.TrimSpace(six), "\n")
	g.nodes = []node{
		{"client", "10.0.0.2", "2001:db8::2"},
		{"web", "10.0.0.3", "2001:db8::3"},
		{"db", "10.0.1.2", "2001:db8:1::2"},
		{"world", "198.51.100.7", "2001:db8:ffff::7"},
		{"host", "10.0.0.1", "2001:db8:1::1"},
	}
	if g.r.IntN(2) == 0 {
		g.addMacvlan()
	}
	if g.r.IntN(2) == 0 {
		g.addVxlan()
	}
	for range g.r.IntN(5) {
		g.done = append(g.done, g.disturb())
	}
	return g
}

func (g *generated) add(format string, a ...any) {
	g.lines = append(g.lines, fmt.Sprintf(format, a...))
}

// addMacvlan puts two containers onto the uplink.
func (g *generated) addMacvlan() {
	g.macvlan = pick(g.r, "bridge", "bridge", "private", "vepa")
	for i, n := range []string{"one", "two"} {
		g.add("host ip link add link eth0 name mv%d type macvlan mode %s; ip link set mv%d netns @%s", i, g.macvlan, i, n)
		g.add("%s ip link set mv%d name eth0; ip addr add 192.0.2.1%d/24 dev eth0; ip -6 addr add 2001:db8:f::1%d/64 dev eth0; ip link set eth0 up", n, i, i, i)
		g.add("%s ip route add default via 192.0.2.1; ip -6 route add default via 2001:db8:f::1", n)
		g.nodes = append(g.nodes, node{n, fmt.Sprintf("192.0.2.1%d", i), fmt.Sprintf("2001:db8:f::1%d", i)})
	}
}

// addVxlan stretches br0 to another host, over IPv4 or IPv6.
func (g *generated) addVxlan() {
	g.vxlan = true
	here, there := "10.8.0.1", "10.8.0.2"
	if g.r.IntN(2) == 0 {
		here, there = "2001:db8:8::1", "2001:db8:8::2"
	}
	g.add("host ip link add eth1 type veth peer name eth0 netns @far; ip addr add 10.8.0.1/24 dev eth1; ip -6 addr add 2001:db8:8::1/64 dev eth1; ip link set eth1 up")
	g.add("far ip addr add 10.8.0.2/24 dev eth0; ip -6 addr add 2001:db8:8::2/64 dev eth0; ip link set eth0 up; ip link add br0 type bridge; ip link set br0 up")
	g.add("far ip link add vs type veth peer name eth0 netns @server; ip link set vs master br0; ip link set vs up")
	g.add("server ip addr add 10.0.0.9/24 dev eth0; ip -6 addr add 2001:db8::9/64 dev eth0; ip link set eth0 mtu 1430 up; ip route add default via 10.0.0.1; ip -6 route add default via 2001:db8::1")
	learn := pick(g.r, "learning", "learning", "nolearning")
	for _, e := range [][3]string{{"host", here, there}, {"far", there, here}} {
		g.add("%s ip link add vx0 type vxlan id 42 dstport 4789 local %s %s; ip link set vx0 master br0; ip link set vx0 up; bridge fdb append 00:00:00:00:00:00 dev vx0 dst %s", e[0], e[1], learn, e[2])
	}
	g.nodes = append(g.nodes, node{"server", "10.0.0.9", "2001:db8::9"})
}

// flow is a random question.
func (g *generated) flow() string {
	from, to := pick(g.r, g.nodes...), pick(g.r, g.nodes...)
	dst := to.v4
	if g.r.IntN(3) > 0 {
		dst = to.v6
	}
	switch g.r.IntN(12) {
	case 0:
		dst = pick(g.r, "10.0.0.77", "2001:db8::77", "10.0.1.1", "2001:db8::1", "192.0.2.2", "2001:db8:f::2", "10.77.0.1", "2001:db8:77::1")
	case 1:
		return fmt.Sprintf("%s icmp %s size=%d", from.ns, dst, pick(g.r, 13, 1400, 1472, 2000))
	}
	mark := ""
	if g.r.IntN(4) == 0 {
		mark = fmt.Sprintf(" mark=%d", pick(g.r, 1, 5, 7))
	}
	at := dst
	if strings.Contains(dst, ":") {
		at = "[" + dst + "]"
	}
	switch g.r.IntN(7) {
	case 0:
		return fmt.Sprintf("%s icmp %s%s", from.ns, dst, mark)
	case 1:
		return fmt.Sprintf("%s udp %s:%d%s", from.ns, at, pick(g.r, 53, 54), mark)
	case 2:
		return fmt.Sprintf("%s tcp %s:%d%s", from.ns, at, pick(g.r, 81, 8080), mark)
	}
	return fmt.Sprintf("%s tcp %s:80%s", from.ns, at, mark)
}
