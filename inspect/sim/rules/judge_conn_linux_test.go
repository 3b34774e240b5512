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

// matchesNATed are matches for mangle FORWARD after a DNAT of
// 192.0.2.1:8088 to 203.0.113.5:80.
func matchesNATed() []string {
	return []string{
		"", "-m conntrack --ctstate DNAT", "-m conntrack --ctstate SNAT", "-m conntrack ! --ctstate DNAT", "-m conntrack --ctstate NEW,DNAT", "-m conntrack --ctorigdst 192.0.2.1", "-m conntrack --ctorigdst 203.0.113.5",
		"-m conntrack --ctreplsrc 203.0.113.5", "-m conntrack --ctrepldst 192.0.2.10", "-p tcp -m conntrack --ctproto tcp --ctorigdstport 8088", "-p tcp -m conntrack --ctproto tcp --ctreplsrcport 80", "-p tcp --dport 80", "-p tcp --dport 8088", "-d 203.0.113.5",
		"-p tcp -m conntrack --ctproto tcp --ctorigdstport 8000:8100", "-m conntrack --ctstatus CONFIRMED", "-m state --state NEW",
	}
}

func TestKernelAgreesAfterNAT(t *testing.T) {
	if !inOwnNetns(t, "nft", "ip", "iptables-nft") {
		return
	}
	b := newBench(t)
	sh(t, "iptables-nft -t nat -A PREROUTING -d 192.0.2.1 -p tcp --dport 8088 -j DNAT --to-destination 203.0.113.5:80")
	rec := &record{Name: "nat", Table: "mangle", Chain: "FORWARD"}
	rec.load(t, "iptables-nft", matchesNATed())
	f := frames()[0]
	f.name, f.pkt.Dport = "SYN to a published port", 8088
	b.compare(t, rec, snap.IPv4, []sample{f}, b.send, func(p *Packet) bool {
		p.Dst, p.Dport, p.Oif = netip.MustParseAddr("203.0.113.5"), 80, 12
		p.TTL--
		p.CT.DNAT = true
		p.CT.Orig.Dst = netip.MustParseAddrPort("192.0.2.1:8088")
		p.CT.ReplyTuple.Src = netip.MustParseAddrPort("203.0.113.5:80")
		return true
	})
}

// matchesAnswered are matches for packets of a connection that was answered.
func matchesAnswered() []string {
	return []string{
		"", "ct state established", "ct state new", "ct state != established", "ct state established,related", "ct direction original", "ct direction reply", "ct status seen-reply", "ct status assured", "ct status confirmed", "ct status dnat",
		"ct original ip daddr 192.0.2.1", "ct reply ip saddr 192.0.2.1", "ct original ip saddr 192.0.2.10", "ct mark 0x2a", "ct state vmap { established : continue }", "meta skuid 0",
	}
}

// TestKernelAgreesEstablished sends a question that a socket answers, and then
// another one: that one is established.
func TestKernelAgreesEstablished(t *testing.T) {
	if !inOwnNetns(t, "nft", "ip") {
		return
	}
	b := newBench(t)
	sh(t, `nft 'add table inet t; add chain inet t m { type filter hook prerouting priority -145; }; add rule inet t m ct state new ct mark set 0x2a;
		add chain inet t c { type filter hook prerouting priority -140; }'`)
	rec := &record{Name: "established", Table: "t", Chain: "c"}
	for _, m := range matchesAnswered() {
		if strings.Contains(m, "vmap") {
			continue
		}
		c := exec.CommandContext(t.Context(), "nft", "-f", "-")
		c.Stdin = strings.NewReader("add rule inet t c " + m + " counter\n")
		if out, err := c.CombinedOutput(); err != nil {
			t.Logf("nft refuses %s: %s", m, out)
			continue
		}
		rec.Texts = append(rec.Texts, m)
	}
	s, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 7777})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	f := frames()[3]
	f.name, f.pkt.Dport, f.pkt.Sport = "second question", 7777, 7778
	b.send(t, &f)
	buf := make([]byte, 100)
	_, from, err := s.ReadFromUDPAddrPort(buf)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.WriteToUDPAddrPort([]byte("answer"), from); err != nil && !errors.Is(err, unix.EPERM) {
		t.Fatal(err)
	}
	b.compare(t, rec, snap.IPv4, []sample{f}, b.send, func(p *Packet) bool {
		p.CT = CT{
			State: "established", SeenReply: true, Confirmed: true, Mark: 0x2a,
			Orig:       snap.Tuple{Src: netip.MustParseAddrPort("192.0.2.10:7778"), Dst: netip.MustParseAddrPort("192.0.2.1:7777")},
			ReplyTuple: snap.Tuple{Src: netip.MustParseAddrPort("192.0.2.1:7777"), Dst: netip.MustParseAddrPort("192.0.2.10:7778")},
		}
		return true
	})
}
