package diag

import (
	"net/netip"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestAGatewayIsInDoubt where a flow that was asked for gets no answer by it, and the
// host's own try gets none either.
func TestAGatewayIsInDoubt(t *testing.T) {
	t.Parallel()
	gw, dst := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("203.0.113.9")
	s := &snap.Snapshot{Netns: []snap.Netns{{
		ID: "host", Class: snap.ClassHost,
		Links:  []snap.Link{{Index: 1, Name: "lo", Up: true, LowerUp: true, Loopback: true}, {Index: 2, Name: "eth0", Up: true, LowerUp: true, MAC: "02:00:00:00:00:02"}},
		Addrs:  []snap.Addr{{Index: 2, Prefix: netip.MustParsePrefix("192.0.2.10/24")}},
		Routes: []snap.Route{{Family: snap.IPv4, Table: snap.TableMain, Type: "unicast", Dst: netip.MustParsePrefix("0.0.0.0/0"), Oif: 2, Gateway: gw}},
	}}}
	s.Host.Netns = "host"
	flow := sim.Flow{Dst: dst, Proto: snap.TCP, Dport: 80}
	probe := func(outcome string) *snap.Probe { return &snap.Probe{Kind: "tcp", Outcome: outcome} }
	for _, c := range []struct {
		name      string
		asked     bool
		own, twin string
		want      bool
	}{
		{"both in vain", true, snap.TimedOut, snap.TimedOut, true},
		{"the host is answered", true, snap.TimedOut, snap.Answered, false},
		{"the sender is answered", true, snap.Answered, snap.Answered, false},
		{"nobody asked", false, snap.TimedOut, snap.TimedOut, false},
	} {
		in := &Input{Snap: s, World: sim.New(s), Flows: []FlowCase{
			{Kind: "asked", Asked: c.asked, Flow: flow, Trace: &sim.Trace{LeftHost: "eth0", LeftNetns: "host"}, Probe: probe(c.own)},
			{Kind: "twin", Flow: flow, Trace: &sim.Trace{}, Probe: probe(c.twin)},
		}}
		if got := in.lostBy(gw); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
		if c.want && in.lostBy(netip.MustParseAddr("192.0.2.2")) {
			t.Errorf("%s: another gateway is in doubt, too", c.name)
		}
	}
}
