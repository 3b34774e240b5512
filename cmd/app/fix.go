package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// FixOptions are those of fix.
type FixOptions struct {
	Common
	Want   []string // codes, fix IDs or targets; none: everything that can be mended
	Target []string // only what touches these
	// Flow is a sender and a destination, as trace takes them, that must work, too:
	// what stops it is found as trace finds it; or "SRC ? NAME [TYPE]", a name that
	// must resolve, as dns finds it. "" adds none.
	Flow   string
	DryRun bool
	// Confirm is shown the plan and answers; nil: nobody can be asked.
	Confirm func(*v1.FixPlan) (bool, error)
	Yes     bool
}

// diagnosis is one look at the host.
type diagnosis struct {
	s  *snap.Snapshot
	in *diag.Input
	r  diag.Report
}

// look reads, proves and diagnoses, with what was asked for beside. What only an
// audit finds is looked for when it is to be mended.
func (a *App) look(ctx context.Context, o FixOptions) (*diagnosis, error) {
	c, flow := o.Common, o.Flow
	s, err := a.snapshot(ctx, c)
	if err != nil {
		return nil, err
	}
	var asks []diag.Ask
	if flow != "" {
		if s, asks, err = a.asked(ctx, c, s, flow); err != nil {
			return nil, err
		}
	}
	audit := slices.ContainsFunc(a.Checks, func(k diag.Check) bool {
		return k.Audit && slices.ContainsFunc(o.Want, func(w string) bool { return strings.EqualFold(string(k.Code), strings.SplitN(w, ".", 2)[0]) })
	})
	ex, err := a.examine(ctx, s, asks, diag.Options{Audit: audit}, c)
	if err != nil {
		return nil, err
	}
	return &diagnosis{s: s, in: ex.in, r: diag.Run(ex.in, a.Checks)}, nil
}

// asked is a flow in words as a question, with the state that holds what
// resolving its name brought. One without a packet to follow asks nothing.
func (a *App) asked(ctx context.Context, c Common, s *snap.Snapshot, flow string) (*snap.Snapshot, []diag.Ask, error) {
	words := strings.Fields(flow)
	name := len(words) > 2 && words[1] == "?"
	if len(words) != 2 && !name || len(words) > 4 {
		return nil, nil, Usagef("%q is no flow: a sender and a destination, as in \"client web:80\", or a name, as in \"client ? web\"", flow)
	}
	f := finder{s}
	src, err := f.source(words[0])
	if err != nil {
		return nil, nil, err
	}
	if name {
		asks, err := nameQuestion(src, words[2:], c)
		return s, asks, err
	}
	dst, err := f.dest(words[1])
	if err != nil {
		return nil, nil, err
	}
	t, q := &tracer{a: a, c: c, s: s}, &ask{src: src, dst: dst}
	if err := t.resolve(ctx, q); err != nil {
		return nil, nil, err
	}
	t.flow(q, TraceOptions{Common: c})
	if q.diag.Flow == nil && q.diag.Name == nil {
		return t.s, nil, nil
	}
	return t.s, []diag.Ask{q.diag}, nil
}

// nameQuestion is "NAME [TYPE]" asked by a target, as dns asks it.
func nameQuestion(from Target, words []string, c Common) ([]diag.Ask, error) {
	typ := ""
	if len(words) > 1 {
		typ = words[1]
	}
	typ, err := typeOf(typ, c)
	if err != nil {
		return nil, err
	}
	name, err := nameOf(words[0])
	if err != nil {
		return nil, err
	}
	if from.Kind == kindAddress {
		return nil, Usagef("%s is an address: names are asked by containers and namespaces", from.Text)
	}
	return []diag.Ask{askOf(from, name, typ)}, nil
}

// nothingSeen is the error of an empty plan where so much could not be read that nothing
// to mend may only be nothing seen; nil where the plan can be believed, or says what a
// person must do.
func nothingSeen(d *diagnosis, plan *v1.FixPlan, o FixOptions) error {
	if AnyFailing(plan.Findings, o.FailOn) || !undecided(d.in) {
		return nil
	}
	err := fmt.Errorf("whether there is anything to mend %w: not everything could be read", errUndecided)
	for _, g := range d.s.Gaps {
		if decisive(d.s, g) && g.Needs != "" {
			return snap.Hint(err, g.Needs)
		}
	}
	return snap.Hint(err, "netdoctor ls gaps")
}

// Fix plans, asks, changes, and looks again. The result is a *v1.FixPlan when
// nothing was changed, a *v1.FixResult otherwise; beside an error of the kinds
// ErrPending, ErrRolledBack and ErrRollbackIncomplete there is a result, too.
func (a *App) Fix(ctx context.Context, o FixOptions) (v1.Result, error) {
	start := a.now()
	d, err := a.look(ctx, o)
	if err != nil {
		return nil, err
	}
	chosen, err := a.choose(d, o)
	if err != nil {
		return nil, err
	}
	if len(o.Want)+len(o.Target) == 0 {
		chosen = a.complete(d, a.needed(d, chosen))
	}
	plan := a.plan(d, chosen)
	plan.Head = a.head(v1.KindFixPlan, start)
	if len(plan.Changes) == 0 {
		return plan, nothingSeen(d, plan, o)
	}
	if o.DryRun || o.Snapshot != "" {
		return plan, ErrPending
	}
	if !o.Yes {
		if o.Confirm == nil {
			return plan, snap.Hint(fmt.Errorf("nothing was changed: %w", ErrPending), "there is no terminal to ask on; repeat with --yes")
		}
		ok, err := o.Confirm(plan)
		if err != nil || !ok {
			return plan, errors.Join(ErrPending, err)
		}
	}
	if a.Changer == nil {
		return plan, fmt.Errorf("changing this machine: %w", snap.ErrUnsupported)
	}
	res := &v1.FixResult{Changes: plan.Changes, After: plan.After, Advice: plan.Advice}
	run := a.now().UTC().Format(time.RFC3339Nano)
	got, err := a.carryOut(ctx, d, chosen, o, run, res)
	if err == nil && len(o.Want)+len(o.Target) == 0 {
		err = a.further(ctx, d, &got, o, run, res)
	}
	if err == nil {
		err = a.vain(ctx, d, &got, o, res)
	}
	if got.after != nil {
		res.Advice = unmended(d, chosen, got.after)
	}
	res.Head = a.head(v1.KindFix, start)
	if res.RolledBack && errors.Is(err, ErrRolledBack) { // the result has the rest
		err = snap.Hint(ErrRolledBack, snap.HintOf(err))
	}
	return res, err
}

// unmended is the advice for those of the chosen findings that have no fix and are
// still there: many go with another's cause.
func unmended(d *diagnosis, chosen []int, now *diagnosis) []v1.Advice {
	var out []v1.Advice
	ids := fixIDs(d.r.Findings)
	for _, i := range chosen {
		if f := &d.r.Findings[i]; f.Fix == nil && f.Advice != "" && still(now.r.Findings, f) {
			out = append(out, v1.Advice{Finding: ids[i], Summary: f.Summary, Advice: f.Advice})
		}
	}
	return out
}

// choose picks the findings to mend.
func (a *App) choose(d *diagnosis, o FixOptions) ([]int, error) {
	all := make([]int, len(d.r.Findings))
	for i := range all {
		all[i] = i
	}
	keep := func(idx []int, texts []string) ([]int, error) {
		if len(texts) == 0 {
			return idx, nil
		}
		ids := fixIDs(d.r.Findings)
		var out []int
		for _, w := range texts {
			hit := false
			for _, i := range idx {
				if up := strings.ToUpper(w); up == string(d.r.Findings[i].Code) || up == strings.ToUpper(ids[i]) {
					out, hit = append(out, i), true
				}
			}
			if hit {
				continue
			}
			if isCode(w) {
				if !slices.ContainsFunc(a.Checks, func(c diag.Check) bool { return strings.EqualFold(string(c.Code), strings.SplitN(w, ".", 2)[0]) }) {
					return nil, a.noCode(w)
				}
				a.note("%s was not found on this host: nothing to mend", strings.ToUpper(w))
				continue
			}
			only, err := a.only(d.s, []string{w})
			if err != nil {
				return nil, err
			}
			for _, i := range idx {
				if len(touching(d.s, d.r.Findings[i:i+1], only)) > 0 {
					out = append(out, i)
				}
			}
		}
		slices.Sort(out)
		return slices.Compact(out), nil
	}
	idx, err := keep(all, o.Want)
	if err != nil {
		return nil, err
	}
	idx, err = keep(idx, o.Target)
	if len(o.Want) == 0 {
		idx = slices.DeleteFunc(idx, func(i int) bool { return d.r.Findings[i].Severity == diag.Info })
	}
	return idx, err
}

// isCode says whether a word has the form of a code.
func isCode(w string) bool {
	w, _, _ = strings.Cut(w, ".")
	return len(w) == 6 && strings.EqualFold(w[:2], "ND") && strings.Trim(w[2:], "0123456789") == ""
}
