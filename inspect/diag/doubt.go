package diag

import (
	"slices"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxDoubts bounds what is asked once more: each waits for seconds, all at once.
const maxDoubts = 32

// Doubts are the probes to send once more, with more patience: nothing came back,
// nobody saw the packet die, and the model has no reason for it. A machine that is
// too busy, a neighbour that is slow, a first packet that was lost look like that.
func (in *Input) Doubts() []snap.Probe {
	var out []snap.Probe
	for i := range in.Flows {
		f := &in.Flows[i]
		p := f.Probe
		if p == nil || p.Outcome != kindTimeout || p.Died != nil || p.In != "" || f.Trace == nil || f.Trace.Verdict != sim.Delivered || p.Kind == "udp" ||
			slices.ContainsFunc(out, func(x snap.Probe) bool { return x.ID == p.ID }) || len(out) == maxDoubts {
			continue
		}
		if q, ok := in.Question(f); ok {
			q.ID = p.ID
			out = append(out, q)
		}
	}
	return out
}
