package judge

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// stations are base chains on every hook; each writes its number behind those
// that the packet's mark holds already, and the last one drops and remembers it.
var stations = []struct{ fam, name, typ, hook, prio string }{
	{"bridge", "bpre", "filter", "prerouting", "-300"},
	{"ip", "raw", "filter", "prerouting", "-300"},
	{"ip", "mangle", "filter", "prerouting", "-150"},
	{"ip", "input", "filter", "input", "0"},
	{"bridge", "binput", "filter", "input", "-200"},
	{"bridge", "bforward", "filter", "forward", "-200"},
	{"ip", "forward", "filter", "forward", "0"},
	{"ip", "output", "filter", "output", "0"},
	{"bridge", "boutput", "filter", "output", "-100"},
	{"ip", "post", "filter", "postrouting", "-150"},
	{"bridge", "bpost", "filter", "postrouting", "-300"},
}

// order writes the stations; last drops what passed them all with one of marks.
func order(s *scene) {
	var b strings.Builder
	for i, c := range stations {
		fmt.Fprintf(&b, "add table %[1]s o\nadd chain %[1]s o %[2]s { type %[3]s hook %[4]s priority %[5]s; }\n", c.fam, c.name, c.typ, c.hook, c.prio)
		fmt.Fprintf(&b, "add rule %[1]s o %[2]s udp dport 5300-5399 meta mark set meta mark << 4\n", c.fam, c.name)
		fmt.Fprintf(&b, "add rule %[1]s o %[2]s udp dport 5300-5399 meta mark set meta mark or %[3]d\n", c.fam, c.name, i+1)
	}
	for _, f := range []string{"ip", "bridge"} {
		fmt.Fprintf(&b, "add table %[1]s seen\nadd set %[1]s seen s { type mark; flags dynamic; }\n", f)
	}
	for _, c := range []struct{ fam, hook, prio string }{{"ip", "input", "300"}, {"ip", "postrouting", "300"}, {"bridge", "postrouting", "300"}} {
		fmt.Fprintf(&b, "add chain %[1]s seen %[2]s { type filter hook %[2]s priority %[3]s; }\n", c.fam, c.hook, c.prio)
		fmt.Fprintf(&b, "add rule %[1]s seen %[2]s udp dport 5300-5399 add @s { meta mark }\n", c.fam, c.hook)
	}
	s.run("host", "nft '"+b.String()+"'")
}

// TestHookOrder measures in which order the hooks of a host see a packet, and
// asks sim for a drop by exactly that order at the place that saw it last.
func TestHookOrder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, script, flow string
	}{
		{"same bridge, bridge-nf off", `host echo 0 > /proc/sys/net/bridge/bridge-nf-call-iptables`, "client udp 10.0.0.3:5300"},
		{"same bridge, bridge-nf on", `host echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables`, "client udp 10.0.0.3:5300"},
		{"routed from a bridge", `host echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables`, "client udp 198.51.100.7:5300"},
		{"routed from a bridge, bridge-nf off", `host echo 0 > /proc/sys/net/bridge/bridge-nf-call-iptables`, "client udp 198.51.100.7:5300"},
		{"routed between bridges", `host true`, "client udp 10.0.1.2:5300"},
		{"routed to a bridge", `host true`, "world udp 10.0.0.3:5300"},
		{"to the host by its bridge", `host true`, "client udp 10.0.0.1:5300"},
		{"to the host from outside", `host true`, "world udp 192.0.2.2:5300"},
		{"from the host to a bridge", `host true`, "host udp 10.0.0.3:5300"},
		{"published port on the same bridge, bridge-nf on", `host echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables; iptables -t nat -A PREROUTING -d 192.0.2.2 -j DNAT --to 10.0.0.3`, "client udp 192.0.2.2:5300"},
		{"published port on the same bridge, bridge-nf off", `host echo 0 > /proc/sys/net/bridge/bridge-nf-call-iptables; iptables -t nat -A PREROUTING -d 192.0.2.2 -j DNAT --to 10.0.0.3`, "client udp 192.0.2.2:5300"},
		{"published port from outside", `host iptables -t nat -A PREROUTING -d 192.0.2.2 -j DNAT --to 10.0.0.3`, "world udp 192.0.2.2:5300"},
		{"the host's own published port", `host iptables -t nat -A OUTPUT -d 192.0.2.2 -j DNAT --to 10.0.0.3`, "host udp 192.0.2.2:5300"},
		{"the host's own address", `host true`, "host udp 192.0.2.2:5300"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := build(t, six)
			s.script(c.script)
			order(s)
			s.read()
			f := s.parseFlow(c.flow)
			s.send([]flow{f})
			s.read()
			seen := 0
			for _, fam := range []snap.Family{snap.BridgeFamily, snap.IPv4} {
				tab := s.snap.HostNs().Ruleset.Table(snap.NFT, fam, "seen")
				if len(tab.Sets) == 0 {
					t.Fatalf("no set in %s seen", fam)
				}
				for _, e := range tab.Sets[0].Elements {
					mark := binary.NativeEndian.Uint32(e.Key)
					seen++
					checkOrder(s, f, fam, mark)
				}
			}
			if seen == 0 {
				t.Error("no hook saw the packet last")
			}
		})
	}
}

// checkOrder asks sim for a drop where the packet had the mark, and for none
// where it had any other.
func checkOrder(s *scene, f flow, fam snap.Family, mark uint32) {
	s.t.Helper()
	word := map[snap.Family]string{snap.BridgeFamily: "bridge", snap.IPv4: "ip"}[fam]
	var hit string
	for _, hook := range []string{"input", "postrouting"} {
		if fam == snap.BridgeFamily && hook == "input" {
			continue
		}
		s.run("host", fmt.Sprintf("nft 'add rule %s seen %s udp dport 5300-5399 meta mark %d drop'", word, hook, mark))
	}
	tr := s.read().Trace(f.sim)
	if tr.Where != nil && tr.Where.Rule != nil {
		hit = tr.Where.Rule.Table
	}
	if tr.Verdict != sim.Dropped || hit != "seen" {
		s.t.Errorf("%s: the kernel passed the %s hooks in the order %x, sim did not\n%s", f.text, word, mark, s.trail(tr))
	}
	for _, hook := range []string{"input", "postrouting"} {
		if fam == snap.BridgeFamily && hook == "input" {
			continue
		}
		s.run("host", fmt.Sprintf("nft flush chain %s seen %s", word, hook))
	}
}
