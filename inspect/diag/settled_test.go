package diag

import (
	"testing"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/inspect/walk"
)

// TestARememberedMACIsSettledByWhoGotThePacket: the model leaves open whether a neighbour
// is still where it was; that a stranger got the packet says no.
func TestARememberedMACIsSettledByWhoGotThePacket(t *testing.T) {
	t.Parallel()
	s := &snap.Snapshot{Netns: []snap.Netns{{ID: "web"}, {ID: "router"}}}
	in := &Input{Snap: s, Graph: walk.New(s)}
	for _, c := range []struct {
		name, reason string
		cause        sim.Cause
		answer, want bool
	}{
		{"for somebody else", "OTHERHOST", sim.CauseDuplicate, false, true},
		{"the answer", "OTHERHOST", sim.CauseDuplicate, true, false},
		{"a rule", netfilterDrop, sim.CauseDuplicate, false, false},
		{"another doubt", "OTHERHOST", sim.CauseNeighFailed, false, false},
	} {
		f := FlowCase{
			Probe: &snap.Probe{Kind: "tcp", From: "web", Sent: 1, Outcome: snap.TimedOut, Died: &snap.Seen{Netns: "router", Reason: c.reason, Answer: c.answer}},
			Trace: &sim.Trace{Verdict: sim.Unknown, Where: &sim.Where{Netns: "web", Layer: "neigh", Cause: c.cause}},
		}
		if got := in.settled(&f); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}
