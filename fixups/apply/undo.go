package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// back rolls a transaction back that failed, and gives the error for it.
func (a *Applier) back(m *machine, j *journal, e *entry, res *Result, cause error) error {
	a.log().Debug("rolling back", "tx", e.ID, "err", cause)
	left := a.unwind(m, j, e, false, nil)
	if len(left) > 0 {
		res.Left = append(res.Left, left...)
		return fmt.Errorf("%w (%w)", cause, ErrIncomplete)
	}
	return fmt.Errorf("%w (%w)", cause, ErrRolledBack)
}

// unwind undoes the steps of a transaction, last first, and says what could not
// be undone. Asked is an undo long after the change: then an object that others
// have changed since is left alone. Each line of what was undone goes to said.
func (a *Applier) unwind(m *machine, j *journal, e *entry, asked bool, said func(string)) (left []string) {
	for i := len(e.Steps) - 1; i >= 0; i-- {
		st := e.Steps[i]
		if st.State != stepStarted && st.State != stepDone && st.State != stepLeft {
			continue
		}
		err := a.failpoint("undo %d before", i+1)
		if err == nil {
			err = a.unstep(m, st, asked, said)
		}
		if err == nil {
			err = a.failpoint("undo %d applied", i+1)
		}
		if err != nil {
			a.log().Debug("could not undo", "tx", e.ID, "step", i+1, "err", err)
			st.State, st.Error = stepLeft, err.Error()
			left = append(left, fmt.Sprintf("%s: %v", st.Text, err))
		} else {
			st.State, st.Error = stepUndone, ""
		}
		if err := j.write(e); err != nil {
			left = append(left, fmt.Sprintf("journal %s: %v", e.ID, err))
		}
		if err := a.failpoint("undo %d done", i+1); err != nil {
			left = append(left, err.Error())
		}
	}
	e.State, e.Left = stateUndone, left
	if len(left) > 0 {
		e.State = stateStuck
	}
	if err := j.write(e); err != nil {
		left = append(left, fmt.Sprintf("journal %s: %v", e.ID, err))
	}
	slices.Reverse(left)
	return left
}

// unstep undoes one step. A step that was only started is looked at first: it
// may not have been done at all, or done without anybody having noted what the
// kernel made of it.
func (a *Applier) unstep(m *machine, st *step, asked bool, said func(string)) error {
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()
	op := st.Op[0]
	now, err := m.look(ctx, op)
	if errors.Is(err, snap.ErrNotFound) || errors.Is(err, snap.ErrVanished) {
		if said != nil {
			said("nothing, where it was made is gone: " + st.Text)
		}
		return nil // with the namespace or the container everything in it is gone
	}
	if err != nil {
		return err
	}
	h, err := hash(op, now)
	if err != nil {
		return err
	}
	if st.State == stepStarted {
		if h == st.Before {
			return nil
		}
		if err := guess(st, now); err != nil {
			return err
		}
	} else if asked && st.After != "" && h != st.After && h != st.Before && len(st.Undo) > 0 && !certain(st.Undo) {
		return fmt.Errorf("others changed it since: %w", ErrChanged)
	}
	for _, u := range st.Undo {
		did, err := a.one(ctx, m, u)
		if err != nil {
			return fmt.Errorf("%s: %w", u.Describe(), err)
		}
		switch {
		case said == nil:
		case did:
			said(u.Describe())
		default: // somebody else took it back, or the engine
			said("nothing, it was so already: " + u.Describe())
		}
	}
	return nil
}

// one does one operation of an undo, unless its end is reached: then did is false.
func (a *Applier) one(ctx context.Context, m *machine, op fixups.Op) (did bool, err error) {
	now, err := m.look(ctx, op)
	if err != nil {
		return false, err
	}
	if fixups.Holds(op, now) {
		return false, nil
	}
	op, _, err = m.prepare(ctx, op, now)
	if err != nil {
		return false, err
	}
	if err := m.act(ctx, op, now); err != nil {
		return false, err
	}
	after, err := m.look(ctx, op)
	if err != nil {
		return false, err
	}
	return true, learn(&step{}, op, now, after)
}

// certain says whether an undo can't hit anything but what was made: a rule
// with its handle stays that rule wherever others put theirs.
func certain(undo fixups.Ops) bool {
	if len(undo) == 0 {
		return false
	}
	for _, u := range undo {
		switch o := u.(type) {
		case *fixups.RuleDelete:
			if o.Rule.Handle == 0 {
				return false
			}
		case *fixups.ChainDel, *fixups.TableDel, *fixups.SetElementDel:
			// They are refused by the kernel while somebody uses them.
		default:
			return false
		}
	}
	return true
}

// guess completes the undo of a step that was cut off after it changed the
// kernel and before that was noted. A new rule is told from the old ones by
// where it was put and by what it does.
func guess(st *step, now *snap.Snapshot) error {
	op := st.Op[0]
	var ref fixups.ChainRef
	var at int
	switch o := op.(type) {
	case *fixups.RuleInsert:
		ref, at = o.ChainRef, o.Position
	case *fixups.RuleRestore:
		ref, at = o.ChainRef, o.Num
	default:
		if fixups.Holds(op, now) || partly(op) {
			return nil
		}
		return fmt.Errorf("it is neither as before nor as after the step: %w", ErrChanged)
	}
	ch := chainOf(now, ref)
	if ch == nil || len(ch.Rules) == 0 {
		return nil
	}
	if at == 0 {
		at = len(ch.Rules)
	}
	if at > len(ch.Rules) {
		return fmt.Errorf("chain %s has changed since: %w", ref, ErrChanged)
	}
	rest := *ch
	rest.Rules = slices.Delete(slices.Clone(ch.Rules), at-1, at)
	for i, u := range st.Undo {
		d, ok := u.(*fixups.RuleDelete)
		if !ok || d.ChainRef != ref {
			continue
		}
		if st.Chain != "" && fixups.Prints(&rest) != st.Chain {
			return fmt.Errorf("chain %s has changed since: %w", ref, ErrChanged)
		}
		c := *d
		c.Rule = ch.Rules[at-1]
		st.Undo[i] = &c
	}
	return nil
}

// partly says whether an operation consists of several changes, so that it may
// have been cut off between two.
func partly(op fixups.Op) bool {
	switch op.(type) {
	case *fixups.LinkAdd, *fixups.EngineConnect, *fixups.EngineDisconnect, *fixups.FileWrite, *fixups.PortSet, *fixups.ContainerStart:
		return true
	}
	return false
}

// Undo puts back what a transaction changed; id "" is the last one that stands
// of this host namespace. snap.ErrNotFound: there is none, or it is another
// namespace's.
func (a *Applier) Undo(ctx context.Context, id string) (Entry, error) {
	m, err := a.open(nil)
	if err != nil {
		return Entry{}, err
	}
	defer m.close()
	j, err := a.journal(m.inode())
	if err != nil {
		return Entry{}, err
	}
	defer j.close()
	var res Result
	if err := a.recover(ctx, m, j, &res); err != nil {
		return Entry{}, err
	}
	e, err := j.find(id, m.key())
	if n := len(res.Recovered); err != nil && id == "" && n > 0 {
		return res.Recovered[n-1], nil // what a run that was cut off left behind was the last
	}
	if err != nil {
		return Entry{}, err
	}
	switch {
	case e.State == stateUndone:
		return e.public(), snap.Hint(snap.NotFoundf("transaction %s is undone already", e.ID), "netdoctor undo --list")
	case e.Boot != "" && e.Boot != bootID():
		return e.public(), snap.NotFoundf("transaction %s is of before the machine was started", e.ID)
	}
	var done []string
	left := a.unwind(m, j, e, true, func(s string) { done = append(done, s) })
	out := e.public()
	out.Detail = done
	if err := a.failpoint("undone"); err != nil {
		return out, err
	}
	if len(left) > 0 {
		return out, fmt.Errorf("undoing %s: %w", e.ID, ErrIncomplete)
	}
	return out, nil
}

// recover undoes the open transactions of this boot. Those of an earlier boot
// are closed: the kernel forgot them. What lies in files survives, so their
// steps are undone even then.
func (a *Applier) recover(ctx context.Context, m *machine, j *journal, res *Result) error {
	list, err := j.list()
	if err != nil {
		return err
	}
	slices.Reverse(list) // the last one first
	for _, e := range list {
		if e.State != stateOpen || m.key().elsewhere(e) {
			continue
		}
		if e.unread != nil {
			return snap.Hint(fmt.Errorf("an earlier run was cut off: %w", e.unread), "run the version that began it once more")
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("recovering %s: %w", e.ID, snap.ErrTimeout)
		}
		if e.Build != "" {
			if left := a.rebuild(ctx, m, j, e); len(left) > 0 {
				res.Left = append(res.Left, left...)
				return fmt.Errorf("an earlier run was cut off, and ending %s: %w: %s", e.ID, ErrIncomplete, left[0])
			}
			res.Recovered = append(res.Recovered, e.public())
			continue
		}
		if e.Boot != bootID() {
			for _, st := range e.Steps {
				if _, file := st.Op[0].(*fixups.FileWrite); !file {
					st.State = stepUndone
				}
			}
		}
		a.log().Debug("recovering", "tx", e.ID)
		if left := a.unwind(m, j, e, false, nil); len(left) > 0 {
			res.Left = append(res.Left, left...)
			return fmt.Errorf("an earlier run was cut off, and undoing %s: %w", e.ID, ErrIncomplete)
		}
		res.Recovered = append(res.Recovered, e.public())
	}
	return nil
}
