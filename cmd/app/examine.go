package app

import (
	"context"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/driver"
)

// examination is a snapshot that was thought about, twice when it was probed.
type examination struct {
	in   *diag.Input
	sent []snap.Probe
}

// examine follows what must work and what was asked, proves it when it may, and
// thinks again with the answers.
func (a *App) examine(ctx context.Context, s *snap.Snapshot, asks []diag.Ask, o diag.Options, c Common) (examination, error) {
	o.Own = driver.Intent
	in := diag.Build(s, asks, o)
	if !c.live() || a.Probe == nil {
		return examination{in: in}, nil
	}
	if qs := in.RouteQuestions(); a.Routes != nil && len(qs) > 0 {
		s = withRoutes(ctx, s, a.Routes, qs)
		in.Snap = s
	}
	rounds := in.Rounds()
	if len(rounds) == 0 {
		return examination{in: in}, nil
	}
	defer a.waiting("")
	var answers []snap.Probe
	var observers []snap.Observer
	for _, qs := range rounds {
		a.waiting(diag.Count(len(qs), "live question"))
		got, by := a.Probe(ctx, s, qs, c.Observe)
		answers, observers = append(answers, got...), by
		if err := ended(ctx); err != nil {
			return examination{}, err
		}
	}
	s = a.withoutDeparted(s)
	if a.Limits != nil {
		s = a.Limits(s)
	}
	with := withProbes(s, answers, observers)
	in = diag.Build(with, asks, o)
	if doubts := in.Doubts(); a.Again != nil && len(doubts) > 0 {
		a.waiting(diag.Count(len(doubts), "question") + " once more, with more patience")
		more, _ := a.Again(ctx, s, doubts, c.Observe)
		with = withProbes(a.withoutDeparted(with), more, observers)
		in = diag.Build(with, asks, o)
	}
	if qs := slices.Concat(in.RouterQuestions(), in.Opinions()); len(qs) > 0 {
		a.waiting(diag.Count(len(qs), "further question"))
		got, _ := a.Probe(ctx, s, qs, c.Observe)
		with = withProbes(with, got, observers)
		in = diag.Build(with, asks, o)
	}
	news := c.Observe.has("counters") && a.recount(ctx, in)
	news = c.Observe.has("conntrack") && a.track(ctx, in) || news
	news = c.TraceRules && a.traceRules(ctx, in) || news
	if c.Ladder {
		if more := a.ladder(ctx, in); len(more) > 0 {
			with, news = withProbes(with, more, in.Snap.Observers), true
		}
	}
	if news {
		in = diag.Build(with, asks, o)
	}
	return examination{in: in, sent: with.Probes[len(s.Probes):]}, ended(ctx)
}

// withoutDeparted is the snapshot with those containers marked whose process ended
// while they were probed: what was predicted of them does not hold any more, and
// that they did not answer contradicts nothing.
func (a *App) withoutDeparted(s *snap.Snapshot) *snap.Snapshot {
	if a.Departed == nil {
		return s
	}
	gone := a.Departed(s)
	if len(gone) == 0 {
		return s
	}
	out := *s
	out.Containers = slices.Clone(s.Containers)
	for _, i := range gone {
		out.Containers[i].State = snap.Vanished
	}
	return &out
}

// recount has the counters looked at of those probes that need it, and puts
// what they tell into the input's snapshot, which is this run's own. It says
// whether there is anything new.
func (a *App) recount(ctx context.Context, in *diag.Input) bool {
	if a.Count == nil {
		return false
	}
	o := snap.Observer{Name: "counters", Have: true}
	list := in.Recounts()
	news := false
	for _, r := range list {
		p := in.Flows[r.Flow].Probe
		if ctx.Err() != nil || p == nil || len(p.Counted) > 0 {
			continue
		}
		got, err := a.Count(ctx, in.Snap, p, r.Netns)
		if err != nil {
			o.Have, o.Why = false, err.Error()
		}
		p.Counted = got
		news = news || len(got) > 0
	}
	if len(list) > 0 {
		in.Snap.Observers = append(in.Snap.Observers, o)
	}
	return news
}

// withRoutes is the snapshot with the kernel's routing decisions beside it.
func withRoutes(ctx context.Context, s *snap.Snapshot, ask func(context.Context, *snap.Snapshot, []sim.RouteAsk) (map[string][]snap.RouteAnswer, []snap.Gap), qs []sim.RouteAsk) *snap.Snapshot {
	answers, gaps := ask(ctx, s, qs)
	out := *s
	out.Gaps = append(append(make([]snap.Gap, 0, len(s.Gaps)+len(gaps)), s.Gaps...), gaps...)
	out.Netns = slices.Clone(s.Netns)
	for i := range out.Netns {
		if list := answers[out.Netns[i].ID]; len(list) > 0 {
			out.Netns[i].RouteAnswers = list
		}
	}
	return &out
}

// withProbes is the snapshot with further answers; the given one stays as it is.
func withProbes(s *snap.Snapshot, answers []snap.Probe, observers []snap.Observer) *snap.Snapshot {
	out := *s
	out.Observers = observers
	out.Probes = append(append(make([]snap.Probe, 0, len(s.Probes)+len(answers)), s.Probes...), answers...)
	for i := range out.Probes {
		out.Probes[i].ID = i + 1
	}
	return &out
}
