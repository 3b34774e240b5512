package judge

import (
	"fmt"
	"testing"
)

// TestHairpin is the table of a published port that is asked from its own
// bridge: with and without br_netfilter, forwarding, masquerade of what stays
// on the bridge, hairpin on the ports; from another container and from the
// one that publishes.
func TestHairpin(t *testing.T) {
	t.Parallel()
	for _, v6 := range []bool{false, true} {
		for bits := range 16 {
			nf, fwd, masq, port := bits&1, bits>>1&1, bits>>2&1, bits>>3&1
			t.Run(fmt.Sprintf("v6=%v bridge-nf=%d forward=%d masquerade=%d hairpin=%d", v6, nf, fwd, masq, port), func(t *testing.T) {
				t.Parallel()
				s := build(t, six)
				s.serveSix()
				fam, cidr, call, key, hostIP, web := "ip", "10.0.0.0/24", "iptables", "ipv4/ip_forward", "192.0.2.2", "10.0.0.3"
				if v6 {
					fam, cidr, call, key, hostIP, web = "ip6", "2001:db8::/64", "ip6tables", "ipv6/conf/all/forwarding", "[2001:db8:f::2]", "[2001:db8::3]"
				}
				rule := ""
				if masq == 1 {
					rule = fmt.Sprintf("add chain %[1]s n o { type nat hook postrouting priority 100; }; add rule %[1]s n o %[1]s saddr %[2]s oif br0 masquerade", fam, cidr)
				}
				s.run("host", fmt.Sprintf(`cd /proc/sys/net; echo %d > bridge/bridge-nf-call-%s; echo %d > %s
					bridge link set dev vweb hairpin %s; bridge link set dev vclient hairpin %s
					nft 'add table %[7]s n; add chain %[7]s n p { type nat hook prerouting priority -100; }; add rule %[7]s n p tcp dport 8080 dnat to %[8]s:80; add rule %[7]s n p udp dport 8053 dnat to %[8]s:53; %[9]s'`,
					nf, call, fwd, key, onOff(port), onOff(port), fam, web, rule))
				s.judge(
					"client tcp "+hostIP+":8080", "web tcp "+hostIP+":8080", "client udp "+hostIP+":8053", "web udp "+hostIP+":8053",
					"db tcp "+hostIP+":8080", "world tcp "+hostIP+":8080",
				)
			})
		}
	}
}

func onOff(b int) string {
	if b == 1 {
		return "on"
	}
	return "off"
}
