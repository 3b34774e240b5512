package judge

import "testing"

// lan is a host with eth0 on a LAN with a peer, and macvlan containers on it.
const lan = `
host ip link add eth0 type veth peer name eth0 netns @peer; ip addr add 192.0.2.2/24 dev eth0; ip -6 addr add 2001:db8::2/64 dev eth0; ip link set eth0 up
peer ip addr add 192.0.2.1/24 dev eth0; ip -6 addr add 2001:db8::1/64 dev eth0; ip link set eth0 up; ip addr add 198.51.100.7/32 dev lo
host ip route add default via 192.0.2.1
`

// on puts macvlan devices of a mode onto the host's eth0.
func on(mode string) string {
	s := ""
	for i, n := range []string{"one", "two"} {
		a := string(rune('1' + i))
		s += "host ip link add link eth0 name mv" + a + " type macvlan mode " + mode + "; ip link set mv" + a + " netns @" + n + "\n" +
			n + " ip link set mv" + a + " name eth0; ip addr add 192.0.2.1" + a + "/24 dev eth0; ip -6 addr add 2001:db8::1" + a + "/64 dev eth0; ip link set eth0 up; ip route add default via 192.0.2.1\n"
	}
	return s
}

func TestMacvlan(t *testing.T) {
	t.Parallel()
	supports(t, "macvlan", "ip link add a0 type veth peer name a1; ip link add link a0 name m0 type macvlan mode bridge")
	flows := func(twoToo string) []string {
		return []string{
			"one tcp 192.0.2.1:80 = delivered", "one tcp 198.51.100.7:80 = delivered", "one tcp 192.0.2.12:80 = " + twoToo, "one tcp [2001:db8::12]:80 = " + twoToo, "one icmp 192.0.2.12 = " + twoToo,
			"one tcp 192.0.2.2:80 = dropped", "host tcp 192.0.2.11:80 = dropped", "one tcp [2001:db8::2]:80 = dropped", "peer tcp 192.0.2.11:80 = delivered", "peer udp [2001:db8::12]:53 = delivered", "one tcp 192.0.2.99:80 = dropped",
		}
	}
	serve := func(s *scene) {
		for _, n := range []string{"host", "peer", "one", "two"} {
			s.serve(n, "tcp 80", "udp 53")
		}
	}
	two := lan + "one true\ntwo true\n"
	runCases(t, two, serve, []scenario{
		{"bridge", on("bridge"), flows("delivered")},
		{"private", on("private"), flows("dropped")},
		{"vepa, the switch does not send back", on("vepa"), flows("dropped")},
		{"passthru", `host ip link add link eth0 name mv1 type macvlan mode passthru; ip link set mv1 netns @one
one ip link set mv1 name eth0; ip addr add 192.0.2.11/24 dev eth0; ip link set eth0 up`, []string{"one tcp 192.0.2.1:80 = delivered", "peer tcp 192.0.2.11:80", "one tcp 192.0.2.2:80", "host tcp 192.0.2.1:80"}},
		{"bridge, the lower device down", on("bridge") + `host ip link set eth0 down`, []string{"one tcp 192.0.2.12:80 = dropped", "one tcp 192.0.2.1:80 = dropped"}},
		{"bridge, one of them down", on("bridge") + `two ip link set eth0 down`, []string{"one tcp 192.0.2.12:80 = dropped", "one tcp 192.0.2.1:80 = delivered"}},
		{
			"a shim for the host", on("bridge") + `host ip link add link eth0 name shim type macvlan mode bridge; ip addr add 192.0.2.50/32 dev shim; ip link set shim up; ip route add 192.0.2.11/32 dev shim`,
			[]string{"host tcp 192.0.2.11:80 = delivered", "host tcp 192.0.2.12:80 = dropped", "one tcp 192.0.2.50:80"},
		},
		{
			"rules of the host do not see them", on("bridge") + `host nft 'add table ip f; add chain ip f f { type filter hook forward priority 0; policy drop; }; add chain ip f i { type filter hook input priority 0; policy drop; }'`,
			[]string{"one tcp 192.0.2.1:80 = delivered", "one tcp 192.0.2.12:80 = delivered"},
		},
		{
			"an ingress chain of the lower device does", on("bridge") + `host nft 'add table netdev f; add chain netdev f i { type filter hook ingress device eth0 priority 0; }; add rule netdev f i ip saddr 192.0.2.1 tcp sport 80 drop'`,
			[]string{"one tcp 192.0.2.1:80", "one udp 192.0.2.1:53 = delivered"},
		},
		{
			"and sees what one of them sends to another", on("bridge") + `host nft 'add table netdev f; add chain netdev f i { type filter hook ingress device eth0 priority 0; }; add rule netdev f i ip daddr 192.0.2.12 tcp dport 80 drop'`,
			[]string{"one tcp 192.0.2.12:80 = dropped", "one udp 192.0.2.12:53 = delivered", "two tcp 192.0.2.11:80 = delivered"},
		},
		{"different modes", `host ip link add link eth0 name mv1 type macvlan mode bridge; ip link set mv1 netns @one; ip link add link eth0 name mv2 type macvlan mode private; ip link set mv2 netns @two
one ip link set mv1 name eth0; ip addr add 192.0.2.11/24 dev eth0; ip link set eth0 up
two ip link set mv2 name eth0; ip addr add 192.0.2.12/24 dev eth0; ip link set eth0 up`, []string{"one tcp 192.0.2.12:80", "two tcp 192.0.2.11:80", "peer tcp 192.0.2.12:80 = delivered"}},
		{"on a bridge port's bridge", `host ip link add br0 type bridge; ip addr flush dev eth0; ip link set eth0 master br0; ip addr add 192.0.2.2/24 dev br0; ip link set br0 up
host ip link add link br0 name mv1 type macvlan mode bridge; ip link set mv1 netns @one
one ip link set mv1 name eth0; ip addr add 192.0.2.11/24 dev eth0; ip link set eth0 up`, []string{"one tcp 192.0.2.1:80", "peer tcp 192.0.2.11:80", "host tcp 192.0.2.11:80", "host tcp 192.0.2.1:80"}},
	})
}
