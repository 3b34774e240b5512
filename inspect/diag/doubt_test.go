package diag

import (
	"net/netip"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/inspect/walk"
)

func TestCutOff(t *testing.T) {
	t.Parallel()
	server := func(role string, ok bool) names.Server {
		return names.Server{Role: role, Reach: names.Reach{OK: ok}}
	}
	for _, c := range []struct {
		name    string
		servers []names.Server
		want    bool
	}{
		{"nobody else is asked", []names.Server{server("embedded", true)}, false},
		{"one of the others is reached", []names.Server{server("embedded", true), server("upstream", false), server("upstream", true)}, false},
		{"none of them is", []names.Server{server("embedded", true), server("upstream", false), server("upstream", false)}, true},
		{"nothing is asked", nil, false},
	} {
		if got := cutOff(c.servers); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
}

// TestAPinnedAddressIsAskedForOnceMore where packets go astray, and nobody said who
// has it.
func TestAPinnedAddressIsAskedForOnceMore(t *testing.T) {
	t.Parallel()
	gw := netip.MustParseAddrPort("192.0.2.1:0")
	for _, c := range []struct {
		name      string
		arp, flow string
		want      int
	}{
		{"nobody said", snap.TimedOut, snap.TimedOut, 1},
		{"somebody did", snap.Answered, snap.TimedOut, 0},
		{"packets arrive all the same", snap.TimedOut, snap.Answered, 0},
	} {
		in := &Input{
			Snap:  &snap.Snapshot{Probes: []snap.Probe{{ID: 1, Kind: "arp", From: "web", Dst: gw, Outcome: c.arp}}},
			Flows: []FlowCase{{Flow: sim.Flow{From: "web"}, Probe: &snap.Probe{ID: 2, Kind: "tcp", Outcome: c.flow}, Trace: &sim.Trace{Verdict: sim.Dropped}}},
		}
		got := in.Doubts()
		if len(got) != c.want || c.want > 0 && (got[0].Kind != "arp" || got[0].From != "web" || got[0].Dst != gw || got[0].ID != 1) {
			t.Errorf("%s: asked once more: %+v, want %d", c.name, got, c.want)
		}
	}
}

// TestADropByARateIsAskedForOnceMore: of many probes at once a rule that limits a rate
// takes some, and of one it says nothing.
func TestADropByARateIsAskedForOnceMore(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		rate   bool
		reason string
		want   int
	}{
		{"by a rule with a rate", true, netfilterDrop, 1},
		{"by what the model does not know", false, netfilterDrop, 0},
		{"by something else", true, "TC_INGRESS", 0},
	} {
		in := &Input{
			Snap: &snap.Snapshot{Netns: []snap.Netns{{ID: "web"}}},
			Flows: []FlowCase{{
				Flow:  sim.Flow{From: "web", Dst: netip.MustParseAddr("192.0.2.1"), Dport: 80, Proto: snap.TCP},
				Probe: &snap.Probe{ID: 2, Kind: "tcp", From: "web", Outcome: snap.TimedOut, Died: &snap.Seen{Reason: c.reason}},
				Trace: &sim.Trace{Verdict: sim.Unknown, StateDependent: c.rate},
			}},
		}
		if got := in.Doubts(); len(got) != c.want {
			t.Errorf("%s: %d, want %d", c.name, len(got), c.want)
		}
	}
}

// TestASlowAnswerIsAskedForOnceMore, unless it is so slow that libc would notice.
func TestASlowAnswerIsAskedForOnceMore(t *testing.T) {
	t.Parallel()
	at := netip.MustParseAddrPort("127.0.0.11:53")
	for _, c := range []struct {
		name    string
		gap     float64
		outcome string
		want    int
	}{
		{"slow", 650, snap.Answered, 1},
		{"quick", 1, snap.Answered, 0},
		{"slower than patience", slowDNSMs, snap.Answered, 0},
	} {
		p := snap.Probe{ID: 1, Kind: "dns", From: "web", Dst: at, Sent: 1, Outcome: c.outcome, RTTMs: c.gap, DNS: &snap.DNSProbe{Name: "a.", Type: "A"}, Seen: []snap.Seen{
			{What: snap.SeenReceive, Netns: "web", Device: "lo"}, {What: snap.SeenTransmit, Netns: "web", Device: "lo", Answer: true, AfterMs: c.gap},
		}}
		s := &snap.Snapshot{Netns: []snap.Netns{{ID: "web"}}, Probes: []snap.Probe{p}}
		in := &Input{Snap: s, Graph: walk.New(s), Names: []NameCase{{Path: &names.Path{Servers: []names.Server{{Role: "embedded", AskedFrom: "web", Addr: at, Reach: names.Reach{Known: true, OK: true}}}}}}}
		if got := in.Doubts(); len(got) != c.want {
			t.Errorf("%s: %d are asked once more, want %d", c.name, len(got), c.want)
		}
	}
}
