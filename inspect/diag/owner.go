package diag

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/intent"
	"github.com/netdoctor/netdoctor/inspect/sim"
)

// Owner is Owner with a second look at engines' chains: a rule in one of them
// that the engine does not want is somebody else's. That is said only where all
// that the engine does want is in that chain, so that the engine's own
// intention is known to be understood.
func (in *Input) Owner(w *sim.Where) string {
	owner := Owner(w)
	p := w.Rule
	if owner != "Docker" || p == nil || p.Policy || in.Snap.HostNs() == nil || w.Netns != in.Snap.HostNs().ID {
		return owner
	}
	for _, set := range intent.Of(in.Snap) {
		if set.System != p.System || set.Family != p.Family {
			continue
		}
		d := intent.Diff(in.Snap, set)
		whole := true
		for _, m := range d.Missing {
			whole = whole && (m.Table != p.Table || m.Chain != p.Chain)
		}
		for _, e := range d.Extra {
			if whole && e.Table == p.Table && e.Chain == p.Chain && e.Num == p.Num {
				return fmt.Sprintf("hand-made, in a chain of %s's", owner)
			}
		}
	}
	return owner
}
