package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Builder makes and unmakes objects of one's own: networks, containers'
// namespaces, rules in chains of one's own. It is Apply for many objects at a
// time. What such objects are called is their owner's choice, so that their
// namespaces need not be read before and after every step; the journal is
// written once for all steps, since each of them can be done or undone twice.
//
// A transaction of Make that was cut off is undone by the next Builder, one of
// Unmake is finished.
type Builder struct {
	a *Applier
	m *machine
	j *journal
}

// States of Build in the journal.
const (
	buildMake   = "make"
	buildUnmake = "unmake"
)

// Builder opens the host, takes the lock, and ends what was cut off before.
func (a *Applier) Builder(ctx context.Context) (*Builder, error) {
	m, err := a.open(nil)
	if err != nil {
		return nil, err
	}
	j, err := a.journal(m.inode())
	if err == nil {
		b := &Builder{a, m, j}
		var res Result
		if err = a.recover(ctx, m, j, &res); err == nil {
			return b, nil
		}
		j.close()
	}
	m.close()
	return nil, err
}

// Close lets go of the lock.
func (b *Builder) Close() {
	b.j.close()
	b.m.close()
}

// Host is the namespace that is "the host", for operations.
func (b *Builder) Host() fixups.Where {
	return fixups.Where{ID: b.m.base.Host.Netns, Host: true, Inode: b.m.inode()}
}

// Make carries out operations that make objects, all or none of them.
func (b *Builder) Make(ctx context.Context, id string, ops ...fixups.Op) error {
	return b.MakeThen(ctx, id, nil, ops...)
}

// MakeThen is Make with operations at the end that are made of what undoes the
// others: whoever keeps that in a file has it there in the same transaction.
func (b *Builder) MakeThen(ctx context.Context, id string, then func(undo []fixups.Op) []fixups.Op, ops ...fixups.Op) error {
	steps, err := b.m.planned(ctx, fixups.Flat(ops...))
	if err != nil {
		return err
	}
	if then != nil {
		more, err := b.m.planned(ctx, then(undoing(steps)))
		if err != nil {
			return err
		}
		steps = append(steps, more...)
	}
	e, err := b.make(ctx, id, steps)
	if err != nil || e == nil {
		return err
	}
	if err = b.j.remove(e); err == nil {
		b.m.leave(opsOf(steps))
		return nil
	}
	return b.giveUp(e, err)
}

// Put writes or deletes one file, which needs no journal: there is never half of
// it. It may be called beside everything else.
func (b *Builder) Put(o *fixups.FilePut) error { return b.m.putFile(o) }

// make carries out the steps; the entry stays open. nil: there is nothing to do.
func (b *Builder) make(ctx context.Context, id string, steps []*step) (*entry, error) {
	if len(steps) == 0 {
		return nil, nil
	}
	e := b.entry(id, buildMake, undoable(steps))
	if err := b.j.write(e); err != nil {
		return nil, kind("writing the journal", err)
	}
	err := b.a.failpoint("begin")
	b.m.expectPlain(opsOf(steps))
	done := 0
	for err == nil && done < len(steps) {
		if err = ctx.Err(); err != nil {
			break
		}
		n := group(steps, done)
		if err = b.a.failpoint("step %d before", done+1); err == nil {
			if err = b.m.make(ctx, steps[done:done+n]); err != nil {
				err = fmt.Errorf("%s: %w", describe(steps[done:done+n]), err)
			}
		}
		if err == nil {
			done += n
			err = b.a.failpoint("step %d applied", done)
		}
	}
	if err == nil {
		err = b.a.failpoint("commit")
	}
	if err != nil {
		return nil, b.giveUp(e, err)
	}
	return e, nil
}

// giveUp undoes what was begun, and gives the error for it.
func (b *Builder) giveUp(e *entry, err error) error {
	if left := b.a.unbuild(b.m, b.j, e); len(left) > 0 {
		return fmt.Errorf("%w (%w: %s)", err, ErrIncomplete, left[0])
	}
	return fmt.Errorf("%w (%w)", err, ErrRolledBack)
}

// Unmake takes objects away; what is not there any more is no error. It goes on
// after one that can't be taken away, and names the first of them.
func (b *Builder) Unmake(ctx context.Context, id string, ops ...fixups.Op) error {
	var steps []*step
	for _, op := range fixups.Flat(ops...) {
		steps = append(steps, &step{Op: fixups.Ops{op}, Text: op.Describe(), State: stepPlanned})
	}
	if len(steps) == 0 {
		return nil
	}
	e := b.entry(id, buildUnmake, steps)
	if err := b.j.write(e); err != nil {
		return kind("writing the journal", err)
	}
	if err := b.a.failpoint("begin"); err != nil {
		return err
	}
	return b.a.finish(ctx, b.m, b.j, e)
}

func (b *Builder) entry(id, how string, steps []*step) *entry {
	now := time.Now()
	return &entry{ID: b.j.newID(now), Fix: id, At: now.UTC(), State: stateOpen, Boot: bootID(), Host: b.m.inode(), Cookie: b.m.cookie, Build: how, Steps: steps}
}

// undoable is what the journal has of Make's steps, which are undone or done, and
// never done again: what undoes them, and none of those that go with what others
// made.
func undoable(steps []*step) []*step {
	var out []*step
	for _, s := range steps {
		if len(s.Undo) > 0 {
			out = append(out, &step{Undo: s.Undo, Text: s.Text, State: s.State})
		}
	}
	return out
}

func undoing(steps []*step) []fixups.Op {
	var out []fixups.Op
	for _, st := range slices.Backward(steps) {
		out = append(out, st.Undo...)
	}
	return out
}

// finish carries out the steps of Unmake.
func (a *Applier) finish(ctx context.Context, m *machine, j *journal, e *entry) error {
	var first error
	for at := 0; at < len(e.Steps); {
		n := group(e.Steps, at)
		if err := a.failpoint("step %d before", at+1); err != nil {
			return err
		}
		if err := m.unmake(ctx, opsOf(e.Steps[at:at+n])); err != nil && first == nil {
			first = fmt.Errorf("%s: %w", describe(e.Steps[at:at+n]), err)
		}
		at += n
		if err := a.failpoint("step %d applied", at); err != nil {
			return err
		}
	}
	if err := a.failpoint("commit"); err != nil {
		return err
	}
	return errors.Join(first, j.remove(e))
}

// unbuild undoes what Make did, or may have done, and says what is left.
func (a *Applier) unbuild(m *machine, j *journal, e *entry) (left []string) {
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()
	undo := undoing(e.Steps)
	for at := 0; at < len(undo); {
		n := groupOps(undo[at:])
		err := a.failpoint("undo %d before", at+1)
		if err == nil {
			err = m.unmake(ctx, undo[at:at+n])
		}
		if err != nil {
			left = append(left, fmt.Sprintf("%s: %v", undo[at].Describe(), err))
		}
		at += n
	}
	if len(left) > 0 {
		e.State, e.Left = stateStuck, left
		if err := j.write(e); err != nil {
			left = append(left, err.Error())
		}
		return left
	}
	if err := j.remove(e); err != nil && !errors.Is(err, fs.ErrNotExist) {
		left = append(left, err.Error())
	}
	return left
}

// rebuild ends a transaction that was cut off.
func (a *Applier) rebuild(ctx context.Context, m *machine, j *journal, e *entry) []string {
	if e.Boot != bootID() { // the kernel forgot; files below Root of a /run did, too
		e.Steps = slices.DeleteFunc(e.Steps, func(s *step) bool { _, file := append(s.Op, s.Undo...)[0].(*fixups.FilePut); return !file })
	}
	if e.Build == buildUnmake {
		if err := a.finish(ctx, m, j, e); err != nil {
			return []string{err.Error()}
		}
		return nil
	}
	return a.unbuild(m, j, e)
}

func opsOf(steps []*step) []fixups.Op {
	out := make([]fixups.Op, len(steps))
	for i, s := range steps {
		out[i] = s.Op[0]
	}
	return out
}

func describe(steps []*step) string {
	if len(steps) == 1 {
		return steps[0].Text
	}
	return fmt.Sprintf("%s, and %d more", steps[0].Text, len(steps)-1)
}

// group is how many steps from at on are one batch of nf_tables.
func group(steps []*step, at int) int { return groupOps(opsOf(steps[at:])) }

func groupOps(ops []fixups.Op) int {
	if !batched(ops[0]) {
		n := 1
		for _, is := ops[0].(*fixups.SysctlSet); is && n < len(ops) && ops[n].Netns() == ops[0].Netns(); n++ {
			_, is = ops[n].(*fixups.SysctlSet)
			if !is {
				break
			}
		}
		return n
	}
	n := 1
	for n < len(ops) && batched(ops[n]) && refOf(ops[n]).ID == refOf(ops[0]).ID {
		n++
	}
	return n
}

// batched says whether an operation is one of nf_tables: all of them in a row
// happen, or none.
func batched(op fixups.Op) bool {
	return ruleOp(op) && refOf(op).System != snap.IPTablesLegacy
}
