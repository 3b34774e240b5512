package rules

import (
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// matchesXt are matches for mangle PREROUTING of iptables.
func matchesXt() []string {
	return []string{
		"", "-i va", "! -i va", "-i v+", "-i vb+", "! -i v+", "-i vaa+", "-i va+", "-s 192.0.2.10", "! -s 192.0.2.10", "-s 192.0.2.0/255.255.255.0", "-d 0.0.0.1/0.0.0.255", "-d 192.0.2.1", "! -d 203.0.113.0/24",
		"-p tcp", "! -p tcp", "-p 99", "-p udp --dport 53", "-f", "! -f",
		"-p tcp --dport 80", "-p tcp ! --dport 80", "-p tcp --dport 1:1023", "-p tcp --sport 40000:", "-p tcp --syn", "-p tcp ! --syn", "-p tcp --tcp-flags ALL SYN", "-p tcp ! --tcp-flags SYN,ACK ACK",
		"-p tcp --tcp-option 2", "-p tcp ! --tcp-option 2", "-p udp --sport 5353", "-p udp ! --sport 5353", "-p icmp --icmp-type 8", "-p icmp ! --icmp-type 8", "-p icmp --icmp-type any", "-p icmp --icmp-type echo-reply",
		"-p tcp -m multiport --dports 80,443", "-p tcp -m multiport ! --dports 80,443", "-p tcp -m multiport --sports 1000:2000,50000", "-p tcp -m multiport --ports 40001,8080", "-p udp -m multiport ! --ports 53:60",
		"-m addrtype --dst-type LOCAL", "-m addrtype ! --dst-type LOCAL", "-m addrtype --src-type UNICAST", "-m addrtype --dst-type BROADCAST,MULTICAST", "-m addrtype --dst-type LOCAL --limit-iface-in", "-m addrtype --dst-type MULTICAST ! --src-type LOCAL",
		"-m conntrack --ctstate NEW", "-m conntrack ! --ctstate NEW", "-m conntrack --ctstate ESTABLISHED,RELATED", "-m conntrack --ctstate INVALID", "-m conntrack --ctstate DNAT", "-m conntrack ! --ctstate SNAT,DNAT", "-m conntrack --ctstate UNTRACKED",
		"-m conntrack --ctproto 6", "-m conntrack ! --ctproto 17", "-m conntrack --ctorigsrc 192.0.2.10", "-m conntrack ! --ctorigdst 192.0.2.0/24", "-m conntrack --ctreplsrc 192.0.2.1", "-p tcp -m conntrack --ctproto tcp --ctorigdstport 80", "-p tcp -m conntrack --ctproto tcp --ctorigdstport 8000:9000", "-p tcp -m conntrack --ctproto tcp ! --ctorigsrcport 40000",
		"-m conntrack --ctdir ORIGINAL", "-m conntrack --ctdir REPLY", "-m conntrack --ctstatus NONE", "-m conntrack --ctstatus ASSURED", "-m conntrack ! --ctstatus SEEN_REPLY", "-m conntrack --ctstatus EXPECTED,CONFIRMED", "-m conntrack --ctstate NEW --ctdir ORIGINAL --ctorigsrc 192.0.2.0/24",
		"-m state --state NEW", "-m state ! --state NEW", "-m connmark --mark 0", "-m connmark ! --mark 0/0xff", "-m mark --mark 0", "-m mark ! --mark 0", "-m mark --mark 1/0x1",
		"-m mac --mac-source " + macB, "-m mac ! --mac-source " + macB, "-m iprange --src-range 192.0.2.5-192.0.2.20", "-m iprange ! --dst-range 192.0.2.0-192.0.2.9", "-m length --length 60", "-m length --length 40:50", "-m length ! --length :60",
		"-m ttl --ttl-eq 64", "-m ttl --ttl-lt 64", "-m ttl --ttl-gt 17", "-m dscp --dscp 10", "-m dscp ! --dscp 0", "-m tos --tos 0x2a", "-m tos --tos 0x28/0xfc", "-m tos ! --tos 0/0xff", "-m ecn --ecn-ip-ect 2", "-p tcp -m ecn ! --ecn-tcp-ece", "-p tcp -m ecn --ecn-tcp-cwr",
		"-m comment --comment hello", "-m pkttype --pkt-type unicast", "-m pkttype ! --pkt-type unicast", "-m pkttype --pkt-type broadcast", "-m pkttype --pkt-type multicast", "-m physdev --physdev-is-in", "-m physdev ! --physdev-is-in", "-m physdev ! --physdev-is-bridged", "-m physdev --physdev-in vb", "-m physdev ! --physdev-in vb",
		"-m rpfilter", "-m rpfilter --invert", "-m rpfilter --loose", "-m rpfilter --accept-local", "-m devgroup --src-group 3", "-m devgroup ! --src-group 0x3/0xf", "-m devgroup --src-group 1/1", "-m policy --dir in --pol none", "-m policy --dir in --pol ipsec",
		"-p tcp -m tcpmss --mss 1400:1500", "-p tcp -m tcpmss ! --mss 1400:1500", "-m helper --helper ftp", "-m helper ! --helper ftp", "-m connlabel --label 3", "-m connlabel ! --label 3", "-m connlabel --label 3 --set", "-m connlabel --label 3",
		"-m time --datestart 2020-01-01", "-m time --datestop 2020-01-01", "-m time --timestart 00:00 --timestop 23:59:59", "-m time --weekdays Mon,Tue,Wed,Thu,Fri,Sat,Sun", "-m time --monthdays 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
		"-m u32 --u32 0>>22&0x3C@0>>16=40000", "-m u32 --u32 6&0xFF=6", "-m u32 --u32 6&0xFF=0:16", "-m u32 --u32 12=0xc000020a&&16=0xc0000200:0xc00002ff", "-m u32 ! --u32 8>>24=64", "-m u32 --u32 0>>22&0x3C@4=0x01020304,0x5", "-m u32 --u32 500=0", "-m u32 --u32 0>>22&0x3C@8=0x736f6d65",
		"-m bpf --bytecode " + `"4,48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0"`, "-m bpf --bytecode " + `"5,177 0 0 0,72 0 0 2,21 0 1 53,6 0 0 65535,6 0 0 0"`, "-m bpf --bytecode " + `"4,32 0 0 12,21 0 1 3221226027,6 0 0 1,6 0 0 0"`, "-m bpf --bytecode " + `"6,128 0 0 0,37 0 3 50,48 0 0 8,21 0 1 64,6 0 0 1,6 0 0 0"`,
		"-m string --algo bm --string question", "-m string --algo kmp ! --string question", "-m string --algo bm --icase --string QUESTION", "-m string --algo bm --from 30 --to 40 --string question", "-m string --algo kmp --string questions",
		"-m socket", "-m socket --transparent", "-m statistic --mode random --probability 0.5", "-m limit --limit 5/s", "-m recent --name r --set", "-m recent --name r --rcheck", "-m hashlimit --hashlimit-name h --hashlimit-upto 100/s --hashlimit-mode srcip",
		"-m connbytes --connbytes 100000: --connbytes-dir both --connbytes-mode bytes", "-m connlimit --connlimit-above 100", "-m cpu --cpu 0", "-m quota --quota 10", "-m cluster --cluster-total-nodes 2 --cluster-local-node 1 --cluster-hash-seed 1",
		"-j MARK --set-mark 0x5", "-m mark --mark 5", "-j MARK --set-xmark 0xf0/0xf0", "-m mark --mark 0xf5", "-j MARK --and-mark 0x3f", "-m mark --mark 0x35", "-j MARK --or-mark 0x100", "-m mark --mark 0x135", "-j MARK --xor-mark 0x1", "-m mark --mark 0x134",
		"-j CONNMARK --save-mark", "-m connmark --mark 0x134", "-j CONNMARK --set-xmark 0xf/0x3", "-m connmark --mark 0x13b", "-m connmark --mark 0x137", "-j MARK --set-mark 0", "-j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xff", "-m mark --mark 0x3b", "-m mark --mark 0x37",
		"-j TOS --set-tos 0x10/0xff", "-m tos --tos 0x10", "-j DSCP --set-dscp 5", "-m dscp --dscp 5", "-j TTL --ttl-inc 3", "-m ttl --ttl-eq 67", "-j TTL --ttl-set 33", "-m ttl --ttl-eq 33", "-j CLASSIFY --set-class 1:2",
	}
}

// matchesXt6 are matches for mangle PREROUTING of ip6tables.
func matchesXt6() []string {
	return []string{
		"", "-i v+", "-s 2001:db8::10", "! -s 2001:db8::/64", "-d 2001:db8::1", "-p tcp", "! -p tcp", "-p tcp --dport 80", "-p udp --sport 5353", "-p icmpv6 --icmpv6-type echo-request", "-p icmpv6 ! --icmpv6-type 129",
		"-m addrtype --dst-type LOCAL", "-m addrtype ! --dst-type LOCAL", "-m addrtype --src-type UNICAST", "-m addrtype --dst-type MULTICAST", "-m conntrack --ctstate NEW", "-m conntrack --ctorigdst 2001:db8::/64", "-m conntrack ! --ctorigsrc 2001:db8::10",
		"-m iprange --src-range 2001:db8::1-2001:db8::ff", "-m hl --hl-eq 64", "-m hl --hl-lt 64", "-m length --length 40:100", "-m dscp --dscp 10", "-m tos --tos 0x28", "-m rpfilter", "-m rpfilter --invert", "-m mac --mac-source " + macB, "-m multiport -p tcp --dports 80",
		"-p tcp -m tcpmss --mss 1460", "-j HL --hl-dec 4", "-m hl --hl-eq 60", "-j TOS --set-tos 0x40", "-m tos --tos 0x40", "-m u32 --u32 8=0x20010db8", "-m u32 --u32 4&0xff=64",
	}
}

// quoteU32 protects what follows --u32 from the shell.
func quoteU32(m string) string {
	head, expr, ok := strings.Cut(m, "--u32 ")
	if !ok {
		return m
	}
	return head + "--u32 '" + expr + "'"
}

// matchesForward are matches for mangle FORWARD.
func matchesForward() []string {
	return []string{
		"", "-o d0", "! -o d0", "-o d+", "-i va -o d0", "-o va", "-m devgroup --dst-group 5", "-m devgroup --src-group 3 --dst-group 5", "-m devgroup ! --dst-group 5",
		"-m addrtype --dst-type LOCAL --limit-iface-out", "-m addrtype --src-type UNICAST --limit-iface-in", "-m ttl --ttl-eq 16", "-m hl --hl-eq 63", "-m mac --mac-source " + macB,
		"-m physdev --physdev-is-bridged", "-m physdev ! --physdev-is-bridged", "-m physdev ! --physdev-is-out", "-m conntrack --ctstate NEW", "-m policy --dir out --pol none",
		"-m policy --dir out --pol ipsec", "-m policy --dir in --pol none", "-p tcp --syn -m tcpmss --mss 1460", "-p tcp --syn -j TCPMSS --set-mss 1000", "-p tcp --syn -m tcpmss --mss 1000",
		"-p tcp --syn -j TCPMSS --clamp-mss-to-pmtu", "-p tcp --syn -m tcpmss --mss 1000",
	}
}

// matchesOutput are matches for mangle OUTPUT.
func matchesOutput() []string {
	return []string{
		"", "-o va", "! -i lo", "-m owner --uid-owner 0", "-m owner ! --uid-owner 0", "-m owner --uid-owner 1-1000", "-m owner --gid-owner 0", "-m owner --socket-exists", "-m owner ! --socket-exists",
		"-m owner --uid-owner 0 ! --gid-owner 5", "-m addrtype --src-type LOCAL", "-m addrtype --dst-type UNICAST", "-m pkttype --pkt-type unicast", "-m conntrack --ctstate NEW", "-m mark --mark 0", "-m devgroup --dst-group 3", "-m ttl --ttl-eq 64",
	}
}

// load adds the matches as rules that only count.
func (rec *record) load(t *testing.T, tool string, matches []string) {
	t.Helper()
	for _, m := range matches {
		cmd := tool + " -t " + rec.Table + " -A " + rec.Chain + " " + quoteU32(m)
		if out, err := exec.CommandContext(t.Context(), "sh", "-c", cmd).CombinedOutput(); err != nil {
			t.Logf("%s refuses %s: %s", tool, m, out)
			continue
		}
		rec.Texts = append(rec.Texts, m)
	}
}

// judgeXt compares PREROUTING and FORWARD of one iptables.
func judgeXt(t *testing.T, tool string, fam snap.Family, matches []string) {
	t.Helper()
	if !inOwnNetns(t, "nft", "ip", tool) {
		return
	}
	j := newBench(t)
	pre := &record{Name: tool + "-prerouting", Table: "mangle", Chain: "PREROUTING"}
	pre.load(t, tool, matches)
	j.compare(t, pre, fam, frames(), j.send, nil)
	fwd := &record{Name: tool + "-forward", Table: "mangle", Chain: "FORWARD"}
	sh(t, tool+" -t mangle -F PREROUTING")
	fwd.load(t, tool, matchesForward())
	j.compare(t, fwd, fam, frames(), j.send, func(p *Packet) bool {
		p.TTL--
		p.Oif = 12
		return p.Dst.String() == "203.0.113.5" || p.Dst.String() == "2001:db8:1::5"
	})
}

func TestKernelAgreesIPTablesNFT(t *testing.T) { judgeXt(t, "iptables-nft", snap.IPv4, matchesXt()) }

func TestKernelAgreesIPTablesLegacy(t *testing.T) {
	judgeXt(t, "iptables-legacy", snap.IPv4, matchesXt())
}

func TestKernelAgreesIP6TablesNFT(t *testing.T) { judgeXt(t, "ip6tables-nft", snap.IPv6, matchesXt6()) }

func TestKernelAgreesIP6TablesLegacy(t *testing.T) {
	judgeXt(t, "ip6tables-legacy", snap.IPv6, matchesXt6())
}

func TestKernelAgreesOutput(t *testing.T) {
	if !inOwnNetns(t, "nft", "ip", "iptables-legacy") {
		return
	}
	j := newBench(t)
	rec := &record{Name: "output", Table: "mangle", Chain: "OUTPUT"}
	rec.load(t, "iptables-legacy", matchesOutput())
	src, dst := netip.MustParseAddrPort("192.0.2.1:4000"), netip.MustParseAddrPort("192.0.2.10:4001")
	out := sample{name: "UDP from a socket", pkt: Packet{
		Family: snap.IPv4, Proto: snap.IPProtoUDP, Src: src.Addr(), Dst: dst.Addr(), Sport: 4000, Dport: 4001, TTL: 64, Len: 29, DF: true, Oif: 10,
		Local: &Sender{KnownID: true}, CT: CT{State: "new", Orig: snap.Tuple{Src: src, Dst: dst}},
	}}
	j.compare(t, rec, snap.IPv4, []sample{out}, func(t *testing.T, _ *sample) {
		t.Helper()
		c, err := net.DialUDP("udp4", net.UDPAddrFromAddrPort(src), net.UDPAddrFromAddrPort(dst))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("x")); err != nil && !errors.Is(err, unix.EPERM) {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}, nil)
}
