package checks

import (
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxTriedSeen bounds the lines that show what one container tries: a scan has thousands.
const maxTriedSeen = 5

// nd3104: a container tries what a rule of this host stops.
//
// A program in a container has sent its SYN again and waits, or conntrack holds one
// that nobody answered, and the rules say why: a firewall rule, a policy, or the isolation between networks stops it. That may
// be what the rule is for, so it is told for information and nothing is changed.
// When it is not meant, the finding names the rule, and trace shows the whole way. So it
// does where a route that is taken for this destination and not for the rest of the world
// throws it away, or leads by a gateway that does not answer.
//
// See it by hand:
//
//	nsenter -t PID -n ss -tnop state syn-sent
//	nsenter -t PID -n conntrack -L -p tcp --state SYN_SENT
//	netdoctor trace CONTAINER ADDRESS:PORT
//
// Sources: net/netfilter/nf_conntrack_proto_tcp.c: tcp_timeouts
func nd3104() diag.Check {
	return diag.Check{
		Code: "ND3104", Name: "tried-and-stopped", Severity: diag.Info, Since: "0.1",
		Title: "A container tries right now what a rule of this host stops",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			at := map[string]int{} // by sender and rule
			more := map[int]int{}  // what else is tried
			for i := range in.Flows {
				f := &in.Flows[i]
				if f.Kind == "tried" {
					if fd := ledInVain(in, i); fd != nil {
						out = append(out, *fd)
						continue
					}
				}
				w := diag.RulePlace(f.Trace.Where)
				if f.Kind != "tried" || !f.Excused || w == nil || w.Cause != sim.CauseRule && w.Cause != sim.CausePolicy || !owned(in, w.Netns) {
					continue
				}
				text, source := in.RuleLine(w)
				to := f.To
				if c := in.Graph.ContainerOfAddr(f.Flow.Dst); c != nil {
					to += " (" + c.Name + ")"
				}
				key := f.Flow.From + "|" + w.Netns + "|" + source + "|" + text
				if k, ok := at[key]; ok {
					if more[k]++; more[k] < maxTriedSeen {
						out[k].Evidence = append(out[k].Evidence, diag.Tried(f))
					}
					continue
				}
				at[key] = len(out)
				fd := diag.Finding{
					Summary:  fmt.Sprintf("%s tries %s in vain: %s (%s) in %s stops it: %s", f.From, to, diag.ChainName(w), in.Owner(w), in.Who(w.Netns), text),
					Cause:    "a container asks for what a rule of this host does not let through; whether it should is not known",
					Subject:  diag.Subject{Kind: "address", Name: f.From + " → " + f.To, Netns: f.Flow.From},
					Evidence: []diag.Evidence{ev(source, text, w.Ref), diag.Tried(f)},
					Advice:   fmt.Sprintf("if it should get through: netdoctor trace %s %s", f.From, f.To),
				}
				if p := in.Prove(f); p != nil && p.Where == f.Trace.Where {
					fd.Confidence = diag.Proved
					fd.Evidence = append(fd.Evidence, ev(fmt.Sprintf("probe %d", f.Probe.ID), p.Detail, snap.RefProbe(f.Probe.ID)))
				}
				out = append(out, fd)
			}
			for k, n := range more {
				out[k].Summary = strings.Replace(out[k].Summary, " in vain: ", fmt.Sprintf(" (and %s) in vain: ", diag.Count(n, "other destination")), 1)
			}
			return out
		},
	}
}
