package judge

import "fmt"

// disturb is one thing that is done to a network. It must work whatever was
// done before, so that what may be there already is replaced.
func (g *generated) disturb() string {
	kinds := []func() string{g.route6, g.route6, g.policy, g.policy, g.nexthop, g.nexthop, g.rules6, g.rules6, g.nat6, g.switches, g.device, g.neighbour}
	if g.macvlan != "" {
		kinds = append(kinds, g.onMacvlan)
	}
	if g.vxlan {
		kinds = append(kinds, g.onVxlan, g.onVxlan)
	}
	return pick(g.r, kinds...)()
}

// net6 is one of the networks.
func (g *generated) net6() string {
	return pick(g.r, "2001:db8:1::/64", "2001:db8:1::2/128", "2001:db8::/64", "2001:db8::3/128", "2001:db8:ffff::/64", "2001:db8:ffff::7/128", "default")
}

func (g *generated) net4() string {
	return pick(g.r, "10.0.1.0/24", "10.0.1.2/32", "10.0.0.0/24", "10.0.0.3/32", "198.51.100.7/32", "198.51.100.0/24")
}

// where6 is a way for IPv6.
func (g *generated) where6() string {
	return pick(g.r, "dev br1", "dev br0", "via 2001:db8:1::2 dev br1", "via 2001:db8::3 dev br0", "via 2001:db8::77 dev br0", "via 2001:db8:f::1 dev eth0")
}

func (g *generated) where4() string {
	return pick(g.r, "dev br1", "dev br0", "via 10.0.1.2 dev br1", "via 10.0.0.77 dev br0", "via 192.0.2.1 dev eth0", "via inet6 2001:db8:1::2 dev br1")
}

func (g *generated) route6() string {
	switch g.r.IntN(5) {
	case 0:
		return fmt.Sprintf("host ip -6 route replace %s %s metric 5", pick(g.r, "blackhole", "unreachable", "prohibit"), g.net6())
	case 1:
		return fmt.Sprintf("host ip -6 route replace %s %s metric %d", g.net6(), g.where6(), pick(g.r, 5, 300, 2000))
	case 2:
		return fmt.Sprintf("%s ip -6 route flush default; ip -6 route replace default via %s dev eth0", pick(g.r, "client", "web"), pick(g.r, "2001:db8::1", "2001:db8::3", "2001:db8::77"))
	case 3:
		return fmt.Sprintf("client ip -6 route replace %s via %s dev eth0 src 2001:db8::2", pick(g.r, "2001:db8:1::/64", "2001:db8:ffff::/64"), pick(g.r, "2001:db8::1", "2001:db8::3"))
	}
	return "world ip -6 route del 2001:db8::/46 || true"
}

// policy adds a table of its own and a rule that leads there.
func (g *generated) policy() string {
	table := 100 + g.r.IntN(3)
	six := g.r.IntN(2) == 0
	ip, net, where := "ip", g.net4(), g.where4()
	from, to := pick(g.r, "10.0.0.0/24", "10.0.0.2", "10.0.1.0/24"), pick(g.r, "10.0.1.0/24", "198.51.100.7", "10.0.0.3")
	if six {
		ip, net, where = "ip -6", g.net6(), g.where6()
		from, to = pick(g.r, "2001:db8::/64", "2001:db8::2", "2001:db8:1::/64"), pick(g.r, "2001:db8:1::/64", "2001:db8:ffff::7", "2001:db8::3")
	}
	if g.r.IntN(3) == 0 {
		where = ""
		net = pick(g.r, "blackhole ", "unreachable ", "prohibit ", "throw ") + net
	}
	what := pick(g.r, "from "+from, "to "+to, "from "+from+" to "+to, "not from "+from, "iif br0", "iif lo", "fwmark 5", "fwmark 0x1/0x3", "ipproto tcp dport 80", "ipproto udp", "from all")
	act := pick(g.r, fmt.Sprintf("lookup %d", table), fmt.Sprintf("lookup %d", table), fmt.Sprintf("lookup %d", table), "blackhole", "prohibit", "goto 30000", "lookup main suppress_prefixlength 0")
	return fmt.Sprintf("host %s route replace %s %s table %d; %s rule add %s priority %d %s", ip, net, where, table, ip, what, 10+g.r.IntN(90), act)
}

// nexthop routes by nexthop objects, alone or in a group.
func (g *generated) nexthop() string {
	id := 10 + 10*g.r.IntN(100)
	if g.r.IntN(2) == 0 {
		def := pick(g.r, "via 2001:db8:1::2 dev br1", "via 2001:db8::3 dev br0", "via 2001:db8::77 dev br0", "via 2001:db8:f::1 dev eth0", "dev br1", "blackhole")
		if g.r.IntN(3) == 0 {
			return fmt.Sprintf("host ip -6 nexthop replace id %d %s; ip -6 nexthop replace id %d via 2001:db8:1::2 dev br1; ip nexthop replace id %d group %d/%d; ip -6 route replace %s metric 7 nhid %d",
				id, pick(g.r, "via 2001:db8:1::2 dev br1", "via 2001:db8::77 dev br0"), id+1, id+2, id, id+1, g.net6(), id+2)
		}
		return fmt.Sprintf("host ip -6 nexthop replace id %d %s; ip -6 route replace %s metric 7 nhid %d", id, def, g.net6(), id)
	}
	def := pick(g.r, "via 10.0.1.2 dev br1", "dev br1", "via 10.0.0.77 dev br0", "via 192.0.2.1 dev eth0", "blackhole", "via 2001:db8:1::2 dev br1")
	if g.r.IntN(3) == 0 {
		return fmt.Sprintf("host ip nexthop replace id %d via 10.0.1.2 dev br1; ip nexthop replace id %d %s; ip nexthop replace id %d group %d,2/%d; ip route replace %s nhid %d",
			id, id+1, pick(g.r, "via 10.0.1.2 dev br1", "via 10.0.0.77 dev br0", "via 192.0.2.1 dev eth0"), id+2, id, id+1, g.net4(), id+2)
	}
	return fmt.Sprintf("host ip nexthop replace id %d %s; ip route replace %s nhid %d", id, def, g.net4(), id)
}

// rules6 is a rule for IPv6, or for both families.
func (g *generated) rules6() string {
	n := g.r.IntN(1 << 20)
	hook := pick(g.r, "forward", "forward", "input", "output", "prerouting", "postrouting")
	match := pick(g.r, "ip6 saddr 2001:db8::2", "ip6 daddr 2001:db8:1::/64", "tcp dport 80", "udp dport 53", "meta l4proto ipv6-icmp", "icmpv6 type echo-request",
		"ip6 hoplimit 63", "ip6 nexthdr tcp", "meta mark 5", "ct state new", "ct state established", "fib saddr type local", "ip6 daddr { 2001:db8::3, 2001:db8:ffff::7 }",
		"icmpv6 type nd-neighbor-solicit", "tcp flags syn", "meta length > 1000", "ip saddr 10.0.0.0/24")
	fam, in := "inet", "host"
	if hook == "input" || hook == "output" {
		in = pick(g.r, "host", "client", "web", "db")
	}
	act := pick(g.r, "drop", "drop", "accept", "reject", "counter", "meta mark set 5")
	if act == "reject" && (hook == "prerouting" || hook == "postrouting") {
		act = "drop"
	}
	policy := pick(g.r, "accept", "accept", "accept", "drop")
	if hook == "prerouting" || hook == "postrouting" || hook == "output" {
		policy = "accept"
	}
	return fmt.Sprintf(`%s nft 'add table %s t%d; add chain %s t%d c { type filter hook %s priority %d; policy %s; }; add rule %s t%d c %s %s'`,
		in, fam, n, fam, n, hook, pick(g.r, -150, 0, 10), policy, fam, n, match, act)
}

// nat6 maps addresses of IPv6.
func (g *generated) nat6() string {
	n := g.r.IntN(1 << 20)
	dst := pick(g.r, "ip6 daddr 2001:db8::1 tcp dport 8080", "ip6 daddr 2001:db8:ffff::7 tcp dport 80", "iifname br0 udp dport 53", "tcp dport 81")
	to := pick(g.r, "dnat to 2001:db8:1::2", "dnat to [2001:db8:1::2]:80", "dnat to [2001:db8::3]:80", "redirect to :80", "redirect")
	chain := pick(g.r, "prerouting priority -100", "prerouting priority -100", "output priority -100")
	out := fmt.Sprintf(`host nft 'add table ip6 n%d; add chain ip6 n%d d { type nat hook %s; }; add rule ip6 n%d d %s %s`, n, n, chain, n, dst, to)
	if g.r.IntN(2) == 0 {
		out += fmt.Sprintf(`; add chain ip6 n%d s { type nat hook postrouting priority 100; }; add rule ip6 n%d s %s %s`, n, n,
			pick(g.r, "oifname eth0", "ip6 saddr 2001:db8::/64", "oifname br0 iifname br0"), pick(g.r, "masquerade", "snat to 2001:db8:f::2", "masquerade"))
	}
	return out + "'"
}

// switches are sysctls.
func (g *generated) switches() string {
	key := pick(g.r, "ipv6/conf/all/forwarding 0", "ipv4/ip_forward 0", "ipv6/conf/br0/disable_ipv6 1", "ipv4/conf/br0/rp_filter 1", "ipv4/conf/all/rp_filter 1",
		"ipv4/conf/br1/forwarding 0", "ipv6/conf/br0/forwarding 0", "ipv4/conf/br0/proxy_arp 1", "ipv6/conf/all/proxy_ndp 1", "ipv6/icmp/echo_ignore_all 1",
		"bridge/bridge-nf-call-ip6tables 0", "bridge/bridge-nf-call-ip6tables 1", "ipv4/conf/br0/send_redirects 0", "ipv6/conf/default/hop_limit 1")
	var file, value string
	if _, err := fmt.Sscan(key, &file, &value); err != nil {
		return "host true"
	}
	return fmt.Sprintf("host [ ! -e /proc/sys/net/%s ] || echo %s > /proc/sys/net/%s", file, value, file)
}

// device sets devices and ports of bridges.
func (g *generated) device() string {
	port := pick(g.r, "vclient", "vweb", "vdb")
	return "host " + pick(g.r, "ip link set "+port+" down", "ip link set "+port+" nomaster", "bridge link set dev "+port+" isolated on", "bridge link set dev "+port+" learning off",
		"bridge link set dev "+port+" flood off", "bridge link set dev "+port+" mcast_flood off", "bridge link set dev "+port+" hairpin on", "ip link set "+port+" mtu 1400", "ip link set br1 mtu 1400",
		"ip -6 addr flush dev br1 scope global", "ip addr flush dev br0", "ip link set br1 down")
}

// neighbour writes entries and addresses.
func (g *generated) neighbour() string {
	return pick(g.r, "client ip -6 neigh replace 2001:db8::1 lladdr 02:00:00:00:99:99 dev eth0 nud permanent", "host ip -6 neigh replace 2001:db8:1::2 lladdr 02:00:00:00:99:99 dev br1 nud permanent",
		"host ip neigh replace 10.0.0.2 lladdr 02:00:00:00:99:99 dev br0 nud permanent", "web ip -6 addr del 2001:db8::3/64 dev eth0 || true", "db ip -6 addr replace 2001:db8:1::22/64 dev eth0 nodad",
		"client ip -6 addr replace 2001:db8::22/64 dev eth0 nodad", "db ip -6 addr replace 2001:db8:77::1/128 dev lo nodad; ip addr replace 10.77.0.1/32 dev lo", "host ip -6 neigh replace proxy 2001:db8::77 dev br0",
		"web ip link set eth0 down", "web ip link set eth0 arp off")
}

func (g *generated) onMacvlan() string {
	return pick(g.r, "two ip link set eth0 down", "host ip link add link eth0 name shim type macvlan mode bridge; ip addr add 192.0.2.50/32 dev shim; ip link set shim up; ip route replace 192.0.2.10/32 dev shim",
		"one ip -6 route flush default", "one ip addr add 192.0.2.99/24 dev eth0", "one nft 'add table ip6 z; add chain ip6 z i { type filter hook input priority 0; policy drop; }; add rule ip6 z i meta l4proto ipv6-icmp accept'")
}

func (g *generated) onVxlan() string {
	return pick(g.r, "host bridge fdb del 00:00:00:00:00:00 dev vx0 || true", "far bridge fdb flush dev vx0 || true", "far nft 'add table inet z; add chain inet z i { type filter hook input priority 0; }; add rule inet z i udp dport 4789 drop'",
		"host ip link set vx0 mtu 1300", "far ip link set vx0 down", "host ip link set eth1 mtu 1400", "far ip link set eth0 down", "far ip -6 addr flush dev eth0", "server ip -6 neigh replace 2001:db8::2 lladdr 02:00:00:00:99:99 dev eth0 nud permanent",
		"host bridge link set dev vx0 learning off", "far ip addr flush dev eth0 scope global")
}
