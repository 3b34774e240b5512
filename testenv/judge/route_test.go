package judge

import "testing"

// routeCases are one thing about IPv4 routing each.
var routeCases = []scenario{
	{"plain", ``, []string{
		"client tcp 10.0.0.3:80 = delivered", "client tcp 10.0.1.2:80 = delivered", "client udp 10.0.1.2:53 = delivered", "client icmp 10.0.1.2 = delivered", "client udp 10.0.1.2:54 = refused",
		"client tcp 198.51.100.7:80 = delivered", "client tcp 10.0.0.99:80 = dropped", "client tcp 10.0.7.1:80 = dropped", "client tcp 127.0.0.1:80 = delivered", "client tcp 0.0.0.0:80 = delivered", "client tcp 127.5.5.5:80 = delivered",
	}},
	{"rule by port", `host ip rule add ipproto tcp dport 80 blackhole pref 10`, []string{"client tcp 10.0.1.2:80 = dropped", "client udp 10.0.1.2:53 = delivered", "client tcp 10.0.1.2:81 = refused"}},
	{"rule by source port range", `client ip rule add ipproto udp sport 4000-4010 prohibit pref 10`, []string{"client udp 10.0.1.2:53 sport=4005 = dropped", "client udp 10.0.1.2:53 sport=4011 = delivered"}},
	{"rule by uid", `client ip rule add uidrange 0-0 unreachable pref 10`, []string{"client udp 10.0.1.2:53 = dropped"}},
	{"rule by arrival", `host ip rule add iif br0 table 7 pref 10; ip route add unreachable 10.0.1.0/24 table 7`, []string{"client tcp 10.0.1.2:80 = dropped", "world tcp 10.0.1.2:80 = delivered", "host tcp 10.0.1.2:80 = delivered"}},
	{"rule for local senders", `host ip rule add iif lo to 10.0.1.0/24 prohibit pref 10`, []string{"client tcp 10.0.1.2:80", "host tcp 10.0.1.2:80 = dropped"}},
	{"rule with goto", `host ip rule add pref 10 to 10.0.1.0/24 goto 50; ip rule add pref 20 to 10.0.1.0/24 blackhole; ip rule add pref 50 table main`, []string{"client tcp 10.0.1.2:80 = delivered"}},
	{"rule with goto to nowhere", `host ip rule add pref 10 to 10.0.1.0/24 goto 60; ip rule add pref 20 to 10.0.1.0/24 blackhole`, []string{"client tcp 10.0.1.2:80 = dropped"}},
	{"rule not", `host ip rule add not from 10.0.0.2 to 10.0.1.0/24 blackhole pref 10`, []string{"client tcp 10.0.1.2:80", "web tcp 10.0.1.2:80 = dropped"}},
	{"suppress the default route", `host ip rule add pref 10 table main suppress_prefixlength 0; ip rule add pref 20 table 7; ip route add blackhole default table 7`, []string{"client tcp 10.0.1.2:80 = delivered", "client tcp 198.51.100.7:80 = dropped"}},
	{"rule by tos", `client ip rule add tos 0x10 blackhole pref 10`, []string{"client udp 10.0.1.2:53 = delivered"}},
	{"rule by mark and mask", `client ip rule add fwmark 0x10/0x30 prohibit pref 10`, []string{"client udp 10.0.1.2:53 mark=0x50 = dropped", "client udp 10.0.1.2:53 mark=0x30 = delivered"}},
	{
		"mark restored for the answer", `
host ip rule add fwmark 5 table 7 pref 10; ip route add blackhole 10.0.0.0/24 table 7
host iptables -t mangle -A PREROUTING -i br0 -p tcp --dport 80 -j CONNMARK --set-mark 5; iptables -t mangle -A PREROUTING -j CONNMARK --restore-mark`,
		[]string{"client tcp 10.0.1.2:80 = dropped", "client udp 10.0.1.2:53 = delivered"},
	},
	{"metric", `host ip route add 10.0.1.2/32 dev br0 metric 10; ip route add 10.0.1.2/32 dev br1 metric 5`, []string{"client tcp 10.0.1.2:80 = delivered"}},
	{"metric the other way", `host ip route add 10.0.1.2/32 dev br0 metric 5; ip route add 10.0.1.2/32 dev br1 metric 10`, []string{"client tcp 10.0.1.2:80 = dropped"}},
	{"a nexthop object", `host ip nexthop add id 5 dev br1; ip route add 10.0.1.2/32 nhid 5`, []string{"client tcp 10.0.1.2:80 = delivered"}},
	{"a nexthop object into the void", `host ip nexthop add id 5 via 10.0.1.77 dev br1; ip route add 10.0.1.2/32 nhid 5`, []string{"client tcp 10.0.1.2:80 = dropped"}},
	{"a blackhole nexthop object", `host ip nexthop add id 5 blackhole; ip route add 10.0.1.2/32 nhid 5`, []string{"client tcp 10.0.1.2:80 = dropped", "host tcp 10.0.1.2:80 = dropped"}},
	{"an IPv6 nexthop object", `host ip nexthop add id 5 via 2001:db8:1::2 dev br1; ip route add 10.77.0.0/24 nhid 5; ip -6 route add 2001:db8:77::/64 nhid 5
db ip addr add 10.77.0.1/32 dev lo; ip -6 addr add 2001:db8:77::1/128 dev lo`, []string{"client tcp 10.77.0.1:80 = delivered", "client tcp [2001:db8:77::1]:80 = delivered"}},
	{"a blackhole nexthop object of IPv6", `host ip -6 nexthop add id 5 blackhole; ip -6 route add 2001:db8:1::2/128 nhid 5`, []string{"client tcp [2001:db8:1::2]:80 = dropped", "host tcp [2001:db8:1::2]:80 = dropped"}},
	{"a nexthop group, both good", `host ip nexthop add id 5 dev br1; ip nexthop add id 6 via 10.0.1.2 dev br1; ip nexthop add id 9 group 5,3/6,2; ip route add 10.0.1.2/32 nhid 9`, []string{"client tcp 10.0.1.2:80 = delivered"}},
	{"a nexthop group, one bad", `host ip nexthop add id 5 dev br1; ip nexthop add id 6 via 10.0.0.77 dev br0; ip nexthop add id 9 group 5/6; ip route add 10.0.1.2/32 nhid 9`, []string{"client tcp 10.0.1.2:80 = unknown"}},
	{"multipath, one bad", `host ip route add 10.0.1.2/32 nexthop dev br1 nexthop via 10.0.0.77 dev br0`, []string{"client tcp 10.0.1.2:80 = unknown"}},
	{"multipath, one device down", `
host ip link add d0 type veth peer name d1; ip link set d0 up; ip link set d1 up; ip addr add 10.0.5.1/24 dev d0
host ip route add 10.0.1.2/32 nexthop dev br1 nexthop via 10.0.5.9 dev d0
host ip link set d0 down`, []string{"client tcp 10.0.1.2:80 = delivered"}},
	{"multipath, one without carrier", `
host ip link add d0 type veth peer name d1; ip link set d0 up; ip link set d1 up; ip addr add 10.0.5.1/24 dev d0
host echo 1 > /proc/sys/net/ipv4/conf/all/ignore_routes_with_linkdown
host ip route add 10.0.1.2/32 nexthop dev br1 nexthop via 10.0.5.9 dev d0
host ip link set d1 down; for i in $(seq 100); do ip route | grep -q linkdown && break; sleep 0.02; done`, []string{"client tcp 10.0.1.2:80 = delivered"}},
	{"IPv4 by an IPv6 gateway", `host ip route add 10.77.0.0/24 via inet6 2001:db8:1::2 dev br1
db ip addr add 10.77.0.1/32 dev lo`, []string{"client tcp 10.77.0.1:80 = delivered"}},
	{"a gateway that is the host's own address", `host ip route add 10.0.1.2/32 via 10.0.1.1 dev br1`, []string{"client tcp 10.0.1.2:80 = delivered", "host tcp 10.0.1.2:80 = delivered"}},
	{"the same by a nexthop object", `host ip nexthop add id 5 via 10.0.1.1 dev br1; ip route add 10.0.1.2/32 nhid 5`, []string{"client tcp 10.0.1.2:80 = delivered"}},
	{"strict rp_filter, asymmetric", `host echo 1 > /proc/sys/net/ipv4/conf/br0/rp_filter; ip route add 10.0.0.2/32 dev br1`, []string{"client tcp 10.0.1.2:80 = dropped", "web tcp 10.0.1.2:80 = delivered"}},
	{"loose rp_filter", `host echo 2 > /proc/sys/net/ipv4/conf/br0/rp_filter; ip route add unreachable 10.0.0.2/32`, []string{"client tcp 10.0.1.2:80 = dropped", "web tcp 10.0.1.2:80 = delivered"}},
	{"strict rp_filter with a mark", `
host echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter; ip rule add fwmark 7 table 7 pref 10; ip route add default via 192.0.2.1 table 7
host nft 'add table ip m; add chain ip m p { type filter hook prerouting priority -150; }; add rule ip m p iif br0 meta mark set 7'
host echo 1 > /proc/sys/net/ipv4/conf/br0/src_valid_mark`, []string{"client tcp 198.51.100.7:80", "client tcp 10.0.1.2:80"}},
	{"the same without src_valid_mark", `
host echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter; ip rule add fwmark 7 table 7 pref 10; ip route add default via 192.0.2.1 table 7
host nft 'add table ip m; add chain ip m p { type filter hook prerouting priority -150; }; add rule ip m p iif br0 meta mark set 7'`, []string{"client tcp 198.51.100.7:80 = delivered"}},
	{"a source of the host's own", `client ip addr add 192.0.2.2/32 dev eth0`, []string{"client tcp 10.0.1.2:80 src=192.0.2.2 = dropped"}},
	{"the same with accept_local", `client ip addr add 192.0.2.2/32 dev eth0
host echo 1 > /proc/sys/net/ipv4/conf/br0/accept_local`, []string{"client udp 10.0.1.2:53 src=192.0.2.2"}},
	{"127/8 from outside", `client ip addr add 127.0.0.9/8 dev eth0; echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet; ip route del 127.0.0.0/8 dev lo table local || true`, []string{"client udp 10.0.0.3:53 = delivered"}},
	{"forwarding off on one device", `host echo 0 > /proc/sys/net/ipv4/conf/br0/forwarding`, []string{"client tcp 10.0.1.2:80 = dropped", "db tcp 10.0.0.2:80 = dropped", "client tcp 10.0.0.1:80 = delivered"}},
	{"TTL", ``, []string{"client udp 10.0.1.2:53 ttl=1 = dropped", "client udp 10.0.1.2:53 ttl=2 = delivered", "client udp 198.51.100.7:53 ttl=1 = dropped"}},
	{"a routing loop", `host ip route add 10.9.9.0/24 via 192.0.2.1
world ip route add 10.9.9.0/24 via 192.0.2.2`, []string{"client tcp 10.9.9.1:80 = dropped"}},
	{"proxy_arp", `
web ip addr flush dev eth0; ip addr add 10.0.0.3/16 dev eth0
host echo 1 > /proc/sys/net/ipv4/conf/br0/proxy_arp`, []string{"web tcp 10.0.1.2:80 = delivered"}},
	{"no proxy_arp", `web ip addr flush dev eth0; ip addr add 10.0.0.3/16 dev eth0`, []string{"web tcp 10.0.1.2:80 = dropped"}},
	{"arp_filter", `
client ip route add 10.0.1.1/32 dev eth0
host echo 1 > /proc/sys/net/ipv4/conf/br0/arp_filter; ip route add 10.0.0.2/32 dev br1`, []string{"client tcp 10.0.1.1:80", "client tcp 10.0.0.1:80"}},
	{"arp_ignore 1", `
client ip route add 10.0.1.1/32 dev eth0
host echo 1 > /proc/sys/net/ipv4/conf/br0/arp_ignore`, []string{"client tcp 10.0.1.1:80 = dropped", "client tcp 10.0.0.1:80 = delivered"}},
	{"arp_ignore 2", `
client ip addr add 10.5.0.2/24 dev eth0
host echo 2 > /proc/sys/net/ipv4/conf/br0/arp_ignore`, []string{"client tcp 10.0.0.1:80 = delivered"}},
	{"arp_announce 2", `
client ip addr add 10.0.1.77/32 dev eth0; echo 2 > /proc/sys/net/ipv4/conf/eth0/arp_announce`, []string{"client tcp 10.0.0.3:80 src=10.0.1.77"}},
	{"the host's other address", ``, []string{"client tcp 192.0.2.2:80 = delivered", "client tcp 10.0.1.1:80 = delivered"}},
	{"a secondary address", `client ip addr add 10.0.0.22/24 dev eth0; ip addr del 10.0.0.22/24 dev eth0; ip addr add 10.0.0.23/24 dev eth0
host ip route add unreachable 10.0.0.23/32`, []string{"client tcp 10.0.1.2:80 = delivered"}},
	{"a route with a source of its own", `client ip addr add 10.0.0.23/24 dev eth0; ip route add 10.0.1.0/24 via 10.0.0.1 src 10.0.0.23
host ip route add unreachable 10.0.0.23/32`, []string{"client tcp 10.0.1.2:80 = dropped"}},
	{"a local route in another table", `host ip route add local 10.66.0.0/24 dev lo`, []string{"client tcp 10.66.0.9:80 = delivered", "host tcp 10.66.0.9:80 = delivered"}},
	{"a bridge without an address", `host ip addr flush dev br0`, []string{"client tcp 10.0.0.3:80 = delivered", "client tcp 10.0.1.2:80 = dropped"}},
	{"broadcast", ``, []string{"client udp 10.0.0.255:53", "client tcp 10.0.0.255:80"}},
	{"no local table", `client ip rule add pref 5 to 10.0.0.2 table 7; ip route add blackhole 10.0.0.2 table 7; ip rule del pref 0; ip rule add pref 100 table local`, []string{"client tcp 10.0.0.2:80", "web tcp 10.0.0.2:80"}},
}

func TestRoute(t *testing.T) {
	t.Parallel()
	runCases(t, six, (*scene).serveSix, routeCases)
}
