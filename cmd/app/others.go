package app

import (
	"time"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// othersFor bounds the time that the other flows may take: a plan is read by
// somebody who waits. Some 20,000 flows fit on one core.
const othersFor = 2 * time.Second

// endedFlow is a flow with the words for its ends.
type endedFlow struct {
	from, to string
	flow     sim.Flow
}

// everyFlow are the flows of a host: those that must work, then everybody's to
// everything that listens. left is how many there was no room for.
func everyFlow(in *diag.Input, fam Family) (all []endedFlow, left int) {
	seen := map[sim.Flow]bool{}
	add := func(from, to string, f sim.Flow) {
		if !seen[f] {
			seen[f] = true
			all = append(all, endedFlow{from, to, f})
		}
	}
	for i := range in.Flows {
		f := &in.Flows[i]
		add(f.From, f.To, f.Flow)
	}
	asks, left := matrix(in.Snap, fam)
	for _, q := range asks {
		add(q.From, q.To, *q.Flow)
	}
	return all, left
}

// others follows the flows of a host before and after a change, but for those
// that it is about.
func (a *App) others(in *diag.Input, changed *snap.Snapshot, fam Family, about map[sim.Flow]bool) v1.Others {
	all, left := everyFlow(in, fam)
	res := v1.Others{LeftOut: left}
	was, is := sim.New(in.Snap), sim.New(changed)
	until := a.now().Add(othersFor)
	for i := range all {
		if about[all[i].flow] {
			continue
		}
		if i%64 == 0 && a.now().After(until) {
			res.LeftOut += len(all) - i
			break
		}
		res.Followed++
		before, after := was.Trace(all[i].flow), is.Trace(all[i].flow)
		x := v1.AfterFlow{From: all[i].from, To: all[i].to, Before: outcome(before), After: outcome(after)}
		switch {
		case x.Before == x.After:
		case works(after) && fails(before):
			res.Opens = append(res.Opens, x)
		case works(before) && fails(after):
			res.Closes = append(res.Closes, x)
		default:
			res.Differ = append(res.Differ, x)
		}
	}
	return res
}

// works says that an answer comes back, or would from beyond this host.
func works(t *sim.Trace) bool {
	return t.Verdict == sim.Delivered || t.Verdict == sim.Unknown && t.IfAnswered == sim.Delivered
}

// fails says that there is no answer, for certain.
func fails(t *sim.Trace) bool { return t.Verdict == sim.Dropped || t.Verdict == sim.Refused }
