package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ledInVain tells of what a container tries that a route leads nowhere: it throws it away,
// or its gateway does not answer. nil where the model or the wire does not say so, where a
// machine is asked for that is not there, and where the default route is the one, or leads
// several ways: that is told for all that must work.
func ledInVain(in *diag.Input, i int) *diag.Finding {
	f := &in.Flows[i]
	w, why := f.Trace.Where, ""
	p := f.Probe
	switch {
	case f.Works() && p != nil && p.Outcome == snap.Rejected && p.Errno == "EHOSTUNREACH" && toHost(in, p.By):
		why = fmt.Sprintf("whose gateway does not answer (%s says host unreachable)", p.By)
	case f.Works() || w == nil || w.Reply:
		return nil
	case w.Cause == sim.CauseNeighFailed: // or failed when it was last asked: the SYN is the second witness
		why = "and " + w.Detail
	case !f.Broken():
		return nil
	case w.Cause == sim.CauseReject || w.Cause == sim.CauseRejectRule:
		why = "which throws it away"
	default:
		return nil
	}
	for k := len(f.Trace.Forward) - 1; k >= 0; k-- {
		h := &f.Trace.Forward[k]
		if h.Stage != "route" || !owned(in, h.Netns) || len(h.Because) == 0 {
			continue
		}
		v, err := in.Snap.At(h.Because[0])
		r, ok := v.(*snap.Route)
		if err != nil || ok && !rejecting(r.Type) && (!r.Gateway.IsValid() || r.Dst.Bits() == 0 && r.Table == snap.TableMain) {
			return nil
		}
		fd := &diag.Finding{
			Summary: fmt.Sprintf("%s tries %s in vain: %s leads it by %q, %s", f.From, f.To, in.Who(h.Netns), h.Did, why),
			Cause:   "a container asks for what a route brings nowhere; whether it should get there is not known",
			Subject: diag.Subject{Kind: "address", Name: f.From + " → " + f.To, Netns: h.Netns},
			Covers:  diag.Cover{Traces: []int{i}},
			Advice:  fmt.Sprintf("if it should get through: netdoctor trace %s %s", f.From, f.To),
		}
		for _, r := range h.Because {
			if line, source := routeLine(in, h.Netns, r); line != "" {
				fd.Evidence = append(fd.Evidence, ev(source, line, r))
			}
		}
		return fd
	}
	return nil
}
