package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// settleFor is how long a host may take to show what a change did: a carrier
// that comes up, a bridge port that learns, a daemon that binds its sockets.
// settleEvery is the pause between two looks.
const (
	settleFor   = 3 * time.Second
	settleEvery = 250 * time.Millisecond
)

// mended is one finding whose fix was applied.
type mended struct {
	finding     int    // into the diagnosis
	transaction string // "" when nothing had to be changed
}

// carried is what became of the host when fixes had been carried out.
type carried struct {
	after *diagnosis // nil where it did not come to looking again
	did   []mended   // what stayed
	wrong []mended   // what was taken back
}

// carryOut applies the chosen fixes one by one, looks again, and takes back
// those that did not help. The host is read anew before each, since the one
// before changed it. run names the call that they belong to in the journal.
func (a *App) carryOut(ctx context.Context, d *diagnosis, chosen []int, o FixOptions, run string, res *v1.FixResult) (carried, error) {
	did, err := a.mend(ctx, d, chosen, o, run, res)
	if err != nil {
		return carried{}, err
	}
	after, wrong, err := a.settled(ctx, d, did, o)
	if err != nil {
		res.Error = err.Error()
		return carried{}, a.takeBack(ctx, did, res, fmt.Errorf("looking again: %w", err))
	}
	ids := fixIDs(d.r.Findings)
	if len(wrong) > 0 {
		for _, m := range wrong {
			res.Remaining = append(res.Remaining, ids[m.finding])
		}
		res.Error = "still there after the change: " + strings.Join(res.Remaining, ", ") + endedAgain(d, after, wrong)
		cause := errors.New(res.Error)
		did = snap.Without(did, func(m mended) bool { return slices.Contains(wrong, m) })
		if err := a.takeBack(ctx, wrong, res, cause); len(did) == 0 || errors.Is(err, ErrRollbackIncomplete) {
			res.Tail = tail(after.in.Snap, after.r)
			return carried{after: after}, err
		}
		if after, err = a.look(ctx, o); err != nil {
			res.Error = err.Error()
			return carried{}, a.takeBack(ctx, did, res, fmt.Errorf("looking again: %w", err))
		}
		res.RolledBack = false
		res.Error += ", whose change was taken back"
		res.Changes = snap.Without(res.Changes, func(c v1.Change) bool { return slices.Contains(res.Remaining, c.Finding) })
		for i := range res.Changes {
			res.Changes[i].ID = i + 1
		}
	}
	res.Applied = true
	for _, m := range did {
		res.Gone = append(res.Gone, ids[m.finding])
		if m.transaction != "" {
			res.Transactions = append(res.Transactions, m.transaction)
			res.Transaction = m.transaction
		}
	}
	res.Tail = tail(after.in.Snap, after.r)
	if n := unhealed(d, after, did); n > 0 && res.Error == "" {
		res.Error = stillFail(n)
	}
	res.Verified = res.Error == ""
	return carried{after, did, wrong}, nil
}

// mend applies the chosen fixes one by one. Where one fails, those before it are taken back,
// and res says what is left.
func (a *App) mend(ctx context.Context, d *diagnosis, chosen []int, o FixOptions, run string, res *v1.FixResult) (did []mended, err error) {
	defer a.waiting("")
	ids, s := fixIDs(d.r.Findings), d.s
	for _, i := range chosen {
		f := &d.r.Findings[i]
		if f.Fix == nil || len(f.Fix.Ops) == 0 {
			continue
		}
		a.waiting("mending " + ids[i])
		if len(did) > 0 {
			if s, err = a.snapshot(ctx, o.Common); err != nil {
				res.Error = err.Error()
				return nil, a.takeBack(ctx, did, res, err)
			}
		}
		done, err := a.Changer.Apply(ctx, s, Tx{ID: ids[i], Run: run, Ops: f.Fix.Ops})
		if err != nil && len(did) > 0 && len(done.Left) == 0 && a.gone(s, f) {
			continue // the one before mended it, too, and took away what this one would change
		}
		if err != nil {
			res.Error, res.Left = why(err), append(res.Left, done.Left...)
			return nil, a.takeBack(ctx, did, res, err)
		}
		did = append(did, mended{i, done.Transaction})
	}
	return did, nil
}

// why is the reason of a change that failed, without the words for its kind: the result
// has them, and joined errors stand on several lines.
func why(err error) string {
	var out []string
	for l := range strings.Lines(err.Error()) {
		l = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSpace(l), " (rolled back)"), ": "+ErrRolledBack.Error()) // who made it says so, too
		if l != "" && l != ErrRolledBack.Error() && l != ErrRollbackIncomplete.Error() && !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	return strings.Join(out, "; ")
}

// gone says whether a finding of before is not there any more, as far as the
// state alone tells.
func (a *App) gone(s *snap.Snapshot, f *diag.Finding) bool {
	return !still(diag.Run(diag.Build(s, nil, diag.Options{}), a.Checks).Findings, f)
}

// settled looks again until every finding is gone and nothing that it covered
// fails, or the time for that is over. wrong are those that are still there. A container
// that was started is watched for all of that time: it must go on running.
func (a *App) settled(ctx context.Context, d *diagnosis, did []mended, o FixOptions) (after *diagnosis, wrong []mended, err error) {
	for end := time.Now().Add(a.Settle); ; {
		if after, err = a.look(ctx, o); err != nil {
			return nil, nil, err
		}
		wrong = nil
		watched := false
		for _, m := range did {
			c := started(d, after, m)
			watched = watched || c != nil && c.Running()
			if still(after.r.Findings, &d.r.Findings[m.finding]) || c != nil && !c.Running() {
				wrong = append(wrong, m)
			}
		}
		if !watched && len(wrong) == 0 && unhealed(d, after, did) == 0 || !time.Now().Before(end) {
			return after, wrong, nil
		}
		select {
		case <-ctx.Done():
			return nil, nil, ended(ctx)
		case <-time.After(settleEvery):
		}
	}
}

// started is the container that a fix had started, as it is now; nil: none.
func started(d, after *diagnosis, m mended) *snap.Container {
	for _, op := range d.r.Findings[m.finding].Fix.Ops {
		if x, ok := op.(*fixups.ContainerStart); ok {
			return after.in.Snap.Container(x.Ref)
		}
	}
	return nil
}

// endedAgain says which containers ended soon after they were started.
func endedAgain(d, after *diagnosis, wrong []mended) string {
	t := ""
	for _, m := range wrong {
		if c := started(d, after, m); c != nil && !c.Running() {
			t += fmt.Sprintf("; %s was started and ended again (%s, exit code %d)", c.Name, c.State, c.ExitCode)
		}
	}
	return t
}

// sufferer is a flow or a name by its kind, its sender and what it wants: the same
// in two looks at a host.
type sufferer struct{ kind, from, to string }

// failing are the flows and names that do not work.
func failing(in *diag.Input) map[sufferer]bool {
	out := map[sufferer]bool{}
	for i := range in.Flows {
		f := &in.Flows[i]
		if (f.Broken() || f.Unmasked) && !f.Excused {
			out[sufferer{f.Kind, f.From, f.To}] = true
		}
	}
	for i := range in.Names {
		if n := &in.Names[i]; n.Bad() && n.Path.Verdict != names.Unknown {
			out[sufferer{"name", n.From, n.Ask.Name}] = true
		}
	}
	return out
}

// sufferers are the flows and names that a finding covers.
func sufferers(in *diag.Input, f *diag.Finding) []sufferer {
	var out []sufferer
	for _, i := range f.Covers.Traces {
		c := &in.Flows[i]
		out = append(out, sufferer{c.Kind, c.From, c.To})
	}
	for _, i := range f.Covers.Names {
		n := &in.Names[i]
		out = append(out, sufferer{"name", n.From, n.Ask.Name})
	}
	return out
}

// unhealed counts what the mended findings covered and what fails afterwards.
func unhealed(d, after *diagnosis, did []mended) int {
	fails, count := failing(after.in), map[sufferer]bool{}
	for _, m := range did {
		f := &d.r.Findings[m.finding]
		for _, k := range sufferers(d.in, f) {
			count[k] = fails[k]
		}
		for _, i := range f.Covers.Traces {
			if c := &d.in.Flows[i]; arrived(after.in, c) {
				count[sufferer{c.Kind, c.From, c.To}] = false
			}
		}
	}
	k := 0
	for _, bad := range count {
		if bad {
			k++
		}
	}
	return k
}

// arrived says whether a flow gets to its target now, where no program takes it.
func arrived(after *diag.Input, was *diag.FlowCase) bool {
	return slices.ContainsFunc(after.Flows, func(f diag.FlowCase) bool {
		return f.Kind == was.Kind && f.From == was.From && f.To == was.To && after.Arrives(was, &f)
	})
}

// still says whether a finding is there as it was: one that fewer flows suffer
// from has been mended in part, and what is left is told beside.
func still(after []diag.Finding, f *diag.Finding) bool {
	return slices.ContainsFunc(after, func(g diag.Finding) bool {
		return sameAs(&g, f) && (len(g.Flows) == 0 || !fewer(g.Flows, f.Flows))
	})
}

// fewer says whether a holds some of b, and nothing else.
func fewer(a, b []diag.FlowRef) bool {
	return len(a) < len(b) && !slices.ContainsFunc(a, func(x diag.FlowRef) bool { return !slices.Contains(b, x) })
}

// takeBack undoes what was done, the last first.
func (a *App) takeBack(ctx context.Context, did []mended, res *v1.FixResult, cause error) error {
	defer a.waiting("")
	// A change that was begun is finished or undone, also after Ctrl-C.
	ctx = context.WithoutCancel(ctx)
	for _, m := range slices.Backward(did) {
		if m.transaction == "" {
			continue
		}
		a.waiting("taking back " + m.transaction)
		_, left, err := a.Changer.Undo(ctx, m.transaction)
		res.Left = append(res.Left, left...)
		if err != nil {
			res.Left = append(res.Left, m.transaction+": "+err.Error())
		}
	}
	res.Applied, res.Verified = false, false
	if len(res.Left) > 0 || errors.Is(cause, ErrRollbackIncomplete) {
		return errors.Join(ErrRollbackIncomplete, cause)
	}
	res.RolledBack = true
	return errors.Join(ErrRolledBack, cause)
}
