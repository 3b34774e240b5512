package app

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/diag"
)

// unproved says why nothing is proved of a flow; "" when something is, or
// nothing was to be sent.
func unproved(in *diag.Input, f *diag.FlowCase, c Common) string {
	switch {
	case in.Prove(f) != nil || !c.live():
		return ""
	case f.Outside && f.Flow.Iif == "":
		return "the sender is beyond this host, and by which device its packets come in is not known"
	case f.Outside && !c.Inject:
		return fmt.Sprintf("the sender is beyond this host: no packet can be sent from there; --inject has one come in by %s as if it had been", f.Flow.Iif)
	case f.Probe == nil:
		return fmt.Sprintf("no probe speaks %s, or its namespace can't be entered", f.Flow.Proto)
	case f.Probe.In != "" && f.Probe.Outcome != "error" && f.Probe.Outcome != "timeout":
		return "an answer left this host, and what becomes of it beyond is not seen from here"
	case f.Probe.Outcome == "error":
		return "the probe itself did not work: " + f.Probe.Detail
	}
	return "what was sent got no answer, which proves nothing of " + string(f.Flow.Proto)
}
