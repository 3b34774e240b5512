package judge

import (
	"strings"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/sim"
)

// connCases are about NAT and what connection tracking makes of it.
var connCases = []scenario{
	{"masquerade", `
world ip route del 10.0.0.0/16
host iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o eth0 -j MASQUERADE`, []string{"client tcp 198.51.100.7:80 = delivered", "client udp 198.51.100.7:53 = delivered", "client icmp 198.51.100.7 = delivered", "client udp 198.51.100.7:54 = refused", "db tcp 198.51.100.7:80 = dropped"}},
	{"SNAT to an address of the host's", `
world ip route del 10.0.0.0/16
host iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o eth0 -j SNAT --to 192.0.2.2`, []string{"client tcp 198.51.100.7:80 = delivered"}},
	{"SNAT to an address that nobody has", `host iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o eth0 -j SNAT --to 192.0.2.77`, []string{"client tcp 198.51.100.7:80 = dropped"}},
	{"SNAT to a range", `
host ip addr add 192.0.2.3/24 dev eth0
host iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o eth0 -j SNAT --to 192.0.2.2-192.0.2.3`, []string{"client tcp 198.51.100.7:80 = delivered"}},
	{"SNAT to a range of which one is nobody's", `host iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o eth0 -j SNAT --to 192.0.2.2-192.0.2.3`, []string{"client tcp 198.51.100.7:80 = unknown"}},
	{"DNAT", `host iptables -t nat -A PREROUTING -d 192.0.2.2 -p tcp --dport 8080 -j DNAT --to 10.0.0.3:80`, []string{"world tcp 192.0.2.2:8080 = delivered", "db tcp 192.0.2.2:8080 = delivered", "host tcp 192.0.2.2:8080 = refused", "world tcp 192.0.2.2:8081 = refused"}},
	{"DNAT to nobody", `host iptables -t nat -A PREROUTING -d 192.0.2.2 -p tcp --dport 8080 -j DNAT --to 10.0.0.99:80`, []string{"world tcp 192.0.2.2:8080 = dropped"}},
	{"DNAT to a closed port", `host iptables -t nat -A PREROUTING -d 192.0.2.2 -p tcp --dport 8080 -j DNAT --to 10.0.0.3:81; iptables -t nat -A PREROUTING -d 192.0.2.2 -p udp --dport 8053 -j DNAT --to 10.0.0.3:54`, []string{"world tcp 192.0.2.2:8080 = refused", "world udp 192.0.2.2:8053 = refused"}},
	{"DNAT of echo", `host iptables -t nat -A PREROUTING -d 192.0.2.2 -p icmp -j DNAT --to 10.0.0.3`, []string{"world icmp 192.0.2.2 = delivered"}},
	{"DNAT before a filter by the new address", `host iptables -t nat -A PREROUTING -d 192.0.2.2 -p tcp --dport 8080 -j DNAT --to 10.0.0.3:80; iptables -A FORWARD -d 10.0.0.3 -p tcp --dport 80 -j DROP`, []string{"world tcp 192.0.2.2:8080 = dropped"}},
	{"DNAT before a filter by the old address", `host iptables -t nat -A PREROUTING -d 192.0.2.2 -p tcp --dport 8080 -j DNAT --to 10.0.0.3:80; iptables -A FORWARD -m conntrack --ctorigdst 192.0.2.2 --ctorigdstport 8080 -j DROP`, []string{"world tcp 192.0.2.2:8080 = dropped"}},
	{"DNAT dropped before it is made", `host iptables -t nat -A PREROUTING -d 192.0.2.2 -p tcp --dport 8080 -j DNAT --to 10.0.0.3:80; iptables -t raw -A PREROUTING -p tcp --dport 8080 -j DROP`, []string{"world tcp 192.0.2.2:8080 = dropped"}},
	{"notrack undoes DNAT", `host iptables -t nat -A PREROUTING -d 192.0.2.2 -p tcp --dport 8080 -j DNAT --to 10.0.0.3:80; iptables -t raw -A PREROUTING -p tcp --dport 8080 -j CT --notrack`, []string{"world tcp 192.0.2.2:8080 = refused"}},
	{"notrack of the answer", `host iptables -t nat -A PREROUTING -d 192.0.2.2 -p tcp --dport 8080 -j DNAT --to 10.0.0.3:80; iptables -t raw -A PREROUTING -p tcp --sport 80 -j CT --notrack`, []string{"world tcp 192.0.2.2:8080"}},
	{"a zone for the bridge alone", `
world ip route del 10.0.0.0/16
host iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o eth0 -j MASQUERADE; iptables -t raw -A PREROUTING -i br0 -j CT --zone 7`, []string{"client tcp 198.51.100.7:80 = dropped", "client udp 198.51.100.7:53 = dropped", "host tcp 198.51.100.7:80 = delivered"}},
	{"the same zone on both sides", `
world ip route del 10.0.0.0/16
host iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o eth0 -j MASQUERADE; iptables -t raw -A PREROUTING -i br0 -j CT --zone 7; iptables -t raw -A PREROUTING -i eth0 -j CT --zone 7`, []string{"client tcp 198.51.100.7:80 = delivered"}},
	{"two zones", `
world ip route del 10.0.0.0/16
host iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o eth0 -j MASQUERADE; iptables -t raw -A PREROUTING -i br0 -j CT --zone 7; iptables -t raw -A PREROUTING -i eth0 -j CT --zone 8`, []string{"client tcp 198.51.100.7:80 = dropped"}},
	{"a zone of the original direction", `
world ip route del 10.0.0.0/16
host iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o eth0 -j MASQUERADE; iptables -t raw -A PREROUTING -i br0 -j CT --zone-orig 7`, []string{"client tcp 198.51.100.7:80 = delivered"}},
	{"a zone of the reply direction", `
world ip route del 10.0.0.0/16
host iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o eth0 -j MASQUERADE; iptables -t raw -A PREROUTING -i br0 -j CT --zone-reply 7`, []string{"client tcp 198.51.100.7:80 = dropped"}},
	{"nft's zone", `
world ip route del 10.0.0.0/16
host iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o eth0 -j MASQUERADE; nft 'add table ip z; add chain ip z p { type filter hook prerouting priority raw; }; add rule ip z p iifname br0 ct zone set 7'`, []string{"client tcp 198.51.100.7:80 = dropped"}},
	{"nft's zone of the original direction", `
world ip route del 10.0.0.0/16
host iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o eth0 -j MASQUERADE; nft 'add table ip z; add chain ip z p { type filter hook prerouting priority raw; }; add rule ip z p iifname br0 ct original zone set 7'`, []string{"client tcp 198.51.100.7:80 = delivered"}},
	{"a zone of the answers behind a DNAT", `host iptables -t nat -A PREROUTING -d 192.0.2.2 -p tcp --dport 8080 -j DNAT --to 10.0.0.3:80; iptables -t raw -A PREROUTING -i br0 -j CT --zone 7`, []string{"world tcp 192.0.2.2:8080 = dropped"}},
	{"a queue that nobody reads", `host iptables -A FORWARD -p tcp -j NFQUEUE --queue-num 5`, []string{"client tcp 10.0.1.2:80 = dropped", "client udp 10.0.1.2:53 = delivered"}},
	{"queues that nobody reads", `host iptables -A FORWARD -p tcp -j NFQUEUE --queue-balance 5:7`, []string{"client tcp 10.0.1.2:80 = dropped"}},
	{"a queue that nobody need read", `host iptables -A FORWARD -p tcp -j NFQUEUE --queue-num 5 --queue-bypass`, []string{"client tcp 10.0.1.2:80 = delivered"}},
	{"a transparent proxy that is not there", `host iptables -t mangle -A PREROUTING -i br0 -p tcp --dport 8080 -j TPROXY --on-port 3129 --tproxy-mark 1; ip rule add fwmark 1 lookup 100; ip route add local 0.0.0.0/0 dev lo table 100`, []string{"client tcp 10.0.1.2:8080 = dropped", "client tcp 10.0.0.1:8080 = dropped", "client tcp 10.0.1.2:80 = delivered"}},
	{"a transparent proxy at an address, not there", `host iptables -t mangle -A PREROUTING -i br0 -p tcp --dport 8080 -j TPROXY --on-ip 127.0.0.1 --on-port 3129 --tproxy-mark 1`, []string{"client tcp 10.0.1.2:8080 = dropped"}},
	{"nft's transparent proxy, not there", `host nft 'add table ip t; add chain ip t p { type filter hook prerouting priority mangle; }; add rule ip t p iifname br0 tcp dport 80 tproxy to :3129 meta mark set 1 accept'`, []string{"client tcp 10.0.1.2:80 = delivered"}},
	{"REDIRECT", `host iptables -t nat -A PREROUTING -i br0 -p tcp --dport 8080 -j REDIRECT --to-ports 80`, []string{"client tcp 198.51.100.7:8080 = delivered", "client tcp 10.0.0.1:8080 = delivered"}},
	{"REDIRECT of the host's own", `host iptables -t nat -A OUTPUT -p tcp --dport 8080 -j REDIRECT --to-ports 80`, []string{"host tcp 198.51.100.7:8080 = delivered", "host tcp 10.0.0.3:8080 = delivered"}},
	{"NETMAP", `host iptables -t nat -A PREROUTING -d 10.7.0.0/24 -j NETMAP --to 10.0.1.0/24`, []string{"client tcp 10.7.0.2:80 = delivered", "client tcp 10.7.0.3:80 = dropped"}},
	{"DNAT with a range of ports", `host iptables -t nat -A PREROUTING -d 192.0.2.2 -p tcp --dport 8000:8100 -j DNAT --to 10.0.0.3`, []string{"world tcp 192.0.2.2:8080 = refused"}},
	{"balanced by chance over good ones", `host iptables -t nat -A PREROUTING -d 192.0.2.2 -p tcp --dport 8080 -m statistic --mode random --probability 0.5 -j DNAT --to 10.0.0.3:80; iptables -t nat -A PREROUTING -d 192.0.2.2 -p tcp --dport 8080 -j DNAT --to 10.0.1.2:80`, []string{"world tcp 192.0.2.2:8080 = delivered"}},
	{"balanced by chance, one dead", `host iptables -t nat -A PREROUTING -d 192.0.2.2 -p tcp --dport 8080 -m statistic --mode random --probability 0.5 -j DNAT --to 10.0.0.3:80; iptables -t nat -A PREROUTING -d 192.0.2.2 -p tcp --dport 8080 -j DNAT --to 10.0.0.99:80`, []string{"world tcp 192.0.2.2:8080 = unknown"}},
	{"invalid answers dropped, asymmetric", `
host iptables -A FORWARD -m conntrack --ctstate INVALID -j DROP; echo 0 > /proc/sys/net/bridge/bridge-nf-call-iptables
web ip route add 10.0.0.2/32 via 10.0.0.1`, []string{"client tcp 10.0.0.3:80 = unknown"}},
	{"local service behind 127.0.0.1", `host iptables -t nat -A PREROUTING -i br0 -p tcp --dport 8080 -j DNAT --to 127.0.0.1:80`, []string{"client tcp 10.0.0.1:8080 = dropped"}},
	{"the same with route_localnet", `host iptables -t nat -A PREROUTING -i br0 -p tcp --dport 8080 -j DNAT --to 127.0.0.1:80; echo 1 > /proc/sys/net/ipv4/conf/br0/route_localnet`, []string{"client tcp 10.0.0.1:8080"}},
	{"the host's 127.0.0.1 to a container", `host iptables -t nat -A OUTPUT -d 127.0.0.1 -p tcp --dport 8080 -j DNAT --to 10.0.0.3:80`, []string{"host tcp 127.0.0.1:8080 = dropped"}},
	{"the same, with route_localnet and masquerade", `host iptables -t nat -A OUTPUT -d 127.0.0.1 -p tcp --dport 8080 -j DNAT --to 10.0.0.3:80; echo 1 > /proc/sys/net/ipv4/conf/br0/route_localnet; iptables -t nat -A POSTROUTING -o br0 -s 127.0.0.1 -j MASQUERADE`, []string{"host tcp 127.0.0.1:8080 = delivered"}},
	{"an embedded resolver", `
client iptables -t nat -A OUTPUT -d 127.0.0.11 -p udp --dport 53 -j DNAT --to 127.0.0.11:5300; iptables -t nat -A POSTROUTING -s 127.0.0.11 -p udp --sport 5300 -j SNAT --to :53
client true`, []string{"client udp 127.0.0.11:53 = refused"}},
	{"legacy and nft side by side", `host iptables-legacy -t nat -A PREROUTING -d 192.0.2.2 -p tcp --dport 8080 -j DNAT --to 10.0.0.3:80; nft 'add table ip f; add chain ip f f { type filter hook forward priority 10; }; add rule ip f f ip daddr 10.0.0.3 tcp dport 80 drop'`, []string{"world tcp 192.0.2.2:8080 = dropped", "world tcp 10.0.0.3:81 = refused"}},
	{"two DNATs, the first wins", `host iptables -t nat -A PREROUTING -d 192.0.2.2 -p tcp --dport 8080 -j DNAT --to 10.0.0.3:80; nft 'add table ip n; add chain ip n p { type nat hook prerouting priority -90; }; add rule ip n p tcp dport 8080 dnat to 10.0.0.99'`, []string{"world tcp 192.0.2.2:8080 = delivered"}},
	{"two DNATs, the other first", `host iptables -t nat -A PREROUTING -d 192.0.2.2 -p tcp --dport 8080 -j DNAT --to 10.0.0.3:80; nft 'add table ip n; add chain ip n p { type nat hook prerouting priority -110; }; add rule ip n p tcp dport 8080 dnat to 10.0.0.99'`, []string{"world tcp 192.0.2.2:8080 = dropped"}},
	{"a limit that still holds", `host iptables -A FORWARD -p tcp -m limit --limit 1000/s -j ACCEPT; iptables -A FORWARD -p tcp -j DROP`, []string{"client tcp 10.0.1.2:80 = unknown", "client udp 10.0.1.2:53 = delivered"}},
	{"a limited log does not matter", `host iptables -A FORWARD -m limit --limit 1/s -j LOG; iptables -A FORWARD -p tcp -j DROP`, []string{"client tcp 10.0.1.2:80 = dropped", "client udp 10.0.1.2:53 = delivered"}},
}

func TestConn(t *testing.T) {
	t.Parallel()
	runCases(t, six, (*scene).serveSix, connCases)
}

// TestStaleConn is about entries that are there already: they win over the
// rules, for packets of the very same ports.
func TestStaleConn(t *testing.T) {
	t.Parallel()
	s := build(t, six+`
host iptables -t nat -A PREROUTING -d 192.0.2.2 -p udp --dport 8053 -j DNAT --to 10.0.0.99:53
world ping -c 1 -W 1 192.0.2.2 >/dev/null
`)
	s.serveSix()
	f := func() flow { return s.parseFlow("world udp 192.0.2.2:8053 sport=5353") }
	s.read()
	if got := s.send([]flow{f()})[0]; got.verdict != "dropped" {
		t.Fatalf("to a container that is gone: %+v", got)
	}
	s.script(`host iptables -t nat -F PREROUTING; iptables -t nat -A PREROUTING -d 192.0.2.2 -p udp --dport 8053 -j DNAT --to 10.0.0.3:53`)
	s.judge("world udp 192.0.2.2:8053 sport=5353 = dropped", "world udp 192.0.2.2:8053 sport=5354 = delivered")
	tr := s.read().Trace(f().sim)
	if tr.Where == nil || tr.Where.Cause != sim.CauseStaleConn || !strings.Contains(tr.Where.Detail, "existing connection entry") {
		t.Errorf("the entry is not named:\n%s", s.trail(tr))
	}
}
