package diag

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/inspect/walk"
)

func TestSlow(t *testing.T) {
	t.Parallel()
	s := &snap.Snapshot{Host: snap.Host{Netns: "host"}, Netns: []snap.Netns{{ID: "host"}, {ID: "web"}}}
	in := &Input{Snap: s, Graph: walk.New(s)}
	seen := func(what, netns, dev string, answer bool, at float64) snap.Seen {
		return snap.Seen{What: what, Netns: netns, Device: dev, Answer: answer, AfterMs: at}
	}
	for _, tt := range []struct {
		name string
		p    *snap.Probe
		want []string
	}{
		{"at once", &snap.Probe{Kind: "tcp", Outcome: "answered", Sent: 1, RTTMs: 0.2}, nil},
		{"real-size data is no second SYN", &snap.Probe{Kind: "tcp", Outcome: "answered", Sent: 2, Size: 1400}, nil},
		{"the first SYN was lost", &snap.Probe{Kind: "tcp", Outcome: "answered", Sent: 2, RTTMs: 1012}, []string{"2 SYNs were needed: it took 1.0 s until one was answered"}},
		{"a name server near the end of patience", &snap.Probe{Kind: "dns", Outcome: "answered", Sent: 1, RTTMs: 2300}, []string{"the answer took 2.3 s, and a program's resolver waits for 5 s"}},
		{"a neighbour took its time", &snap.Probe{Kind: "icmp", Outcome: "answered", Sent: 1, Seen: []snap.Seen{
			seen(snap.SeenReceive, "host", "br-app", false, 0.1), seen(snap.SeenTransmit, "host", "veth-web", false, 1004),
		}}, []string{"the packet waited 1004 ms in host before it was given to veth-web: for a neighbour's address, or in a queue"}},
		{"the application took its time", &snap.Probe{Kind: "udp", Outcome: "answered", Sent: 1, Seen: []snap.Seen{
			seen(snap.SeenReceive, "web", "eth0", false, 0.1), seen(snap.SeenTransmit, "web", "eth0", true, 300.1),
		}}, []string{"web answered after 300 ms"}},
	} {
		if diff := cmp.Diff(tt.want, in.Slow(tt.p)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
	}
}
