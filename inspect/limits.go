package inspect

import (
	"slices"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// limits reads what the control groups of containers keep them from.
func limits(s *snap.Snapshot, procs *ns.Procs) {
	for i := range s.Containers {
		if k := &s.Containers[i]; k.Running() && k.PID > 0 {
			k.Limits = procs.Limits(k.PID)
		}
	}
}

// Limits is the snapshot with the limits of its containers read once more: what was
// refused in the meantime is refused now.
func Limits(s *snap.Snapshot) *snap.Snapshot {
	procs := &ns.Procs{}
	out := *s
	out.Containers = slices.Clone(s.Containers)
	for i := range out.Containers {
		if k := &out.Containers[i]; k.Limits != nil && k.Running() && k.PID > 0 {
			l := *k.Limits
			l.Later = procs.Limits(k.PID)
			k.Limits = &l
		}
	}
	return &out
}
