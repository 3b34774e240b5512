package diag

import (
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// pingsOnly says whether what stops an echo is a rule about ICMP: a connection between the
// two is stopped by nothing. Echoes stand for all traffic where nothing listens, and people
// shut them out by will.
func (in *Input) pingsOnly(f *FlowCase) bool {
	w := RulePlace(f.Trace.Where)
	if f.Flow.Proto != snap.ICMP || !f.Broken() || w == nil || w.Cause != sim.CauseRule || w.Rule == nil || w.Rule.Policy {
		return false
	}
	x := FlowCase{Flow: f.Flow}
	x.Flow.Proto, x.Flow.Dport = snap.TCP, closedPort
	x.Trace = in.follow(x.Flow)
	return x.Works() || x.Trace.Verdict == sim.Refused
}
