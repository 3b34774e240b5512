package probe

import (
	"net/netip"
	"os"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// A host's uplink takes 1400 bytes. Of four neighbours with answers of 1500 bytes one
// sends them whole, and they are lost; one is as narrow itself; one takes no pieces,
// and one no echoes: what becomes of their answers is not known.
func TestWhole(t *testing.T) {
	host, sw := newRoom(t, "host"), newRoom(t, "switch")
	sw.bridge("br0")
	if _, err := os.Stat("/proc/sys/net/bridge"); err == nil {
		sw.sysctl("net/bridge/bridge-nf-call-iptables", "0") // it would cut what is too large (br_netfilter_hooks.c: br_nf_dev_queue_xmit)
	}
	cable(host, "eth0", sw, "p0", 1400)
	sw.enslave("p0", "br0")
	host.addr("eth0", "192.0.2.1/24")
	for i, n := range []struct {
		name string
		mtu  int
	}{{"wide", 1500}, {"narrow", 1400}, {"nopieces", 1500}, {"deaf", 1500}} {
		r := newRoom(t, n.name)
		port := "p" + string(rune('1'+i))
		cable(r, "eth0", sw, port, n.mtu)
		sw.enslave(port, "br0")
		r.addr("eth0", "192.0.2."+string(rune('2'+i))+"/24")
		switch n.name {
		case "nopieces":
			r.sysctl("net/ipv4/ipfrag_low_thresh", "0")
			r.sysctl("net/ipv4/ipfrag_high_thresh", "0")
		case "deaf":
			r.sysctl("net/ipv4/icmp_echo_ignore_all", "1")
		}
	}
	host.look()
	p := &Prober{}
	for _, tt := range []struct {
		name, dst, outcome string
		size               int
	}{
		{"sent whole, and lost", "192.0.2.2", snap.TimedOut, 1472},
		{"sent in pieces", "192.0.2.3", snap.Answered, 1472},
		{"pieces are not taken", "192.0.2.4", snap.Failed, 1472},
		{"echoes are not answered", "192.0.2.5", snap.Failed, 1472},
		{"nobody is there", "192.0.2.9", snap.Failed, 1472},
		{"no larger than the device takes", "192.0.2.2", snap.Failed, 1372},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := p.Run(t.Context(), []Question{{Kind: "whole", From: host.n, Dst: netip.AddrPortFrom(netip.MustParseAddr(tt.dst), 0), Options: Options{Size: tt.size}}})[0]
			if r.Outcome != tt.outcome || r.Kind != "whole" || r.Size != tt.size {
				t.Errorf("%+v, want %s", r, tt.outcome)
			}
		})
	}
}
