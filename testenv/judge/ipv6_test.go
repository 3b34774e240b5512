package judge

import "testing"

// six is a routed pair of bridges with both families: client and web on br0,
// db on br1, an internet behind eth0.
const six = `
host cd /proc/sys/net; echo 1 > ipv4/ip_forward; echo 1 > ipv6/conf/all/forwarding
host ip link add eth0 type veth peer name eth0 netns @world
host ip link add br0 type bridge; ip link add br1 type bridge
host ip link add vclient type veth peer name eth0 netns @client
host ip link add vweb type veth peer name eth0 netns @web
host ip link add vdb type veth peer name eth0 netns @db
host ip link set vclient master br0; ip link set vweb master br0; ip link set vdb master br1
host ip addr add 10.0.0.1/24 dev br0; ip addr add 10.0.1.1/24 dev br1; ip addr add 192.0.2.2/24 dev eth0
host ip -6 addr add 2001:db8::1/64 dev br0; ip -6 addr add 2001:db8:1::1/64 dev br1; ip -6 addr add 2001:db8:f::2/64 dev eth0
host for i in eth0 br0 br1 vclient vweb vdb; do ip link set $i up; done
world ip addr add 192.0.2.1/24 dev eth0; ip addr add 198.51.100.7/32 dev lo; ip link set eth0 up
world ip -6 addr add 2001:db8:f::1/64 dev eth0; ip -6 addr add 2001:db8:ffff::7/128 dev lo
world ip route add 10.0.0.0/16 via 192.0.2.2; ip -6 route add 2001:db8::/46 via 2001:db8:f::2
host ip route add default via 192.0.2.1; ip -6 route add default via 2001:db8:f::1
client ip addr add 10.0.0.2/24 dev eth0; ip -6 addr add 2001:db8::2/64 dev eth0; ip link set eth0 up
client ip route add default via 10.0.0.1; ip -6 route add default via 2001:db8::1
web ip addr add 10.0.0.3/24 dev eth0; ip -6 addr add 2001:db8::3/64 dev eth0; ip link set eth0 up
web ip route add default via 10.0.0.1; ip -6 route add default via 2001:db8::1
db ip addr add 10.0.1.2/24 dev eth0; ip -6 addr add 2001:db8:1::2/64 dev eth0; ip link set eth0 up
db ip route add default via 10.0.1.1; ip -6 route add default via 2001:db8:1::1
`

// theSix are the usual questions over it.
func (s *scene) serveSix() {
	for _, n := range []string{"client", "web", "db", "world", "host"} {
		s.serve(n, "tcp 80", "udp 53")
	}
}

func TestSixPlain(t *testing.T) {
	s := build(t, six)
	s.serveSix()
	s.judge(
		"client tcp [2001:db8::3]:80 = delivered", "client udp [2001:db8::3]:53 = delivered", "client icmp 2001:db8::3 = delivered",
		"client tcp [2001:db8:1::2]:80 = delivered", "client tcp [2001:db8:1::2]:81 = refused", "client udp [2001:db8:1::2]:54 = refused",
		"client tcp [2001:db8:ffff::7]:80 = delivered", "client icmp 2001:db8:ffff::7 = delivered", "client tcp [2001:db8::1]:80 = delivered",
		"client tcp [2001:db8::99]:80 = dropped", "client tcp [2001:db8:2::1]:80 = dropped", "client tcp [::1]:80 = delivered",
		"host tcp [2001:db8::3]:80 = delivered", "world tcp [2001:db8::2]:80 = delivered", "client tcp 10.0.1.2:80 = delivered", "client tcp 198.51.100.7:80 = delivered",
	)
}

// sixCases are one thing about IPv6 each.
var sixCases = []scenario{
	{"a queue that nobody reads", `host ip6tables -A FORWARD -p tcp -j NFQUEUE --queue-num 9`, []string{"client tcp [2001:db8:1::2]:80 = dropped", "client tcp 10.0.1.2:80 = delivered"}},
	{"a transparent proxy that is not there", `host ip6tables -t mangle -A PREROUTING -i br0 -p tcp --dport 80 -j TPROXY --on-port 3129 --tproxy-mark 1`, []string{"client tcp [2001:db8:1::2]:80 = dropped", "client udp [2001:db8:1::2]:53 = delivered"}},
	{"masquerade in a zone of one side", `
world ip -6 route del 2001:db8::/46
host ip6tables -t nat -A POSTROUTING -s 2001:db8::/64 -o eth0 -j MASQUERADE; ip6tables -t raw -A PREROUTING -i br0 -j CT --zone 7`, []string{"client tcp [2001:db8:ffff::7]:80 = dropped"}},
	{"masquerade in a zone of the original direction", `
world ip -6 route del 2001:db8::/46
host ip6tables -t nat -A POSTROUTING -s 2001:db8::/64 -o eth0 -j MASQUERADE; ip6tables -t raw -A PREROUTING -i br0 -j CT --zone-orig 7`, []string{"client tcp [2001:db8:ffff::7]:80 = delivered"}},
	{"multicast is not flooded to a port, on a bridge that snoops", `host bridge link set dev vweb mcast_flood off`, []string{"client tcp [2001:db8::3]:80 = dropped"}},
	{"multicast is not flooded to a port", `host bridge link set dev vweb mcast_flood off; ip link set br0 type bridge mcast_snooping 0`, []string{"client tcp [2001:db8::3]:80 = dropped", "client tcp 10.0.0.3:80 = delivered"}},
	{
		"forwarding off", `host echo 0 > /proc/sys/net/ipv6/conf/all/forwarding`,
		[]string{"client tcp [2001:db8:1::2]:80 = dropped", "client tcp [2001:db8::3]:80 = delivered", "client tcp 10.0.1.2:80 = delivered", "client tcp [2001:db8::1]:80 = delivered"},
	},
	{
		"forwarding off on the way in only", `host echo 0 > /proc/sys/net/ipv6/conf/br0/forwarding`,
		[]string{"client tcp [2001:db8:1::2]:80", "db tcp [2001:db8::2]:80"},
	},
	{
		"forwarding of one device only", `
host echo 0 > /proc/sys/net/ipv6/conf/all/forwarding
host echo 1 > /proc/sys/net/ipv6/conf/br0/forwarding`,
		[]string{"client tcp [2001:db8:1::2]:80", "db tcp [2001:db8::2]:80"},
	},
	{
		"forced forwarding of one device", `
host echo 0 > /proc/sys/net/ipv6/conf/all/forwarding
host [ ! -e /proc/sys/net/ipv6/conf/br0/force_forwarding ] || echo 1 > /proc/sys/net/ipv6/conf/br0/force_forwarding`,
		[]string{"client tcp [2001:db8:1::2]:80", "db tcp [2001:db8::2]:80"},
	},
	{
		"forced forwarding of both devices", `
host echo 0 > /proc/sys/net/ipv6/conf/all/forwarding
host [ ! -e /proc/sys/net/ipv6/conf/br0/force_forwarding ] || echo 1 > /proc/sys/net/ipv6/conf/br0/force_forwarding
host [ ! -e /proc/sys/net/ipv6/conf/br1/force_forwarding ] || echo 1 > /proc/sys/net/ipv6/conf/br1/force_forwarding`,
		[]string{"client tcp [2001:db8:1::2]:80", "db tcp [2001:db8::2]:80"},
	},
	{
		"off in the target", `web echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6`,
		[]string{"client tcp [2001:db8::3]:80 = dropped", "client tcp 10.0.0.3:80 = delivered", "web tcp [2001:db8::2]:80 = dropped"},
	},
	{
		"off everywhere in the sender", `client echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6`,
		[]string{"client tcp [2001:db8::3]:80 = dropped", "client tcp [::1]:80 = dropped", "client tcp 10.0.0.3:80 = delivered"},
	},
	{
		"off on a bridge's own device", `host echo 1 > /proc/sys/net/ipv6/conf/br0/disable_ipv6`,
		[]string{"client tcp [2001:db8::3]:80 = delivered", "client tcp [2001:db8:1::2]:80 = dropped"},
	},
	{"blackhole", `host ip -6 route add blackhole 2001:db8:1::2/128`, []string{"client tcp [2001:db8:1::2]:80 = dropped", "host tcp [2001:db8:1::2]:80 = dropped"}},
	{"prohibit at the sender", `client ip -6 route add prohibit 2001:db8:1::/64`, []string{"client tcp [2001:db8:1::2]:80 = dropped"}},
	{"unreachable at the sender", `client ip -6 route add unreachable 2001:db8:1::/64`, []string{"client tcp [2001:db8:1::2]:80 = dropped"}},
	{"throw at the sender", `client ip -6 route add throw 2001:db8:1::/64`, []string{"client tcp [2001:db8:1::2]:80"}},
	{
		"throw in another table", `
client ip -6 route add throw 2001:db8:1::/64 table 100
client ip -6 route add unreachable 2001:db8::/32 table 100
client ip -6 rule add to 2001:db8::/32 table 100 pref 100`,
		[]string{"client tcp [2001:db8:1::2]:80 = delivered", "client tcp [2001:db8:ffff::7]:80 = dropped"},
	},
	{"no default route", `client ip -6 route del default`, []string{"client tcp [2001:db8:1::2]:80 = dropped", "client tcp [2001:db8::3]:80 = delivered"}},
	{
		"route by source", `
host ip -6 rule add from 2001:db8::2 table 7 pref 10
host ip -6 route add blackhole default table 7`,
		[]string{"client tcp [2001:db8:1::2]:80 = dropped", "web tcp [2001:db8:1::2]:80 = delivered"},
	},
	{
		"route by port", `
host ip -6 rule add ipproto tcp dport 80 table 7 pref 10
host ip -6 route add blackhole 2001:db8:1::/64 table 7`,
		[]string{"client tcp [2001:db8:1::2]:80 = dropped", "client udp [2001:db8:1::2]:53 = delivered", "client tcp [2001:db8:1::2]:81 = refused"},
	},
	{
		"route by mark", `
client ip -6 rule add fwmark 7 prohibit pref 10
host ip -6 rule add fwmark 9 prohibit pref 10
host nft 'add table ip6 m; add chain ip6 m p { type filter hook prerouting priority -150; }; add rule ip6 m p tcp dport 80 meta mark set 9'`,
		[]string{"client tcp [2001:db8:1::2]:80 = dropped", "client udp [2001:db8:1::2]:53 = delivered", "client udp [2001:db8:1::2]:53 mark=7 = dropped"},
	},
	{
		"reroute by mark in OUTPUT", `
client ip -6 rule add fwmark 7 table 7 pref 10
client ip -6 route add blackhole default table 7
client nft 'add table ip6 m; add chain ip6 m o { type route hook output priority -150; }; add rule ip6 m o tcp dport 80 meta mark set 7'`,
		[]string{"client tcp [2001:db8:1::2]:80 = dropped", "client udp [2001:db8:1::2]:53 = delivered"},
	},
	{
		"a mark set in a filter chain does not reroute", `
client ip -6 rule add fwmark 7 table 7 pref 10
client ip -6 route add blackhole default table 7
client nft 'add table ip6 m; add chain ip6 m o { type filter hook output priority -150; }; add rule ip6 m o tcp dport 80 meta mark set 7'`,
		[]string{"client tcp [2001:db8:1::2]:80 = delivered"},
	},
	{
		"multipath", `
host ip -6 addr add 2001:db8:f::3/64 dev eth0
client ip -6 route del default
client ip -6 route add default nexthop via 2001:db8::1 dev eth0 nexthop via fe80::99 dev eth0`,
		[]string{"client tcp [2001:db8:1::2]:80 = unknown"},
	},
	{
		"source selection prefers the longest match", `
client ip -6 addr add fd00::2/64 dev eth0; ip -6 route add fd00::/8 via 2001:db8::1
db ip -6 addr add fd00:1::2/64 dev eth0
host ip -6 route add fd00:1::/64 dev br1; ip -6 route add fd00::/64 dev br0; ip -6 route add unreachable 2001:db8::2/128`,
		[]string{"client tcp [fd00:1::2]:80", "client tcp [2001:db8:1::2]:80 = dropped"},
	},
	{
		"deprecated source", `
client ip -6 addr add 2001:db8::22/64 dev eth0 nodad; ip -6 addr change 2001:db8::2/64 dev eth0 preferred_lft 0
host ip -6 route add unreachable 2001:db8::22/128`,
		[]string{"client tcp [2001:db8:1::2]:80"},
	},
	{
		"route with a source of its own", `
client ip -6 addr add 2001:db8::22/64 dev eth0 nodad; ip -6 route add 2001:db8:1::/64 via 2001:db8::1 src 2001:db8::22
host ip -6 route add unreachable 2001:db8::22/128`,
		[]string{"client tcp [2001:db8:1::2]:80"},
	},
	{
		"a rule that refuses while there is no source yet", `host ip -6 rule add not from 2001:db8:1::/64 to 2001:db8:1::/64 prohibit pref 10`,
		[]string{"host tcp [2001:db8:1::2]:80 = delivered", "host udp [2001:db8:1::2]:53 = delivered", "client tcp [2001:db8:1::2]:80 = dropped"},
	},
	{
		"a static neighbour that is wrong", `client ip -6 neigh add 2001:db8::3 lladdr 02:00:00:00:99:99 dev eth0 nud permanent`,
		[]string{"client tcp [2001:db8::3]:80 = dropped"},
	},
	{
		"neighbour discovery dropped by a rule of the target", `web nft 'add table ip6 f; add chain ip6 f i { type filter hook input priority 0; }; add rule ip6 f i icmpv6 type nd-neighbor-solicit drop'`,
		[]string{"client tcp [2001:db8::3]:80 = dropped"},
	},
	{
		"input policy drop that forgets neighbour discovery", `web nft 'add table inet f; add chain inet f i { type filter hook input priority 0; policy drop; }; add rule inet f i tcp dport 80 accept'`,
		[]string{"client tcp [2001:db8::3]:80 = dropped", "client tcp 10.0.0.3:80 = delivered"},
	},
	{
		"input policy drop that knows it", `web nft 'add table inet f; add chain inet f i { type filter hook input priority 0; policy drop; }; add rule inet f i tcp dport 80 accept; add rule inet f i icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept'`,
		[]string{"client tcp [2001:db8::3]:80 = delivered", "client udp [2001:db8::3]:53 = dropped"},
	},
	{
		"ct state invalid dropped: ND is untracked", `web nft 'add table inet f; add chain inet f i { type filter hook input priority 0; policy drop; }; add rule inet f i ct state invalid drop; add rule inet f i ct state untracked accept; add rule inet f i tcp dport 80 accept'`,
		[]string{"client tcp [2001:db8::3]:80 = delivered"},
	},
	{
		"bridge-nf-call-ip6tables off", `
host echo 0 > /proc/sys/net/bridge/bridge-nf-call-ip6tables
host nft 'add table ip6 f; add chain ip6 f f { type filter hook forward priority 0; policy drop; }'`,
		[]string{"client tcp [2001:db8::3]:80 = delivered", "client tcp [2001:db8:1::2]:80 = dropped"},
	},
	{
		"bridge-nf-call-ip6tables on", `
host echo 1 > /proc/sys/net/bridge/bridge-nf-call-ip6tables
host nft 'add table ip6 f; add chain ip6 f f { type filter hook forward priority 0; policy drop; }'`,
		[]string{"client tcp [2001:db8::3]:80 = dropped", "client tcp 10.0.0.3:80 = delivered"},
	},
	{
		"a rule by source comes too late for a source that is yet to be chosen", `host ip -6 route replace blackhole 2001:db8::/64 table 102; ip -6 rule add from 2001:db8::/64 priority 79 lookup 102`,
		[]string{"host tcp [2001:db8::3]:80 = delivered", "host udp [2001:db8::3]:53 = delivered", "client tcp [2001:db8:1::2]:80"},
	},
	{
		"DNAT of a published port", `host nft 'add table ip6 n; add chain ip6 n p { type nat hook prerouting priority -100; }; add rule ip6 n p ip6 daddr 2001:db8:f::2 tcp dport 8080 dnat to [2001:db8::3]:80'`,
		[]string{"world tcp [2001:db8:f::2]:8080 = delivered", "db tcp [2001:db8:f::2]:8080 = delivered", "client tcp [2001:db8:f::2]:8080"},
	},
	{
		"DNAT hairpin with bridge-nf off", `
host echo 0 > /proc/sys/net/bridge/bridge-nf-call-ip6tables
host nft 'add table ip6 n; add chain ip6 n p { type nat hook prerouting priority -100; }; add rule ip6 n p ip6 daddr 2001:db8:f::2 tcp dport 8080 dnat to [2001:db8::3]:80'`,
		[]string{"client tcp [2001:db8:f::2]:8080", "web tcp [2001:db8:f::2]:8080"},
	},
	{
		"DNAT hairpin with masquerade", `
host echo 0 > /proc/sys/net/bridge/bridge-nf-call-ip6tables
host nft 'add table ip6 n; add chain ip6 n p { type nat hook prerouting priority -100; }; add rule ip6 n p ip6 daddr 2001:db8:f::2 tcp dport 8080 dnat to [2001:db8::3]:80; add chain ip6 n o { type nat hook postrouting priority 100; }; add rule ip6 n o oifname br0 masquerade'`,
		[]string{"client tcp [2001:db8:f::2]:8080", "web tcp [2001:db8:f::2]:8080"},
	},
	{
		"DNAT of the host's own", `host nft 'add table ip6 n; add chain ip6 n o { type nat hook output priority -100; }; add rule ip6 n o tcp dport 8080 dnat to [2001:db8::3]:80'`,
		[]string{"host tcp [2001:db8:f::2]:8080", "host tcp [::1]:8080"},
	},
	{
		"DNAT of the host's own with masquerade", `host nft 'add table ip6 n; add chain ip6 n o { type nat hook output priority -100; }; add rule ip6 n o tcp dport 8080 dnat to [2001:db8::3]:80; add chain ip6 n p { type nat hook postrouting priority 100; }; add rule ip6 n p oifname br0 masquerade'`,
		[]string{"host tcp [2001:db8:f::2]:8080", "host tcp [::1]:8080"},
	},
	{
		"masquerade to a network without a way back", `
world ip -6 route del 2001:db8::/46
host nft 'add table ip6 n; add chain ip6 n o { type nat hook postrouting priority 100; }; add rule ip6 n o ip6 saddr 2001:db8::/64 oifname eth0 masquerade'`,
		[]string{"client tcp [2001:db8:ffff::7]:80 = delivered", "client icmp 2001:db8:ffff::7 = delivered", "db tcp [2001:db8:ffff::7]:80 = dropped", "client udp [2001:db8:ffff::7]:54 = refused"},
	},
	{
		"redirect", `host nft 'add table ip6 n; add chain ip6 n p { type nat hook prerouting priority -100; }; add rule ip6 n p iifname br0 tcp dport 8080 redirect to :80'`,
		[]string{"client tcp [2001:db8:ffff::7]:8080", "client tcp [2001:db8::1]:8080"},
	},
	{
		"netmap", `host nft 'add table ip6 n; add chain ip6 n p { type nat hook prerouting priority -100; }; add rule ip6 n p ip6 daddr 2001:db8:2::/64 dnat ip6 prefix to ip6 daddr map { 2001:db8:2::/64 : 2001:db8:1::/64 }'`,
		[]string{"client tcp [2001:db8:2::2]:80 = delivered", "client tcp [2001:db8:2::3]:80 = dropped"},
	},
	{
		"reject", `host nft 'add table ip6 f; add chain ip6 f f { type filter hook forward priority 0; }; add rule ip6 f f tcp dport 80 reject with tcp reset; add rule ip6 f f udp dport 53 reject; add rule ip6 f f udp dport 54 reject with icmpv6 type admin-prohibited'`,
		[]string{"client tcp [2001:db8:1::2]:80 = refused", "client udp [2001:db8:1::2]:53 = refused", "client udp [2001:db8:1::2]:54 = dropped"},
	},
	{
		"too big", `host ip link set br1 mtu 1400; ip link set vdb mtu 1400
db ip link set eth0 mtu 1400`,
		[]string{
			"client udp [2001:db8:1::2]:53 size=1400 df = dropped", "client udp [2001:db8:1::2]:53 size=1300 df = delivered", "client udp 10.0.1.2:53 size=1400 df = dropped",
			// another sender: what the one before is told of the path changes the next
			"web udp 10.0.1.2:53 size=1400 = dropped",
		},
	},
	{
		"too big, sender fragments for its own device", `client ip link set eth0 mtu 1300`,
		[]string{"client udp [2001:db8:1::2]:53 size=1400 = delivered", "client udp [2001:db8:1::2]:53 size=1400 df = dropped", "client icmp 2001:db8:1::2 size=1400 = dropped"},
	},
	{"hop limit", ``, []string{"client udp [2001:db8:1::2]:53 ttl=1 = dropped", "client udp [2001:db8:1::2]:53 ttl=2 = delivered", "client udp [2001:db8::3]:53 ttl=1 = delivered"}},
	{"echo ignored", `web echo 1 > /proc/sys/net/ipv6/icmp/echo_ignore_all`, []string{"client icmp 2001:db8::3 = dropped", "client tcp [2001:db8::3]:80 = delivered"}},
	{"the host's other address is answered for", ``, []string{"client tcp [2001:db8:1::1]:80 = delivered", "client tcp [2001:db8:f::2]:80 = delivered"}},
	{"an address of another container's", `web ip -6 addr add 2001:db8:77::3/128 dev eth0`, []string{"client tcp [2001:db8:77::3]:80 = dropped"}},
	{"on-link route to an address on lo", `
web ip -6 addr add 2001:db8:77::3/128 dev lo
client ip -6 route add 2001:db8:77::3/128 dev eth0`, []string{"client tcp [2001:db8:77::3]:80"}},
	{"strict reverse path by xt_rpfilter", `
host ip6tables -t raw -A PREROUTING -m rpfilter --invert -j DROP
host ip -6 route add 2001:db8::2/128 dev br1`, []string{"client tcp [2001:db8:1::2]:80 = dropped", "web tcp [2001:db8:1::2]:80 = delivered"}},
	{"strict reverse path by fib", `
host nft 'add table ip6 r; add chain ip6 r p { type filter hook prerouting priority -300; }; add rule ip6 r p fib saddr . iif oif missing drop'
host ip -6 route add 2001:db8::2/128 dev br1`, []string{"client tcp [2001:db8:1::2]:80", "web tcp [2001:db8:1::2]:80"}},
	{"proxy of neighbour discovery", `
host echo 0 > /proc/sys/net/ipv6/neigh/eth0/proxy_delay # by default a random time up to 0.8 s (net/ipv6/ndisc.c)
host echo 1 > /proc/sys/net/ipv6/conf/eth0/proxy_ndp; ip -6 neigh add proxy 2001:db8:f::50 dev eth0; ip -6 route add 2001:db8:f::50/128 dev br1
db ip -6 addr add 2001:db8:f::50/128 dev eth0 nodad`, []string{"world tcp [2001:db8:f::50]:80 = delivered"}},
	{"isolated ports", `host bridge link set dev vweb isolated on; bridge link set dev vclient isolated on`, []string{"client tcp [2001:db8::3]:80 = dropped", "client tcp [2001:db8::1]:80 = delivered"}},
	{"multicast not flooded to a port", `host bridge link set dev vweb mcast_flood off`, []string{"client tcp [2001:db8::3]:80"}},
	{"the same with no snooping", `host bridge link set dev vweb mcast_flood off; ip link set br0 type bridge mcast_snooping 0`, []string{"client tcp [2001:db8::3]:80 = dropped"}},
	{"two holders of one address", `web ip -6 addr add 2001:db8::50/128 dev eth0
client ip -6 addr add 2001:db8::50/128 dev eth0`, []string{"host tcp [2001:db8::50]:80 = unknown"}},
}

func TestSix(t *testing.T) {
	t.Parallel()
	runCases(t, six, (*scene).serveSix, sixCases)
}
