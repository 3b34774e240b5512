package rules

import (
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// bridgeBench adds a bridge br0 with the ports p1 and p2; frames are put in at
// the other end of p1, and the bridge knows what is behind p2.
func bridgeBench(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	sh(t, `
		ip link add br0 index 20 address 02:00:00:00:00:20 type bridge mcast_snooping 0
		ip link add p1 index 21 address 02:00:00:00:00:21 type veth peer name q1 index 31
		ip link add p2 index 22 address 02:00:00:00:00:22 type veth peer name q2 index 32
		for i in br0 p1 p2 q1 q2; do ip link set $i addrgenmode none; ip link set $i up; done
		ip link set p1 master br0; ip link set p2 master br0
		bridge fdb add 02:00:00:00:00:55 dev p2 master static`)
	b.inject = 31
	return b
}

func bridgeFrames() []sample {
	var out []sample
	for _, f := range frames() {
		p := &f.pkt
		p.CT = CT{}
		p.SrcMAC, p.Iif, p.PktType = "02:00:00:00:00:66", 21, "otherhost"
		switch {
		case p.Dst.IsMulticast():
			p.PktType = "multicast"
		case p.DstMAC == "ff:ff:ff:ff:ff:ff":
			p.PktType = "broadcast"
		default:
			p.DstMAC = "02:00:00:00:00:55"
		}
		out = append(out, f)
	}
	tagged := out[0]
	tagged.name, tagged.pkt.VLAN = "SYN in VLAN 42", 42
	ask := Packet{
		Family: snap.ARP, EtherType: 0x0806, ARPOp: 1, Src: netip.MustParseAddr("192.0.2.10"), Dst: netip.MustParseAddr("192.0.2.99"),
		SrcMAC: "02:00:00:00:00:66", DstMAC: "ff:ff:ff:ff:ff:ff", PktType: "broadcast", Iif: 21, Len: 28,
	}
	answer := ask
	answer.ARPOp, answer.DstMAC, answer.PktType = 2, "02:00:00:00:00:55", "otherhost"
	return append(out, tagged, sample{name: "ARP question", pkt: ask}, sample{name: "ARP answer", pkt: answer})
}

// matchesBridge are matches for forward of a bridge table.
func matchesBridge() []string {
	return []string{
		"", "iifname p1", "oifname p2", "iifname != p1", "meta ibrname br0", "meta obrname br0", "meta ibrname != br0", `meta ibrname ""`, "meta protocol ip", "meta protocol arp", "ether type ip6", "ether type arp", "ether type vlan", "ether type 8021q",
		"ether saddr 02:00:00:00:00:66", "ether daddr != ff:ff:ff:ff:ff:ff", "ether daddr & 01:00:00:00:00:00 == 01:00:00:00:00:00", "ip saddr 192.0.2.10", "ip daddr 192.0.2.0/24", "ip6 saddr 2001:db8::10", "tcp dport 80", "udp dport 53", "meta l4proto tcp", "meta nfproto 7", "th dport 80",
		"arp operation request", "arp operation reply", "arp operation != request", "arp saddr ip 192.0.2.10", "arp daddr ip 192.0.2.99", "arp saddr ether 02:00:00:00:00:66", "arp htype 1", "arp plen 4",
		"vlan id 42", "vlan id != 42", "vlan type ip", "meta pkttype broadcast", "meta pkttype otherhost", "meta pkttype multicast", "meta length 28", "iif . oif { p1 . p2 }", "iifkind veth",
		"ether saddr . ip saddr { 02:00:00:00:00:66 . 192.0.2.10 }", "meta mark set 5", "meta mark 5", "@ll,0,8 2", "ip ttl 64", "icmp type echo-request",
	}
}

// matchesEb are matches for FORWARD of ebtables.
func matchesEb() []string {
	return []string{
		"", "-p IPv4", "-p ! IPv4", "-p ARP", "-p 802_1Q", "-i p1", "-i ! p1", "-o p2", "-o p+", "--logical-in br0", "--logical-out ! br0", "-s 02:00:00:00:00:66", "-s ! 02:00:00:00:00:66", "-d Broadcast", "-d Multicast", "-d ! Unicast",
		"-s 02:00:00:00:00:00/ff:ff:ff:ff:ff:00", "-p IPv4 --ip-src 192.0.2.10", "-p IPv4 --ip-dst ! 192.0.2.0/24", "-p IPv4 --ip-proto tcp", "-p IPv4 --ip-proto tcp --ip-dport 80", "-p IPv4 --ip-proto udp --ip-sport 5000:6000", "-p IPv4 --ip-proto ! udp", "-p IPv4 --ip-tos 0x2a",
		"-p IPv4 --ip-proto icmp --ip-icmp-type echo-request", "-p IPv6 --ip6-src 2001:db8::/64", "-p IPv6 --ip6-proto udp --ip6-dport 53", "-p IPv6 --ip6-proto ipv6-icmp --ip6-icmp-type echo-request",
		"-p ARP --arp-op Request", "-p ARP --arp-op ! Request", "-p ARP --arp-ip-src 192.0.2.10", "-p ARP --arp-ip-dst 192.0.2.0/24", "-p ARP --arp-mac-src 02:00:00:00:00:66", "-p ARP --arp-gratuitous", "-p ARP --arp-htype 1",
		"-p 802_1Q --vlan-id 42", "-p 802_1Q --vlan-id ! 42", "-p 802_1Q --vlan-encap 0x0800", "--pkttype-type broadcast", "--pkttype-type otherhost", "--pkttype-type ! multicast", "--mark 0x0", "--mark 0x1/0x1",
		"--among-src 02:00:00:00:00:66,02:00:00:00:00:77", "--among-dst ! 02:00:00:00:00:55", "--among-src 02:00:00:00:00:66=192.0.2.10", "-j mark --mark-set 0x7 --mark-target CONTINUE", "--mark 0x7", "-j mark --mark-or 0x8 --mark-target CONTINUE", "--mark 0xf", "--limit 100/s",
	}
}

func TestKernelAgreesBridge(t *testing.T) {
	if !inOwnNetns(t, "nft", "ip", "bridge") {
		return
	}
	b := bridgeBench(t)
	sh(t, `nft 'add table bridge t; add chain bridge t c { type filter hook forward priority 0; policy accept; }'`)
	rec := &record{Name: "bridge", Table: "t", Chain: "c"}
	for _, m := range matchesBridge() {
		c := exec.CommandContext(t.Context(), "nft", "-f", "-")
		c.Stdin = strings.NewReader("add rule bridge t c " + m + " counter\n")
		if out, err := c.CombinedOutput(); err != nil {
			t.Logf("nft refuses %s: %s", m, out)
			continue
		}
		rec.Texts = append(rec.Texts, m)
	}
	b.compare(t, rec, snap.Inet, bridgeFrames(), b.send, func(p *Packet) bool { p.Oif = 22; return true })
}

func TestKernelAgreesEBTables(t *testing.T) {
	if !inOwnNetns(t, "nft", "ip", "bridge", "ebtables-nft") {
		return
	}
	b := bridgeBench(t)
	rec := &record{Name: "ebtables", Table: "filter", Chain: "FORWARD"}
	rec.load(t, "ebtables-nft", matchesEb())
	b.compare(t, rec, snap.Inet, bridgeFrames(), b.send, func(p *Packet) bool { p.Oif = 22; return true })
}

func TestKernelAgreesNetdev(t *testing.T) {
	if !inOwnNetns(t, "nft", "ip", "bridge") {
		return
	}
	b := bridgeBench(t)
	sh(t, `nft 'add table netdev t; add chain netdev t c { type filter hook ingress device p1 priority 0; policy accept; }'`)
	rec := &record{Name: "netdev", Table: "t", Chain: "c"}
	for _, m := range append(matchesBridge(), "meta nfproto 5", "iif p1", "oif 0", "iifgroup 0", "fib saddr type unicast", "meta secpath missing") {
		c := exec.CommandContext(t.Context(), "nft", "-f", "-")
		c.Stdin = strings.NewReader("add rule netdev t c " + m + " counter\n")
		if out, err := c.CombinedOutput(); err != nil {
			t.Logf("nft refuses %s: %s", m, out)
			continue
		}
		rec.Texts = append(rec.Texts, m)
	}
	b.compare(t, rec, snap.Inet, bridgeFrames(), b.send, nil)
}
