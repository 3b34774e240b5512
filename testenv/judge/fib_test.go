package judge

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// fibs makes routing tables by a seed: routes of every type, metric and family in three
// tables, several nexthops, nexthop objects, neighbours of every state, policy rules, and
// devices that are down or have no carrier. Labels of addresses (ip addrlabel) are left
// as they are: they are not read.
type fibs struct {
	*rand.Rand
	lines []string
}

func (f *fibs) one(list ...string) string { return list[f.IntN(len(list))] }

// often gives the text once in n times, else "".
func (f *fibs) often(n int, text string) string {
	if f.IntN(n) > 0 {
		return ""
	}
	return " " + text
}

func (f *fibs) add(format string, args ...any) {
	f.lines = append(f.lines, fmt.Sprintf(format, args...))
}

// Prefixes that lie in each other, so that which one is the longest matters.
var fibPrefixes = map[string][]string{
	"-4": {"default", "default", "0.0.0.0/1", "198.51.100.0/24", "198.51.100.0/25", "198.51.100.7", "10.1.0.0/16", "10.1.0.0/24", "10.2.0.128/25", "10.3.0.9"},
	"-6": {"default", "default", "2001:db8::/32", "2001:db8:1::/48", "2001:db8:1::7", "fd00:1::/48", "fd00:1::/64", "fd00:2::/65", "fd00:3::9"},
}

var fibDests = map[string][]string{
	"-4": {"198.51.100.7", "198.51.100.8", "198.51.100.200", "203.0.113.1", "10.1.0.1", "10.1.0.9", "10.1.7.7", "10.2.0.200", "10.3.0.9", "10.0.0.2", "10.2.0.2", "127.0.0.1", "10.1.0.255"},
	"-6": {"2001:db8::1", "2001:db8:1::7", "2001:db8:1::8", "2001:db8:2::1", "2620:fe::9", "fd00:1::1", "fd00:1:0:1::1", "fd00:2::1", "fd00:3::9", "fd00::2", "::1"},
}

func (f *fibs) gateway(fam string, dev int) string {
	if fam == "-4" {
		return fmt.Sprintf("10.%d.0.1", dev)
	}
	return fmt.Sprintf("fd00:%d::1", dev)
}

const fibDevs = 5

// set sets a sysctl of net.
func (f *fibs) set(val, format string, args ...any) {
	f.add("echo %s > /proc/sys/net/%s", val, fmt.Sprintf(format, args...))
}

func (f *fibs) route(fam string) {
	dev := f.IntN(fibDevs)
	verb := f.one("add", "append", "prepend")
	to := f.one(fibPrefixes[fam]...)
	tail := f.often(3, "metric "+f.one("5", "5", "20", "1024")) + f.often(3, "table "+f.one("101", "102")) + f.often(9, "mtu 1300")
	if fam == "-6" {
		tail += f.often(5, "pref "+f.one("low", "high"))
	} else {
		tail += f.often(8, "tos 0x10")
	}
	gw := f.gateway(fam, dev)
	switch f.IntN(9) {
	case 0:
		f.add("ip %s route %s %s %s%s", fam, verb, f.one("unreachable", "blackhole", "prohibit", "throw"), to, tail)
	case 1:
		f.add("ip %s route %s %s dev d%d%s", fam, verb, to, dev, tail)
	case 2:
		f.add("ip %s route %s %s%s nexthop via %s dev d%d weight %d nexthop via %s dev d%d", fam, verb, to, tail, gw, dev, 1+f.IntN(3), f.gateway(fam, (dev+1)%fibDevs), (dev+1)%fibDevs)
	case 3:
		id := f.one("1", "2", "3", "9")
		if fam == "-6" {
			id = "1" + id
		}
		f.add("ip %s route %s %s nhid %s%s", fam, verb, to, id, tail)
	default:
		f.add("ip %s route %s %s via %s dev d%d%s%s", fam, verb, to, gw, dev, f.often(6, "onlink"), tail)
	}
}

func (f *fibs) rule(fam string) {
	what := f.one("from all", "from all", "from "+f.one(fibDests[fam]...), "to "+f.one(fibPrefixes[fam][3:]...), fmt.Sprintf("iif d%d", f.IntN(fibDevs)), "iif lo", fmt.Sprintf("oif d%d", f.IntN(fibDevs)),
		"fwmark "+f.one("1", "2/0x2", "0x10/0x30"), "ipproto "+f.one("tcp", "udp")+f.often(2, "dport "+f.one("80", "50-60")), "uidrange 0-0", "not from "+f.one(fibDests[fam]...))
	do := f.one("table 101", "table 102", "table 101", "table main suppress_prefixlength "+f.one("0", "8", "24"), "blackhole", "prohibit", "unreachable", "goto 90")
	f.add("ip %s rule add pref %d %s %s", fam, 1+f.IntN(80), what, do)
}

// fibOf is a namespace by a seed.
func fibOf(seed uint64) *fibs {
	f := &fibs{Rand: rand.New(rand.NewPCG(seed, 7))}
	for i := range fibDevs {
		f.add("ip link add d%d type veth peer name p%d; ip link set d%d up; ip link set p%d up; ip addr add 10.%d.0.2/24 dev d%d; ip -6 addr add fd00:%d::2/64 dev d%d nodad", i, i, i, i, i, i, i, i)
	}
	for range f.IntN(6) {
		dev := f.IntN(fibDevs)
		f.add("ip addr add %s dev d%d%s", f.one("10.1.0.77/24", "10.1.0.78/24", "10.9.9.9/32", "10.9.9.8 peer 198.51.100.8", "198.51.100.77/24", "169.254.3.3/16", "172.16.0.1/30"), dev, f.often(2, "scope "+f.one("link", "host", "global", "200"))+f.often(4, "noprefixroute"))
	}
	for range f.IntN(6) {
		dev := f.IntN(fibDevs)
		f.add("ip -6 addr add %s dev d%d nodad%s", f.one("2001:db8:1::77/64", "2001:db8:1::78/128", "2001:db8:7::1/64", "fd00:1::77/64", "fd77::1/64", "fe80::77/64", "2002:102:304::1/48", "2001::5/32", "3ffe::1/64", "::192.0.2.1/96"), dev, f.often(3, "preferred_lft 0 valid_lft forever")+f.often(3, f.one("home", "noprefixroute", "scope host", "scope link")))
	}
	if f.IntN(5) == 0 {
		f.set("1", "ipv6/conf/d%d/use_oif_addrs_only", f.IntN(fibDevs))
	}
	f.add("for i in $(seq 200); do [ $(ip -6 -o addr show scope link | grep -vc tentative) -ge %d ] && break; sleep 0.02; done", 2*fibDevs)
	f.set(f.one("0", "1", "1"), "ipv4/ip_forward")
	f.set(f.one("0", "0", "1"), "ipv6/conf/all/forwarding")
	f.set(f.one("0", "1"), "ipv4/conf/all/ignore_routes_with_linkdown")
	f.set(f.one("0", "1"), "ipv6/conf/all/ignore_routes_with_linkdown")
	f.set(f.one("1", "2"), "ipv4/conf/d%d/rp_filter", f.IntN(fibDevs))
	f.set("1", "ipv4/conf/d%d/accept_local", f.IntN(fibDevs))
	f.set("1", "ipv4/conf/d%d/route_localnet", f.IntN(fibDevs))
	f.add("ip nexthop add id 11 via fd00:1::1 dev d1; ip nexthop add id 12 via fd00:2::1 dev d2; ip -6 nexthop add id 13 blackhole; ip nexthop add id 19 group 11,2/12")
	f.add("ip nexthop add id 1 via 10.1.0.1 dev d1; ip nexthop add id 2 via 10.2.0.1 dev d2; ip nexthop add id 3 blackhole; ip nexthop add id 9 group 1,2/2")
	for range 3 + f.IntN(6) {
		f.route("-4")
		f.route("-6")
	}
	for range f.IntN(4) {
		f.rule(f.one("-4", "-6"))
	}
	for range f.IntN(8) {
		dev := f.IntN(fibDevs)
		fam := f.one("-4", "-6")
		f.add("ip %s neigh replace %s dev d%d lladdr 02:00:00:00:00:09 nud %s", fam, f.gateway(fam, dev), dev, f.one("reachable", "stale", "failed", "failed", "permanent"))
	}
	if f.IntN(3) == 0 {
		f.add("ip link set d%d down", f.IntN(fibDevs))
	}
	if f.IntN(3) == 0 {
		dev := f.IntN(fibDevs)
		f.add("ip link set p%d down; for i in $(seq 100); do ip link show d%d | grep -q NO-CARRIER && break; sleep 0.02; done", dev, dev)
	}
	return f
}

// question is one of those that the kernel is asked.
func (f *fibs) question(n *snap.Netns) kernel.RouteQuery {
	fam := f.one("-4", "-6")
	q := kernel.RouteQuery{Dst: netip.MustParseAddr(f.one(fibDests[fam]...))}
	dev := f.IntN(fibDevs)
	link := n.Link(fmt.Sprintf("d%d", dev))
	switch f.IntN(6) {
	case 0, 1:
		if !link.Up {
			break // nothing comes in there
		}
		q.Iif, q.Src = link.Index, netip.MustParseAddr(f.one(append(fibDests[fam], f.gateway(fam, dev))...))
	case 2:
		own := netip.MustParseAddr(strings.TrimSuffix(f.gateway(fam, dev), "1") + "2")
		if _, ok := n.HasAddr(own); ok { // RTM_GETROUTE does not ask whose an IPv6 source is
			q.Src = own
		}
	case 3:
		q.Oif = link.Index
	}
	if f.IntN(4) == 0 {
		q.Mark = []uint32{1, 2, 0x10, 0x30}[f.IntN(4)]
	}
	if f.IntN(3) == 0 {
		q.Proto, q.Sport, q.Dport = snap.Proto(f.one("tcp", "udp")), 4000, []uint16{80, 55, 7}[f.IntN(3)]
	}
	return q
}

// TestFIB asks the kernel for ways through routing tables that nobody thought of, and
// sim for the same: the decision, the nexthop, and the table must be one.
func TestFIB(t *testing.T) {
	t.Parallel()
	supports(t, "nexthop objects", `ip link set lo up; ip nexthop add id 5 blackhole`)
	from, to := seeds(t)
	var asked, refused, tried atomic.Int32
	t.Cleanup(func() {
		t.Logf("%d ways asked for; %d of %d changes refused by the kernel", asked.Load(), refused.Load(), tried.Load())
		if refused.Load() > tried.Load()/10 {
			t.Errorf("the kernel refused %d of %d things that were to be done", refused.Load(), tried.Load())
		}
	})
	for seed := from; seed <= to; seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			f := fibOf(seed)
			s := build(t, "host true")
			for _, line := range f.lines {
				tried.Add(1)
				if !s.try("host " + line) {
					refused.Add(1)
				}
			}
			w := s.read()
			n := s.snap.Ns(s.ids["host"])
			var qs []kernel.RouteQuery
			for range 200 {
				qs = append(qs, f.question(n))
			}
			got, err := kernel.AskRoutes(t.Context(), s.ns["host"], qs)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range got {
				asked.Add(1)
				r := w.Route(n.ID, sim.Asked(n, a))
				if d := r.Contradicts(n, a); d != "" {
					t.Errorf("%+v: %s (%s)", sim.Asked(n, a), d, r.Detail)
				}
			}
			if t.Failed() {
				t.Logf("made by:\n%s", strings.Join(f.lines, "\n"))
			}
		})
	}
}
