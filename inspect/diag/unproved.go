package diag

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Unproved says why nothing is proved of a flow of which probes were to be sent;
// "" when something is.
func (in *Input) Unproved(f *FlowCase) string {
	switch {
	case in.Prove(f) != nil:
		return ""
	case f.Outside && f.Flow.Iif == "":
		return "the sender is beyond this host, and by which device its packets come in is not known"
	case f.Outside && !(f.Asked && in.arrivals):
		return fmt.Sprintf("the sender is beyond this host, where nothing can be sent from; trace --inject has such a packet come in by %s", f.Flow.Iif)
	case in.Spared(f):
		return "probes are not of the control group whose program decides: " + f.Trace.Where.Detail
	case f.Flow.Dst.IsMulticast():
		return "nobody answers what is sent to a group, and no packet was sent to it"
	case f.Probe == nil:
		if _, ok := in.Question(f); ok {
			return "so many flows are broken that no packet was sent for this one; trace it"
		}
		return fmt.Sprintf("no probe speaks %s, or its namespace can't be entered", f.Flow.Proto)
	case f.Probe.In != "" && f.Probe.Outcome != snap.Failed && f.Probe.Outcome != snap.TimedOut:
		return "an answer left this host, and what becomes of it beyond is not seen from here"
	case f.Trace.Later != "" && f.Trace.Where.Reply && f.Probe.Outcome == snap.Answered:
		return "the handshake was answered, as it was to be; what is dropped is the server's, and no probe makes it say anything"
	case f.Trace.Later != "" && f.Probe.Outcome == snap.Answered:
		return "the handshake was answered, as it was to be, and nobody saw what became of the packets after it"
	case f.Probe.Outcome == snap.Failed:
		return "the probe itself did not work: " + f.Probe.Detail
	}
	return "what was sent got no answer, which proves nothing of " + string(f.Flow.Proto)
}

// whyNot says why a finding is not proved by the probes that were sent. "" when
// none were, or it is proved.
func (in *Input) whyNot(f *Finding) string {
	if f.Confidence != Predicted || len(in.Snap.Observers) == 0 && len(in.Snap.Probes) == 0 {
		return ""
	}
	for _, i := range f.Covers.Traces {
		c := &in.Flows[i]
		if t := in.Unproved(c); t != "" && c.Broken() {
			return c.From + " → " + c.To + ": " + t
		}
	}
	if len(f.Covers.Names) > 0 {
		return "the question was not put to the servers that decide"
	}
	return "it was read from the host's state; no packet that was sent meets it"
}
