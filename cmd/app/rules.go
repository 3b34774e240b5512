package app

import (
	"context"
	"errors"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// reclaim takes away what a run that was killed had added for a moment.
func (a *App) reclaim(ctx context.Context) {
	if a.Reclaim == nil {
		return
	}
	gone, err := a.Reclaim(ctx)
	for _, g := range gone {
		a.note("an earlier run was killed; what it had added for a moment is gone: %s", g)
	}
	if err != nil && !errors.Is(err, snap.ErrPermission) { // without the right to look there was none to add, either
		a.note("looking for what a run that was killed may have left: %v", err)
	}
}

// traceRules has the kernel tell of the rules that the flows that were asked for
// meet, and puts that into the input's snapshot, which is this run's own. It says
// whether there is anything new.
func (a *App) traceRules(ctx context.Context, in *diag.Input) bool {
	o := snap.Observer{Name: "rule-trace", Have: true}
	if a.TraceRules == nil {
		o.Have, o.Why = false, "this binary can't trace rules"
	}
	news, tried := false, !o.Have
	for i := range in.Flows {
		f := &in.Flows[i]
		if ctx.Err() != nil || !o.Have || !in.Ruleable(f) {
			continue
		}
		tried = true
		got, err := a.TraceRules(ctx, in.Snap, f.Probe, in.OnTheWay(f))
		if err != nil {
			o.Have, o.Why = false, err.Error()
		}
		f.Probe.Ruled = got
		news = news || len(got) > 0
	}
	if tried {
		in.Snap.Observers = append(in.Snap.Observers, o)
	}
	return news
}

// ruleHits turns the lines of a trace into their JSON form.
func ruleHits(s *snap.Snapshot, p *snap.Probe) []v1.RuleHit {
	if p == nil {
		return nil
	}
	out := make([]v1.RuleHit, 0, len(p.Ruled))
	for _, r := range p.Ruled {
		v := v1.RuleHit{
			Netns: r.Netns, System: string(r.System), Family: string(r.Family), Table: r.Table, Chain: r.Chain, Num: r.Num,
			Handle: r.Handle, Policy: r.Policy, Verdict: r.Verdict, Answer: r.Answer,
		}
		if n := s.Ns(r.Netns); n != nil && r.Num > 0 {
			for i := range n.Ruleset.Tables {
				t := &n.Ruleset.Tables[i]
				if t.System != r.System || t.Family != r.Family || t.Name != r.Table {
					continue
				}
				if c := t.Chain(r.Chain); c != nil && r.Num <= len(c.Rules) {
					v.Rule = firewall.RuleText(n, t, c, &c.Rules[r.Num-1])
				}
			}
		}
		out = append(out, v)
	}
	return out
}
