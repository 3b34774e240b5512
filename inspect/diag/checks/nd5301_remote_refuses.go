package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd5301: the far end itself refuses.
//
// The packet left this host, and an answer came back: a reset, or port unreachable.
// The way there and back works; nothing listens on that port of the other machine.
// Nothing on this host is wrong.
//
// See it by hand:
//
//	tcpdump -ni UPLINK host DST and port PORT    a RST from DST itself
//	curl from the host says the same
//
// Sources: RFC 9293 section 3.10.7.1
func nd5301() diag.Check {
	return diag.Check{
		Code: "ND5301", Name: "remote-refuses", Severity: diag.Error, Since: "0.1",
		Title: "The destination itself refuses the connection",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for i := range in.Flows {
				f := &in.Flows[i]
				if f.Excused || f.Trace.LeftHost == "" || !f.Asked {
					continue
				}
				predicted := f.Trace.Verdict == sim.Refused
				proved := f.Probe != nil && f.Probe.Outcome == snap.Refused
				if !(proved || predicted && diag.ProbeSays(f.Probe) != "delivered") {
					continue
				}
				dst := fmt.Sprintf("%s port %d/%s", f.Flow.Dst, f.Flow.Dport, f.Flow.Proto)
				x := diag.Finding{
					Summary: fmt.Sprintf("%s itself refuses the connection: the port is closed there; this host is not at fault", dst),
					Cause:   "nothing listens on that port of the destination, which answers with a reset (RST) or port unreachable",
					Subject: diag.Subject{Kind: "address", Name: dst},
					Covers:  diag.Cover{Traces: []int{i}},
					Advice:  "start the service at the other end, or ask for the right port; there is nothing to mend here",
					Weight:  40,
				}
				if f.Probe != nil {
					x.Evidence = append(x.Evidence, probed(in, f.Probe, f.Probe.Outcome))
				} else {
					x.Evidence = append(x.Evidence, ev("trace", fmt.Sprintf("left this host on %s, refused beyond it", f.Trace.LeftHost), snap.RefLink(f.Trace.LeftNetns, f.Trace.LeftHost)))
				}
				sayHosts(in, f, &x)
				out = append(out, x)
			}
			return out
		},
	}
}
