package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestOptions are those of test.
type TestOptions struct {
	Common
	File string // the expectations; "-" is Stdin
	// Tags choose: all expectations that have one of them, and none that has one
	// that is written with a "!". Empty chooses all.
	Tags []string
	// Wait is how long to look again until everything is as expected; 0 looks once.
	Wait time.Duration
	// Pause between two looks; 0 is a second.
	Pause time.Duration
	// Bundle is the file that the state is kept in when something failed; "" none.
	Bundle string
}

// Test holds a host against a file of expectations.
func (a *App) Test(ctx context.Context, o TestOptions) (*v1.TestResult, error) {
	start := a.now()
	r := o.Stdin
	if o.File != "-" {
		f, err := a.Open(o.File)
		if err != nil {
			return nil, snap.Hint(Usagef("opening the expectations: %v", err), "netdoctor test --generate > EXPECT.yaml writes some")
		}
		defer f.Close() //nolint:errcheck // only read
		r = f
	} else if r == nil || o.Snapshot == "-" {
		return nil, Usagef("no expectations on stdin")
	}
	all, err := parseExpectations(o.File, r)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(all, func(e Expectation) bool { return chosen(e.Tags, o.Tags) }) {
		return nil, snap.Hint(Usagef("no expectation of %s has the tags %s", o.File, strings.Join(o.Tags, ",")), "the tags there: "+strings.Join(tagsOf(all), ", "))
	}
	var res *v1.TestResult
	var s *snap.Snapshot
	over := time.NewTimer(o.Wait)
	defer over.Stop()
	for round := 1; ; round++ {
		if res, s, err = a.round(ctx, all, o); err != nil {
			return nil, err
		}
		res.Rounds = round
		if res.Verdict == "passed" || o.Snapshot != "" || o.Wait == 0 {
			break
		}
		a.waiting(fmt.Sprintf("%d of %d expectations do not hold yet", res.Summary.Failed+res.Summary.Unknown, len(all)))
		pause := o.Pause
		if pause == 0 {
			pause = time.Second
		}
		t := time.NewTimer(pause)
		last := false
		select {
		case <-t.C:
		case <-over.C:
			last = true
			t.Stop()
		case <-ctx.Done():
			t.Stop()
			return nil, ended(ctx)
		}
		if last {
			break
		}
	}
	a.waiting("")
	if res.Verdict != "passed" && o.Bundle != "" {
		if a.Redact != nil {
			s = a.Redact(s)
		}
		if _, err := a.Write(o.Bundle, s, false); err != nil {
			return nil, fmt.Errorf("keeping the state: %w", err)
		}
		res.Bundle = o.Bundle
	}
	res.File = o.File
	res.Head = a.head(v1.KindTest, start)
	return res, nil
}

// chosen says whether an expectation with these tags is wanted.
func chosen(tags, want []string) bool {
	plain, hit := false, false
	for _, w := range want {
		if no, ok := strings.CutPrefix(w, "!"); ok {
			if slices.Contains(tags, no) {
				return false
			}
			continue
		}
		plain = true
		hit = hit || slices.Contains(tags, w)
	}
	return !plain || hit
}

func tagsOf(all []Expectation) []string {
	var out []string
	for i := range all {
		out = append(out, all[i].Tags...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// round looks once at everything.
func (a *App) round(ctx context.Context, all []Expectation, o TestOptions) (*v1.TestResult, *snap.Snapshot, error) {
	s, err := a.snapshot(ctx, o.Common)
	if err != nil {
		return nil, nil, err
	}
	quiet := *a
	quiet.Note = nil // notes about each flow would bury the answer
	res := &v1.TestResult{Host: hostInfo(s, o.Snapshot), Tests: make([]v1.Test, len(all))}
	asked := make([][]snap.Probe, len(all))
	watched := make([][]snap.Observer, len(all))
	var g errgroup.Group
	g.SetLimit(atOnce)
	for i := range all {
		g.Go(func() error {
			x := &expecting{a: &quiet, c: o.Common, s: s}
			t, err := x.test(ctx, &all[i], o.Tags)
			res.Tests[i], asked[i], watched[i] = t, x.s.Probes[len(s.Probes):], x.s.Observers
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	for i := range res.Tests {
		switch res.Tests[i].Status {
		case "passed":
			res.Summary.Passed++
		case "failed":
			res.Summary.Failed++
		case "unknown":
			res.Summary.Unknown++
		default:
			res.Summary.Skipped++
		}
	}
	res.Coverage.Skipped = gaps(s)
	switch {
	case res.Summary.Failed > 0:
		res.Verdict = "failed"
	case res.Summary.Unknown > 0:
		res.Verdict = "unknown"
	default:
		res.Verdict = "passed"
	}
	return res, withProbes(s, slices.Concat(asked...), longest(watched)), nil
}

// longest are the observers of the expectation that had most: all have the same,
// or none when nothing was sent.
func longest(all [][]snap.Observer) []snap.Observer {
	return slices.MaxFunc(all, func(a, b []snap.Observer) int { return len(a) - len(b) })
}

// atOnce is how many expectations are looked at side by side: a probe into the
// void waits a second for nothing.
const atOnce = 8

// test looks at one expectation.
func (x *expecting) test(ctx context.Context, e *Expectation, tags []string) (v1.Test, error) {
	begin := x.a.now()
	t := v1.Test{Name: e.Name, Kind: e.Kind, Expect: e.Text, Tags: e.Tags, Line: e.Line, Column: e.Column, Status: "skipped"}
	if t.Name == "" {
		t.Name = e.Text
		if e.Kind == "resolve" {
			t.Name = "resolve " + e.Text
		}
	}
	var err error
	if chosen(e.Tags, tags) {
		err = x.one(ctx, e, &t)
	}
	t.DurationMs = v1.Ms(x.a.now().Sub(begin))
	return t, err
}

// expecting holds expectations against one snapshot.
type expecting struct {
	a *App
	c Common
	s *snap.Snapshot // with the answers of the questions put so far
}

func (x *expecting) one(ctx context.Context, e *Expectation, t *v1.Test) error {
	switch e.Kind {
	case "reach":
		return x.reach(ctx, e, t)
	case "resolve":
		return x.resolve(ctx, e, t)
	}
	return x.findings(ctx, e, t)
}

// settle ends an expectation.
func settle(t *v1.Test, status, format string, args ...any) {
	t.Status, t.Reason = status, fmt.Sprintf(format, args...)
}

// stumble takes what is wrong with one expectation's words as its failure, and
// gives back what is wrong with the run.
func stumble(ctx context.Context, t *v1.Test, err error) error {
	if end := ended(ctx); end != nil {
		return end
	}
	status := "failed"
	if errors.Is(err, errUndecided) {
		status = "unknown" // it may be the name of something that could not be read
	}
	settle(t, status, "%v", err)
	if h := snap.HintOf(err); h != "" {
		t.Reason += " (" + h + ")"
	}
	return nil
}

func (x *expecting) reach(ctx context.Context, e *Expectation, t *v1.Test) error {
	tr := &tracer{a: x.a, c: x.c, s: x.s}
	res, err := tr.trace(ctx, TraceOptions{From: e.From, To: e.To})
	if err != nil {
		return stumble(ctx, t, err)
	}
	x.s = tr.s
	t.Got, t.Confidence = res.Verdict, string(diag.Predicted)
	if res.Proved != nil {
		t.Confidence = string(diag.Proved)
	}
	why := res.Verdict
	if res.Where != nil && res.Where.Detail != "" {
		why += ": " + res.Where.Detail
	}
	switch {
	case res.Verdict == string(sim.Unknown):
		settle(t, "unknown", "%s", strings.Join(append([]string{"unknown"}, res.Unknown...), ": "))
	case e.Not && res.Verdict == string(sim.Delivered):
		settle(t, "failed", "it is delivered, but must not be")
	case e.Not:
		settle(t, "passed", "")
	case res.Verdict != string(sim.Delivered):
		settle(t, "failed", "%s", why)
		t.Findings = res.Findings
	default:
		settle(t, "passed", "")
		if e.Within > 0 {
			within(e, t, res)
		}
		if e.MTU > 0 && t.Status == "passed" {
			return x.mtu(ctx, e, t, res)
		}
	}
	return nil
}

// within holds the round trip of the live probe against the bound.
func within(e *Expectation, t *v1.Test, res *v1.TraceResult) {
	for _, q := range res.Sent {
		if q.Outcome == snap.Answered && q.Kind != "dns" && q.RTTMs > 0 {
			if limit := v1.Ms(e.Within); q.RTTMs > limit {
				settle(t, "failed", "the answer took %.1f ms, more than %.1f ms", q.RTTMs, limit)
			}
			return
		}
	}
	settle(t, "unknown", "no packet was sent whose way back could be timed")
}

// mtu sends one whole packet of the size that must pass, in one piece.
func (x *expecting) mtu(ctx context.Context, e *Expectation, t *v1.Test, small *v1.TraceResult) error {
	headers := 28 // IPv4 and ICMP, RFC 791 and 792
	if strings.Contains(small.To.Address, ":") {
		headers = 48 // IPv6 and ICMPv6, RFC 8200 and 4443
	}
	tr := &tracer{a: x.a, c: x.c, s: x.s}
	res, err := tr.trace(ctx, TraceOptions{From: e.From, To: small.To.Address, Size: e.MTU - headers, DF: true})
	if err != nil {
		return stumble(ctx, t, err)
	}
	x.s = tr.s
	switch res.Verdict {
	case string(sim.Delivered):
	case string(sim.Unknown):
		settle(t, "unknown", "%s", strings.Join(append([]string{fmt.Sprintf("whether %d bytes pass in one packet is unknown", e.MTU)}, res.Unknown...), ": "))
	default:
		why := res.Verdict
		if res.Where != nil {
			why += ": " + res.Where.Detail
		}
		settle(t, "failed", "%d bytes do not pass in one packet: %s", e.MTU, why)
		t.Got, t.Findings = res.Verdict, res.Findings
	}
	return nil
}

func (x *expecting) resolve(ctx context.Context, e *Expectation, t *v1.Test) error {
	res, err := x.a.dnsOver(ctx, &x.s, DNSOptions{Common: x.c, Name: e.To, From: e.From, Type: e.Type})
	if err != nil {
		return stumble(ctx, t, err)
	}
	d, ok := res.(*v1.DNSResult)
	if !ok {
		return fmt.Errorf("asking for %s from %s gave %s", e.To, e.From, res.Meta().Kind)
	}
	t.Got, t.Confidence = d.Verdict, string(diag.Predicted)
	if len(d.Sent) > 0 {
		t.Confidence = string(diag.Proved)
	}
	answers := slices.Clone([]string(d.Answers))
	for i := range answers {
		answers[i] = lastWord(answers[i])
	}
	slices.Sort(answers)
	switch {
	case d.Verdict == string(names.Unknown):
		settle(t, "unknown", "what %s is for %s is not known", e.To, e.From)
	case e.Not && d.Verdict == string(names.Resolved):
		settle(t, "failed", "it resolves to %s, but must not", strings.Join(answers, ", "))
	case e.Not:
		settle(t, "passed", "")
	case d.Verdict != string(names.Resolved):
		settle(t, "failed", "%s", d.Verdict)
		if d.Problem != nil {
			t.Reason += ": " + d.Problem.Detail
		}
		t.Findings = d.Findings
	case e.Answers != nil && !slices.Equal(slices.Sorted(slices.Values(e.Answers)), answers):
		settle(t, "failed", "the answers are %s, not %s", strings.Join(answers, ", "), strings.Join(e.Answers, ", "))
	case e.Count > 0 && e.Count != len(answers):
		settle(t, "failed", "the number of answers is %d, not %d: %s", len(answers), e.Count, strings.Join(answers, ", "))
	default:
		settle(t, "passed", "")
	}
	return nil
}

func (x *expecting) findings(ctx context.Context, e *Expectation, t *v1.Test) error {
	ex, err := x.a.examine(ctx, x.s, nil, diag.Options{}, x.c)
	if err != nil {
		return err
	}
	x.s = ex.in.Snap
	for _, f := range tail(ex.in.Snap, diag.Run(ex.in, x.a.Checks)).Findings {
		if e.Above == "" || diag.Severity(f.Severity).Rank() > e.Above.Rank() {
			t.Findings = append(t.Findings, f)
		}
	}
	switch n := len(t.Findings); {
	case n > 0:
		settle(t, "failed", "%s %s", t.Findings[0].Code, t.Findings[0].Summary)
		if n > 1 {
			t.Reason += fmt.Sprintf(", and %d more", n-1)
		}
	case undecided(ex.in):
		settle(t, "unknown", "no finding, but not everything could be read")
	default:
		settle(t, "passed", "")
	}
	return nil
}
