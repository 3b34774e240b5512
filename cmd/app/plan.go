package app

import (
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/diff"
	"github.com/netdoctor/netdoctor/inspect/sim"
)

// plan writes down what the chosen fixes would do, and what the model says of
// the suffering flows afterwards.
func (a *App) plan(d *diagnosis, chosen []int) *v1.FixPlan {
	p := &v1.FixPlan{}
	ids := fixIDs(d.r.Findings)
	clone := d.s.Clone()
	var all []v1.Finding
	every := findings(d.in.Snap, d.r.Findings)
	var flows, asked []int
	for _, i := range chosen {
		f := &d.r.Findings[i]
		all = append(all, every[i])
		if f.Fix == nil || len(f.Fix.Ops) == 0 {
			if f.Advice != "" {
				p.Advice = append(p.Advice, v1.Advice{Finding: ids[i], Summary: f.Summary, Advice: f.Advice})
			}
			continue
		}
		flows, asked = append(flows, f.Covers.Traces...), append(asked, f.Covers.Names...)
		for _, op := range f.Fix.Ops {
			c := v1.Change{
				ID: len(p.Changes) + 1, Finding: ids[i], Summary: op.Describe(), Do: op.Shell(), Risk: string(op.Risk()),
				Survives: f.Fix.Survives, Netns: op.Netns(), Note: f.Advice,
			}
			if inv, err := op.Inverse(clone); err == nil && inv != nil {
				c.Undo = inv.Shell()
			}
			if err := op.On(clone); err != nil {
				a.note("change %d (%s) can't be tried on the model: %v", c.ID, c.Summary, err)
			}
			p.Changes = append(p.Changes, c)
		}
	}
	p.Pending = len(p.Changes) > 0
	if p.Pending {
		p.After = after(d, clone, flows, asked)
		p.Differences = inWords(diff.Of(d.s, clone))
		about := map[sim.Flow]bool{}
		for _, i := range flows {
			if i >= 0 && i < len(d.in.Flows) {
				about[d.in.Flows[i].Flow] = true
			}
		}
		p.Others = a.others(d.in, clone, 0, about)
	}
	p.Tail = tail(d.in.Snap, diag.Report{Findings: nil, Ran: d.r.Ran, Skipped: d.r.Skipped})
	p.Findings = all
	return p
}

// outcome is a trace's verdict in a word, for before and after; of a flow that
// leaves this host what would become of an answer.
func outcome(t *sim.Trace) string {
	if t == nil {
		return string(sim.Unknown)
	}
	switch {
	case t.Verdict != sim.Unknown || t.IfAnswered == "":
		return string(t.Verdict)
	case t.IfAnswered == sim.Delivered && t.ExitSrc.Addr().Is6() && t.ExitSrc.Addr().IsPrivate() && !t.ExitDst.Addr().IsPrivate():
		return "gets out, with a private source" // which nobody out there answers (RFC 4193, section 4.1)
	case t.IfAnswered == sim.Delivered:
		return "gets out and back"
	}
	return "gets out; the answer is " + string(t.IfAnswered)
}
