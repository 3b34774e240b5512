package app

import (
	"context"
	"errors"
	"fmt"
	"slices"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
)

// further mends what came to light by the changes: that no default route leads over
// an uplink is seen, and who the router there is can be asked, when it is up again; a
// server to go by instead of a dead one is there when no rule keeps it from answering.
// Each round is planned, confirmed and verified like the first, and what does not
// help is taken back alone. Only what suffered before is mended.
func (a *App) further(ctx context.Context, d *diagnosis, got *carried, o FixOptions, run string, res *v1.FixResult) error {
	for range maxRounds {
		now := got.after
		chosen := behind(d, now, got.wrong)
		if len(chosen) == 0 {
			return nil
		}
		plan := a.plan(now, chosen)
		if !o.Yes {
			ok, err := o.Confirm(plan)
			if err != nil || !ok {
				return err
			}
		}
		next := &v1.FixResult{}
		then, err := a.carryOut(ctx, now, chosen, o, run, next)
		if err != nil {
			if res.Verified = false; res.Error != "" {
				res.Error += "; "
			}
			res.Error += "what was tried next did not help: " + next.Error
			res.Left = append(res.Left, next.Left...)
			if errors.Is(err, ErrRollbackIncomplete) {
				return err
			}
			return nil
		}
		for _, c := range plan.Changes {
			c.ID = len(res.Changes) + 1
			res.Changes = append(res.Changes, c)
		}
		res.Gone = append(res.Gone, next.Gone...)
		res.Remaining = append(slices.DeleteFunc(res.Remaining, func(id string) bool { return slices.Contains(next.Gone, id) }), next.Remaining...)
		res.Transactions = append(res.Transactions, next.Transactions...)
		if next.Transaction != "" {
			res.Transaction = next.Transaction
		}
		res.Tail, res.Error, got.after, got.wrong = next.Tail, next.Error, then.after, nil
		if n := unhealed(d, got.after, got.did); n > 0 && res.Error == "" {
			res.Error = stillFail(n)
		}
		if res.Verified = res.Error == ""; res.Verified {
			return nil
		}
	}
	return nil
}

// stillFail says how many of those that suffered were not helped.
func stillFail(n int) string {
	return fmt.Sprintf("%d of the flows and names that suffered still fail, for another cause", n)
}

// behind are the errors of now that can be mended, that nobody saw before, and from
// which something suffers that suffered before. Those of before count where what was
// planned did not help, and something else is planned now.
func behind(before, now *diagnosis, wrong []mended) []int {
	was := failing(before.in)
	var out []int
	for i := range now.r.Findings {
		f := &now.r.Findings[i]
		if f.Severity != diag.Error || f.Fix == nil || len(f.Fix.Ops) == 0 || known(before.r.Findings, f) && !anew(before, wrong, f) {
			continue
		}
		if slices.ContainsFunc(sufferers(now.in, f), func(k sufferer) bool { return was[k] }) {
			out = append(out, i)
		}
	}
	return out
}

// anew says whether a finding is one whose fix was taken back, and whose fix is another
// one now that the rest is mended.
func anew(before *diagnosis, wrong []mended, f *diag.Finding) bool {
	return slices.ContainsFunc(wrong, func(m mended) bool {
		was := &before.r.Findings[m.finding]
		return sameAs(was, f) && !slices.Equal(lines(was), lines(f))
	})
}

// lines are what a person would type for a finding's fix.
func lines(f *diag.Finding) []string {
	var out []string
	for _, op := range f.Fix.Ops {
		out = append(out, op.Shell()...)
	}
	return out
}
