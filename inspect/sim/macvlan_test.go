package sim

import (
	"net/netip"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestFromOutsideToAMacvlan: who is beyond the parent asked by ARP, and was given the
// macvlan device's MAC; the host's own stack does not see the packet.
func TestFromOutsideToAMacvlan(t *testing.T) {
	t.Parallel()
	mine := netip.MustParseAddr("192.0.2.40")
	lo := snap.Link{Index: 1, Name: "lo", Up: true, LowerUp: true, Loopback: true}
	s := &snap.Snapshot{Host: snap.Host{Netns: "host"}, Netns: []snap.Netns{
		{
			ID: "host", Class: snap.ClassHost,
			Links: []snap.Link{lo, {Index: 2, Name: "eth1", MAC: "02:00:00:00:00:02", MTU: 1500, Up: true, LowerUp: true}},
			Addrs: []snap.Addr{{Index: 2, Prefix: netip.MustParsePrefix("192.0.2.10/24")}},
		},
		{
			ID: "mvd", Class: snap.ClassContainer,
			Links: []snap.Link{lo, {Index: 3, Name: "eth0", Kind: "macvlan", MAC: "02:00:00:00:00:03", MTU: 1500, Up: true, LowerUp: true, Peer: 2, PeerNetns: "host", Macvlan: &snap.Macvlan{Mode: "bridge"}}},
			Addrs: []snap.Addr{{Index: 3, Prefix: netip.PrefixFrom(mine, 24)}},
		},
	}}
	tr := New(s).Trace(Flow{From: "host", Iif: "eth1", Src: netip.MustParseAddr("198.51.100.7"), Dst: mine, Proto: snap.TCP, Dport: 80})
	if len(tr.Forward) < 2 || tr.Forward[1].Netns != "mvd" {
		t.Errorf("the packet does not get to mvd: %+v", tr.Forward)
	}
}
