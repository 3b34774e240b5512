package app

import (
	"slices"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// after follows the flows again on the changed value.
func after(d *diagnosis, changed *snap.Snapshot, flows []int) []v1.AfterFlow {
	slices.Sort(flows)
	w := sim.New(changed)
	var out []v1.AfterFlow
	for _, i := range slices.Compact(flows) {
		if i < 0 || i >= len(d.in.Flows) {
			continue
		}
		f := &d.in.Flows[i]
		out = append(out, v1.AfterFlow{From: f.From, To: f.To, Before: outcome(f.Trace), After: outcome(w.Trace(f.Flow))})
	}
	return out
}
