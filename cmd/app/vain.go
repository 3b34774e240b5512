package app

import (
	"context"
	"errors"
	"slices"
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
)

// vain takes back what helped none of those it was made for, although it was to help:
// every flow and name that its finding covers still fails after all else was mended. What
// the model itself sees stopped by something else is no such thing: both have to go.
func (a *App) vain(ctx context.Context, d *diagnosis, got *carried, o FixOptions, res *v1.FixResult) error {
	if !res.Applied || res.Verified || got.after == nil {
		return nil
	}
	was, fails, looked := failing(d.in), failing(got.after.in), map[sufferer]bool{}
	for i := range got.after.in.Flows {
		f := &got.after.in.Flows[i]
		looked[sufferer{f.Kind, f.From, f.To}] = true
	}
	for i := range got.after.in.Names {
		n := &got.after.in.Names[i]
		looked[sufferer{"name", n.From, n.Ask.Name}] = true
	}
	var none []mended
	for _, m := range got.did {
		f := &d.r.Findings[m.finding]
		all := slices.DeleteFunc(sufferers(d.in, f), func(k sufferer) bool { return !looked[k] || !was[k] })
		if m.transaction == "" || len(all) == 0 || slices.ContainsFunc(all, func(k sufferer) bool { return !fails[k] }) ||
			slices.ContainsFunc(f.Covers.Traces, func(i int) bool { return arrived(got.after.in, &d.in.Flows[i]) }) || !promised(d.in, f) {
			continue
		}
		none = append(none, m)
	}
	if len(none) == 0 {
		return nil
	}
	ids := fixIDs(d.r.Findings)
	var back []string
	for _, m := range none {
		back = append(back, ids[m.finding])
		res.Transactions = slices.DeleteFunc(res.Transactions, func(t string) bool { return t == m.transaction })
		res.Gone = slices.DeleteFunc(res.Gone, func(id string) bool { return id == ids[m.finding] })
	}
	res.Remaining = append(res.Remaining, back...)
	cause := errors.New(strings.Join(back, ", ") + " helped nobody that it was made for, and was taken back")
	res.Error += "; " + cause.Error()
	err := a.takeBack(ctx, none, res, cause)
	if errors.Is(err, ErrRollbackIncomplete) {
		return err
	}
	after, lost := a.look(ctx, o)
	if lost != nil {
		return lost
	}
	got.after, res.Tail = after, tail(after.in.Snap, after.r)
	if len(res.Transactions) == 0 {
		return err // nothing is left of it all
	}
	res.Transaction, res.Applied, res.RolledBack = res.Transactions[len(res.Transactions)-1], true, false
	res.Changes = slices.DeleteFunc(res.Changes, func(c v1.Change) bool { return slices.Contains(back, c.Finding) })
	for i := range res.Changes {
		res.Changes[i].ID = i + 1
	}
	return nil
}

// promised says whether a finding's fix was to help by the model: one of its flows works
// with it, or a name is what it is about.
func promised(in *diag.Input, f *diag.Finding) bool {
	if len(f.Covers.Names) > 0 {
		return true
	}
	then, err := in.WhatIf(f.Fix.Ops)
	return err == nil && slices.ContainsFunc(f.Covers.Traces, func(i int) bool { return then.Flows[i].Works() })
}
