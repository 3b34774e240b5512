package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd3105: a rule on the way drops by what packets contain, and the empty ones of
// a probe don't tell.
//
// The connection comes up, and what is then sent through it may still be dropped: a
// rule looks into the packets, for a string or for bytes at an offset. A handshake
// has no content, so neither a probe nor "nc -z" notices; the program hangs after
// "connected". Told only of what somebody asked for: such rules are often meant. It is an
// error when the rule has dropped packets.
//
// See it by hand:
//
//	iptables -L CHAIN -nv                    its counter grows with each request
//	curl -v http://DST/                      connects, and then nothing
//
// False positives: a rule that looks for something else than what is sent.
//
// Sources: net/netfilter/xt_string.c, xt_u32.c, xt_bpf.c
func nd3105() diag.Check {
	return diag.Check{
		Code: "ND3105", Name: "content-rule", Severity: diag.Warning, Since: "0.2",
		Title: "A rule on the way drops packets by their content",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for i := range in.Flows {
				f := &in.Flows[i]
				w := f.Trace.Where
				if !f.Asked || f.Broken() || diag.ProbeSays(f.Probe) != "delivered" {
					continue
				}
				if f.Trace.Verdict != sim.Unknown || w == nil || w.Cause != sim.CauseRule || w.Rule == nil || !looksInside(w.Rule.Rule) {
					w = in.World.ByContent(f.Trace, looksInside)
				}
				if w == nil || !owned(in, w.Netns) {
					continue
				}
				line, source := in.RuleLine(w)
				x := diag.Finding{
					Summary: fmt.Sprintf("%s → %s comes up, but %s (%s) in %s drops by content: %s", f.From, f.To, diag.ChainName(w), in.Owner(w), in.Who(w.Netns), line),
					Cause:   fmt.Sprintf("the rule %q looks into the packets; the handshake has no content, what follows has", line),
					Subject: diag.Subject{Kind: "rule", Name: string(w.Ref), Netns: w.Netns},
					Evidence: []diag.Evidence{
						ev(source, line, w.Ref),
						ev(fmt.Sprintf("probe %d", f.Probe.ID), "the handshake was answered", snap.RefProbe(f.Probe.ID)),
					},
					Covers: diag.Cover{Traces: []int{i}},
					Advice: "see whether its counter grows with each try that hangs",
					Weight: 40,
				}
				if n := w.Rule.Rule.Packets; n > 0 {
					x.Severity = diag.Error
					x.Summary += fmt.Sprintf(" (%d so far)", n)
				}
				if op := deleteRule(in, w.Netns, w.Rule.System, w.Rule.Family, w.Rule.Table, w.Rule.Chain, w.Rule.Num); op != nil {
					x.Advice += "; if so, and if it is not meant: " + shellOf(op)
				}
				out = append(out, x)
			}
			return out
		},
	}
}

// shellOf is an operation as a person types it.
func shellOf(op fixups.Op) string {
	if sh := op.Shell(); len(sh) > 0 {
		return sh[0]
	}
	return op.Describe()
}
