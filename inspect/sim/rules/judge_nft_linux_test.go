package rules

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// matchesNFT are matches for a prerouting chain of an inet table after conntrack.
func matchesNFT() []string {
	return []string{
		"", "iifname va", "iifname != va", `iifname "v*"`, `iifname "vb*"`, "iif va", "iif != lo", `iifname { "lo", "va" }`, `iifname != { "lo", "vb" }`,
		"iifgroup 3", "iifgroup != 3", "iiftype ether", "iifkind veth", "iifkind != veth", `oifname ""`, "meta oif 0",
		"ip saddr 192.0.2.10", "ip saddr != 192.0.2.10", "ip saddr 192.0.2.0/24", "ip daddr 192.0.2.0/25", "ip daddr != 203.0.113.0/24",
		"ip saddr 192.0.2.5-192.0.2.15", "ip saddr { 192.0.2.10, 192.0.2.77 }", "ip saddr != { 192.0.2.10, 198.51.100.0/24 }",
		"ip saddr . tcp dport { 192.0.2.10 . 80, 192.0.2.11 . 443 }", "ip saddr . tcp dport { 192.0.2.0/28 . 1-443, 192.0.2.64/26 . 22 }",
		"ip daddr . meta l4proto . th dport { 192.0.2.1 . tcp . 80, 203.0.113.5 . udp . 40000, 192.0.2.1 . udp . 53 }",
		"ip daddr . meta l4proto . th dport { 192.0.2.0/24 . tcp . 80-90, 203.0.113.0/24 . udp . 40000 }",
		"ip ttl 64", "ip ttl < 32", "ip ttl >= 64", "ip dscp 10", "ip dscp != 0", "ip ecn 2", "ip length 40-60", "ip length > 60", "ip frag-off & 0x4000 != 0",
		"ip version 4", "ip hdrlength 5", "ip protocol { tcp, udp }", "ip protocol != icmp",
		"meta l4proto tcp", "meta l4proto != { icmp, udp }", "meta nfproto ipv4", "meta nfproto ipv6", "meta protocol ip", "meta protocol ip6",
		"meta length 60", "meta length > 40", "meta pkttype host", "meta pkttype broadcast", "meta pkttype != multicast", "meta mark 0", "meta priority 0",
		"meta skuid 0", "meta skuid != 0", "meta secpath missing", "meta sdif 0",
		"tcp dport 80", "tcp dport != 80", "tcp dport 1-1023", "tcp dport { 80, 443 }", "tcp dport != { 80, 443 }", "tcp sport >= 40000", "tcp sport > 40000",
		"th dport 53", "th sport 53", "udp dport 53", "udp length > 20", "udp length 9", "tcp flags syn", "tcp flags & (syn|ack) == syn", "tcp flags != ack",
		"tcp flags { syn, ack }", "tcp option maxseg size 1460", "tcp option maxseg size < 1400", "tcp option maxseg exists", "tcp option maxseg missing",
		"icmp type echo-request", "icmp type != echo-request", "icmp id 77", "icmp type { echo-reply, echo-request }", "icmpv6 type echo-request", "icmp code 0",
		"ip6 saddr 2001:db8::/64", "ip6 daddr 2001:db8::1", "ip6 daddr != 2001:db8::1", "ip6 saddr { 2001:db8::10, 2001:db8::11 }", "ip6 hoplimit 64", "ip6 dscp 10", "ip6 nexthdr tcp",
		"ip6 version 6", "exthdr frag missing", "exthdr hbh exists", "frag more-fragments 0",
		"ether saddr " + macB, "ether daddr != " + macA, "ether type ip", "ether daddr ff:ff:ff:ff:ff:ff", "ether saddr { " + macA + ", " + macB + " }",
		"ct state new", "ct state established,related", "ct state != new", "ct state { new, invalid }", "ct state invalid", "ct direction original", "ct status dnat", "ct status != snat",
		"ct mark 0", "ct mark != 0", "ct original ip saddr 192.0.2.10", "ct original ip daddr 203.0.113.0/24", "ct original proto-dst 80", "ct reply ip saddr 192.0.2.1", "ct original protocol 6",
		"ct l3proto ipv4", "ct zone 0", `ct helper "ftp"`, "ct reply proto-dst 40000",
		"fib daddr type local", "fib daddr type != local", "fib daddr . iif type local", "fib daddr type { broadcast, multicast }", "fib saddr type unicast",
		"fib saddr oif 0", "fib saddr oif != 0", "fib saddr . iif oif missing", "fib saddr . iif oif exists", "fib saddr oifname va", "fib daddr oifname d0", "fib daddr oif exists", "fib saddr . mark . iif oif != 0",
		"@nh,64,8 17", "@th,16,16 80", "@nh,96,32 0xc000020a", "@th,0,16 & 0xff00 0x9c00", "@ll,96,16 0x800",
		"jhash ip saddr mod 16 seed 0xdeadbeef 0-7", "jhash ip saddr . ip daddr mod 10 seed 0x7 < 5", "jhash tcp sport . ip saddr . ip daddr . tcp dport mod 100 seed 0x99 >= 50 offset 0",
		`socket transparent 1`, `meta hour "00:00"-"23:59"`, `meta time > "2020-01-01 00:00:00"`, `meta time < "2020-01-01 00:00:00"`,
		"rt classid 0", "ip saddr @ips", "ip saddr != @ips", "tcp dport @ports", "ip saddr . th dport @pairs", "ip daddr @catch", "meta mark set 7", "meta mark 7", "meta mark and 3 == 3", "ct mark set meta mark", "ct mark 7",
		"ct mark and 0xf == 7", "meta mark set ct mark or 0x100", "meta mark 0x107", "meta mark > 0x100", "meta mark 0x100-0x200", "meta mark { 1, 0x107 }", "meta mark set meta mark and 0xff xor 0x1", "meta mark 6",
		"meta mark set tcp dport map { 80 : 1, 443 : 2, 1000-9000 : 3 }", "meta mark 1", "meta mark 3", "meta mark set ip saddr map { 192.0.2.0/24 : 0x11, 198.51.100.1 : 0x12 }", "meta mark 0x11",
		"ip dscp set 20", "ip dscp 20", "ip ttl set 9", "ip ttl 9", "tcp option maxseg size set 1200", "tcp option maxseg size 1200", "meta priority set 1:2", "meta priority 1:2",
		"meta mark set meta mark lshift 4", "meta mark 0x110", "meta mark set meta mark rshift 8", "meta mark 1",
		"limit rate 1000/second burst 1000 packets", "numgen random mod 4 < 2", "numgen inc mod 2 0",
	}
}

func TestKernelAgreesNFT(t *testing.T) {
	if !inOwnNetns(t, "nft", "ip") {
		return
	}
	j := newBench(t)
	sh(t, `nft -f - <<'END'
table inet t {
	set ips { type ipv4_addr; flags interval; elements = { 192.0.2.8/29, 198.51.100.7, 203.0.113.0-203.0.113.9 }; }
	set ports { type inet_service; elements = { 22, 80 }; }
	set pairs { type ipv4_addr . inet_service; flags interval; elements = { 192.0.2.0/24 . 50-60, 192.0.2.10 . 8000-9000 }; }
	set catch { type ipv4_addr; elements = { 203.0.113.5, * }; }
	chain c { type filter hook prerouting priority -140; policy accept; }
}
END`)
	rec := &record{Name: "nft", Table: "t", Chain: "c"}
	for _, m := range matchesNFT() {
		c := exec.CommandContext(t.Context(), "nft", "-f", "-")
		c.Stdin = strings.NewReader("add rule inet t c " + m + " counter\n")
		if out, err := c.CombinedOutput(); err != nil {
			t.Logf("nft refuses %s: %s", m, out)
			continue
		}
		rec.Texts = append(rec.Texts, m)
	}
	j.compare(t, rec, snap.IPv4, frames(), j.send, nil)
	j.compare(t, rec, snap.IPv6, frames(), j.send, nil)
}
