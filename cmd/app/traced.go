package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// follow walks the flow, proves it, and diagnoses it.
func (t *tracer) follow(ctx context.Context, q *ask) (*v1.TraceResult, error) {
	c := t.c
	c.Ladder = true
	if q.diag.Flow == nil || t.batch {
		c.NoProbe = true
	}
	ex, err := t.a.examine(ctx, t.s, []diag.Ask{q.diag}, diag.Options{OnlyAsked: true, Arrivals: c.Inject}, c)
	if err != nil {
		return nil, err
	}
	res := &v1.TraceResult{From: q.from, To: q.to, Proto: string(q.dst.Proto), Why: "asked", Name: q.name}
	var fc *diag.FlowCase
	for i := range ex.in.Flows {
		if ex.in.Flows[i].Kind == "asked" {
			fc = &ex.in.Flows[i]
			break
		}
	}
	fill(ex.in.Snap, res, fc)
	if fc != nil {
		res.PathMTU = pathMTU(ex.in, fc)
		if c.live() {
			res.Unproved = ex.in.Unproved(fc)
		}
	}
	if hosts := ex.in.Snap.Hosts; len(hosts) > 0 {
		res.Unproved = "these are snapshots, and what lies between " + strings.Join(hosts, " and ") + " was not read: it is assumed to carry every packet"
	}
	if fc == nil {
		said := &v1.Said{Verdict: string(sim.Unknown), Detail: q.unknown}
		if q.stop != nil {
			said.Verdict, said.Detail, res.Where = string(sim.Dropped), q.stop.Detail, q.stop
		} else {
			res.Unknown = append(res.Unknown, q.unknown)
		}
		res.Predicted, res.Verdict = said, said.Verdict
	}
	res.Sent = sent(slices.Concat(q.sent, ex.sent))
	if !t.batch {
		res.Tail = tail(ex.in.Snap, diag.Run(ex.in, t.a.Checks))
	}
	return res, nil
}

// fill puts what model and wire say of a flow into a result.
func fill(s *snap.Snapshot, res *v1.TraceResult, fc *diag.FlowCase) {
	res.Verdict = string(sim.Unknown)
	if fc == nil || fc.Trace == nil {
		return
	}
	tr := fc.Trace
	res.Forward = hops(tr.Forward, 0, fc.Probe, false)
	res.Reply = hops(tr.Reply, len(tr.Forward), fc.Probe, true)
	res.Where = where(s, tr.Where)
	res.Unknown = tr.Unknown
	res.LeavesBy, res.IfAnswered = tr.LeftHost, string(tr.IfAnswered)
	if res.From.Address == "" && len(tr.Forward) > 0 && tr.Forward[0].Src.Addr().IsValid() {
		res.From.Address = tr.Forward[0].Src.Addr().String()
	}
	for _, b := range tr.Branches {
		v := v1.Branch{Verdict: string(b.Verdict), Where: where(s, b.Where), Chance: b.Chance}
		for _, as := range b.Assumed {
			w := as.What
			if bare, neg := strings.CutPrefix(w, "not "); !as.Value && neg {
				w = bare
			} else if !as.Value {
				w = "not " + w
			}
			v.Assumed = append(v.Assumed, w)
		}
		res.Branches = append(res.Branches, v)
	}
	res.Predicted = &v1.Said{Verdict: string(tr.Verdict), Detail: detail(tr)}
	res.Verdict = string(tr.Verdict)
	if p := (&diag.Input{Snap: s}).Prove(fc); p != nil {
		res.Proved = &v1.Said{Verdict: p.Verdict, Detail: p.Detail, Where: where(s, p.Where)}
		res.Verdict = p.Verdict
		switch {
		case p.Verdict == string(sim.Delivered):
			res.Where = nil
		case p.Where != nil:
			res.Where = res.Proved.Where
		}
	}
	res.Tracked = trackedConns(&diag.Input{Snap: s}, fc.Probe)
	res.Observers, res.Rules = observers(s), ruleHits(s, fc.Probe)
	if res.Verdict == string(sim.Unknown) && len(res.Unknown) == 0 && tr.Where != nil {
		res.Unknown = append(res.Unknown, tr.Where.Detail)
	}
}

// detail says the predicted verdict in a clause.
func detail(tr *sim.Trace) string {
	switch {
	case tr.Where != nil && tr.Where.Detail != "":
		return tr.Where.Detail
	case tr.Verdict == sim.Delivered && tr.Socket != nil && tr.Socket.Process != nil:
		return fmt.Sprintf("%s answers on %s", tr.Socket.Process.Name, tr.Socket.Local)
	}
	return ""
}
