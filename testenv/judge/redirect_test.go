package judge

import (
	"strings"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/sim"
)

// detour is web with an address that makes it take its neighbours on br0 to be
// behind the gateway, and a host that drops what web sends back by that way.
const detour = six + `
web ip addr del 10.0.0.3/24 dev eth0; ip addr add 10.0.0.3/32 dev eth0; ip route add 10.0.0.1/32 dev eth0; ip route add default via 10.0.0.1
host nft 'add table ip f; add chain ip f f { type filter hook forward priority 0; }; add rule ip f f ip saddr 10.0.0.3 ip daddr 10.0.0.2 iif br0 oif br0 drop'; echo 0 > /proc/sys/net/bridge/bridge-nf-call-iptables
`

// TestRedirect is about what an ICMP redirect may teach: the first packet is
// lost in the host's rule, a later one goes straight to its neighbour. What a
// host remembers of it holds for minutes, so sim may promise neither.
func TestRedirect(t *testing.T) {
	t.Parallel()
	s := build(t, detour)
	s.serveSix()
	f := s.parseFlow
	s.read()
	cold := s.read().Trace(f("web tcp 10.0.0.2:80").sim)
	if cold.Verdict != sim.Unknown || !strings.Contains(strings.Join(cold.Unknown, " "), "ICMP redirect") {
		t.Errorf("before a redirect: %s %q\n%s", cold.Verdict, cold.Unknown, s.trail(cold))
	}
	if got := s.send([]flow{f("web udp 10.0.0.2:53")})[0]; got.verdict != "dropped" {
		t.Errorf("the first packet: %+v", got)
	}
	s.run("web", `for i in $(seq 20); do ping -c 1 -W 1 10.0.0.2 >/dev/null || true; if ip route get 10.0.0.2 | grep -q redirected; then exit 0; fi; done; exit 1`)
	s.judge("web tcp 10.0.0.2:80 = unknown")
	if got := s.send([]flow{f("web udp 10.0.0.2:53")})[0]; got.verdict != "delivered" {
		t.Errorf("after the redirect: %+v", got)
	}
	// What another route has learned says nothing of one without a gateway.
	s.run("web", "ip route add 10.0.0.0/24 dev eth0")
	s.judge("web tcp 10.0.0.2:80 = delivered")
	// Where redirects are not taken, the host's rule decides for good.
	s = build(t, detour+"web echo 0 > /proc/sys/net/ipv4/conf/all/accept_redirects; echo 0 > /proc/sys/net/ipv4/conf/eth0/accept_redirects")
	s.serveSix()
	s.judge("web tcp 10.0.0.2:80 = dropped", "web udp 10.0.0.2:53 = dropped")
	s = build(t, detour+"host echo 0 > /proc/sys/net/ipv4/conf/all/send_redirects; echo 0 > /proc/sys/net/ipv4/conf/br0/send_redirects")
	s.serveSix()
	s.judge("web tcp 10.0.0.2:80 = dropped", "web udp 10.0.0.2:53 = dropped")
}

// detour6 is the same for IPv6, by the gateway's link-local address, as router
// advertisements give it.
const detour6 = six + `
host ip -6 addr flush dev br0 scope link; ip -6 addr add fe80::1/64 dev br0 nodad; ip -6 addr add fe80::2/64 dev br0 nodad
web ip -6 addr del 2001:db8::3/64 dev eth0; ip -6 addr add 2001:db8::3/128 dev eth0 nodad; ip -6 route flush default
host nft 'add table ip6 f; add chain ip6 f f { type filter hook forward priority 0; }; add rule ip6 f f ip6 saddr 2001:db8::3 ip6 daddr 2001:db8::2 iif br0 oif br0 drop'; echo 0 > /proc/sys/net/bridge/bridge-nf-call-ip6tables
`

// TestRedirect6: an ICMPv6 redirect counts for routes by the link-local
// address that it comes from, and for no others, but a TCP socket may take it
// whoever sent it: whether it is in use at that moment decides.
func TestRedirect6(t *testing.T) {
	t.Parallel()
	s := build(t, detour6+"web ip -6 route add default via fe80::1 dev eth0")
	s.serveSix()
	f := s.parseFlow
	s.read()
	cold := s.read().Trace(f("web tcp [2001:db8::2]:80").sim)
	if cold.Verdict != sim.Unknown || !strings.Contains(strings.Join(cold.Unknown, " "), "ICMP redirect") {
		t.Errorf("before a redirect: %s %q\n%s", cold.Verdict, cold.Unknown, s.trail(cold))
	}
	if got := s.send([]flow{f("web udp [2001:db8::2]:53")})[0]; got.verdict != "dropped" {
		t.Errorf("the first packet: %+v", got)
	}
	s.run("web", `for i in $(seq 20); do ping -c 1 -W 1 2001:db8::2 >/dev/null && exit 0; done; exit 1`)
	s.judge("web tcp [2001:db8::2]:80 = unknown")
	if got := s.send([]flow{f("web udp [2001:db8::2]:53")})[0]; got.verdict != "delivered" {
		t.Errorf("after the redirect: %+v", got)
	}
	for _, route := range []string{
		"web ip -6 route add default via fe80::2 dev eth0",
		"web ip -6 route add 2001:db8::1/128 dev eth0; ip -6 route add default via 2001:db8::1",
	} {
		s := build(t, detour6+route)
		s.serveSix()
		s.judge("web udp [2001:db8::2]:53 = dropped")
		s.judge("web udp [2001:db8::2]:53 = dropped")
		s.judge("web tcp [2001:db8::2]:80 = unknown")
	}
	s = build(t, detour6+"web ip -6 route add default via fe80::1 dev eth0; echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_redirects")
	s.serveSix()
	s.judge("web udp [2001:db8::2]:53 = dropped", "web tcp [2001:db8::2]:80 = dropped")
	s.judge("web udp [2001:db8::2]:53 = dropped", "web tcp [2001:db8::2]:80 = dropped")
}
