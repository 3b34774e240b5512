package diag

import (
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// pingsOnly says whether what stops an echo is a rule about ICMP: a connection between the
// two is not stopped by it. Echoes stand for all traffic where nothing listens, and people
// shut them out by will.
func (in *Input) pingsOnly(f *FlowCase) bool {
	w := RulePlace(f.Trace.Where)
	if f.Flow.Proto != snap.ICMP || !f.Broken() || w == nil || w.Cause != sim.CauseRule || w.Rule == nil || w.Rule.Policy {
		return false
	}
	x := f.Flow
	x.Proto, x.Dport = snap.TCP, closedPort
	t := in.follow(x)
	return t.Verdict != sim.Unknown && !samePlace(RulePlace(t.Where), w)
}
