package app

import (
	"slices"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// A bridged packet passes FORWARD without being given to the bridge's own device.
func TestWire(t *testing.T) {
	hs := []sim.Hop{
		{Netns: "web", Device: "eth0"},
		{Netns: "host", Device: "veth2"},
		{Netns: "host", Device: "br-app"},
	}
	seen := []snap.Seen{{Netns: "web", Device: "eth0", Answer: true}, {Netns: "host", Device: "veth2", Answer: true}}
	died := &snap.Seen{Netns: "host", Answer: true, What: snap.SeenDrop}
	drop := slices.Clone(hs)
	drop[2].Verdict = "drop"
	tests := []struct {
		name string
		hops []sim.Hop
		p    *snap.Probe
		want []string
	}{
		{"answered", hs, &snap.Probe{Watched: true, Outcome: snap.Answered, Seen: seen}, []string{"seen", "seen", ""}},
		{"no answer", hs, &snap.Probe{Watched: true, Outcome: snap.TimedOut, Seen: seen}, []string{"seen", "seen", "not seen"}},
		{"no answer, and seen on the way there only", hs, &snap.Probe{Watched: true, Outcome: snap.TimedOut, Seen: []snap.Seen{{Netns: "web", Device: "eth0"}}}, []string{"not seen", "not seen", "not seen"}},
		{"died", drop, &snap.Probe{Watched: true, Outcome: snap.TimedOut, Seen: seen, Died: died}, []string{"seen", "seen", "died"}},
		{"nobody watched", hs, &snap.Probe{Outcome: snap.TimedOut}, []string{"", "", ""}},
		{"not sent", hs, nil, []string{"", "", ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := wire(tt.hops, tt.p, true); !slices.Equal(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
