// Package apply is the only writer: it carries out the operations of package
// fixups on the kernel, on files and on engines, one transaction at a time.
//
// A transaction is written into a journal before anything is changed, and each
// step before and after it is done, with what undoes it. A step's object must
// be as the snapshot says before the step, and as the step leaves it after; if
// not, everything that was done is undone, last first. A transaction that was
// cut off, by kill -9 or a power failure, is undone by the next run.
package apply

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Errors of a change that was begun. Without one of them nothing was changed.
var (
	// ErrRolledBack: a step failed and everything is as it was before.
	ErrRolledBack = errors.New("rolled back")
	// ErrIncomplete: a step failed and something could not be put back;
	// Result.Left says what.
	ErrIncomplete = errors.New("rollback is incomplete")
	// ErrChanged: the host is no longer as the snapshot says.
	ErrChanged = errors.New("changed since it was read")
)

// Tx is a list of operations that are done or undone together.
type Tx struct {
	ID  string // what it is for: a finding's code
	Run string // what it belongs to: the run of fix that made several; "" nothing
	Ops []fixups.Op
}

// Applier changes a host. The zero value works.
type Applier struct {
	// Dir holds the journal; "": /var/lib/netdoctor/journal, and for an
	// ordinary user netdoctor/journal below $XDG_STATE_HOME or ~/.local/state.
	Dir string
	// Root is where fixups.FilePut and fixups.SandboxAdd may make files; "":
	// nowhere.
	Root string
	// HostNS says which namespace is "the host": a path, or a pid in decimal;
	// "": the one this process is in.
	HostNS string
	// Helper starts or ends the process of networks of our own; nil: it can't be
	// told anything.
	Helper func(ctx context.Context, dir string, start bool) error
	// Log gets every step at level debug; nil: nobody does.
	Log *slog.Logger
	// Failpoint is called with a name at every place where a crash would
	// matter: "begin", "step N before", "step N applied", "step N done",
	// "commit", "undo N before", "undo N applied", "undo N done", "undone" (N
	// from 1). An error of it fails the step; nil: no failpoints.
	Failpoint func(name string) error
	// LockWait is how long to wait for another run to end; 0: 10 s.
	LockWait time.Duration
}

// stepTimeout bounds one step: it is longer than iptables waits for its lock and
// shorter than anybody waits for a tool.
const stepTimeout = 20 * time.Second

// Result is what was done.
type Result struct {
	// Transactions are the IDs for Undo, in order; one for each Tx that changed
	// something and stands.
	Transactions []string
	// Done says in words what was changed and stands, one line a step.
	Done []string
	// Skipped says which steps found their end reached already.
	Skipped []string
	// Left is what a failed rollback left behind.
	Left []string
	// Recovered are the transactions of runs that were cut off, which this one
	// ended.
	Recovered []Entry
}

func (a *Applier) log() *slog.Logger {
	if a.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return a.Log
}

func (a *Applier) failpoint(format string, args ...any) error {
	if a.Failpoint == nil {
		return nil
	}
	return a.Failpoint(fmt.Sprintf(format, args...))
}

// Apply carries out transactions one after another, on the host that the
// snapshot was read from. When one fails it is rolled back and the ones after
// it are not begun; those before it stand. ctx ends the run between two steps;
// the transaction under way is then rolled back, too.
func (a *Applier) Apply(ctx context.Context, s *snap.Snapshot, txs ...Tx) (Result, error) {
	var res Result
	m, err := a.open(s)
	if err != nil {
		return res, err
	}
	defer m.close()
	j, err := a.journal(m.inode())
	if err != nil {
		return res, err
	}
	defer j.close()
	if err := a.recover(ctx, m, j, &res); err != nil {
		return res, err
	}
	for _, tx := range txs {
		if err := a.transaction(ctx, m, j, tx, &res); err != nil {
			return res, err
		}
	}
	return res, nil
}

// transaction does one Tx.
func (a *Applier) transaction(ctx context.Context, m *machine, j *journal, tx Tx, res *Result) error {
	ops := fixups.Flat(tx.Ops...)
	if err := a.preflight(ctx, m, ops); err != nil {
		return err
	}
	now := time.Now()
	e := &entry{ID: j.newID(now), Fix: tx.ID, Run: tx.Run, At: now.UTC(), State: stateOpen, Boot: bootID(), Host: m.inode(), Cookie: m.cookie}
	for _, op := range ops {
		e.Steps = append(e.Steps, &step{Op: fixups.Ops{op}, Text: op.Describe(), State: stepPlanned})
	}
	if err := j.write(e); err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	err := a.failpoint("begin")
	for i := range e.Steps {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			break
		}
		if err = a.step(m, j, e, i); err != nil {
			err = fmt.Errorf("%s: %w", e.Steps[i].Text, err)
		}
	}
	if err == nil {
		err = a.failpoint("commit")
	}
	if err != nil {
		return a.back(m, j, e, res, err)
	}
	changed := false
	for _, st := range e.Steps {
		if st.State == stepSkipped {
			res.Skipped = append(res.Skipped, st.Text)
			continue
		}
		changed = true
		res.Done = append(res.Done, st.Text)
	}
	if !changed {
		return j.remove(e)
	}
	e.State = stateDone
	if err := j.write(e); err != nil {
		return a.back(m, j, e, res, fmt.Errorf("writing the journal: %w", err))
	}
	res.Transactions = append(res.Transactions, e.ID)
	return nil
}

// preflight refuses before the first change what could not be done: an object
// that is no longer as the snapshot says, a program or a right that is missing.
func (a *Applier) preflight(ctx context.Context, m *machine, ops []fixups.Op) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	want := m.base.Clone()
	for _, op := range ops {
		if err := m.can(ctx, op); err != nil {
			return fmt.Errorf("%s: %w", op.Describe(), err)
		}
		now, err := m.look(ctx, op)
		if err != nil {
			return fmt.Errorf("%s: %w", op.Describe(), err)
		}
		if !fixups.SameObject(op, m.base, now) && !fixups.Holds(op, now) {
			return snap.Hint(fmt.Errorf("%s: %w", op.Describe(), ErrChanged), "run it again: it reads the host anew")
		}
		if err := op.On(want); err != nil && !fixups.Holds(op, now) {
			return fmt.Errorf("%s: %w", op.Describe(), err)
		}
	}
	return nil
}

// step does one step. It is not interrupted by the end of the run's context: it
// is finished, or the transaction is rolled back.
func (a *Applier) step(m *machine, j *journal, e *entry, i int) error {
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()
	st := e.Steps[i]
	op := st.Op[0]
	log := a.log().With("tx", e.ID, "step", i+1, "op", op.Kind())
	now, err := m.look(ctx, op)
	if err != nil {
		return err
	}
	if fixups.Holds(op, now) {
		st.State = stepSkipped
		return nil
	}
	op, undo, err := m.prepare(ctx, op, now)
	if err != nil {
		return err
	}
	st.Op, st.Undo, st.State = fixups.Ops{op}, nil, stepStarted
	if undo != nil {
		st.Undo = fixups.Ops(fixups.Flat(undo))
	}
	if st.Before, err = hash(op, now); err != nil {
		return err
	}
	if ruleOp(op) {
		st.Chain = fixups.Prints(chainOf(now, refOf(op)))
	}
	if err := j.write(e); err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	if err := a.failpoint("step %d before", i+1); err != nil {
		return err
	}
	log.Debug("applying", "what", st.Text)
	if err := m.act(ctx, op, now); err != nil {
		return err
	}
	if err := a.failpoint("step %d applied", i+1); err != nil {
		return err
	}
	after, err := m.look(ctx, op)
	if err != nil {
		return err
	}
	if err := learn(st, op, now, after); err != nil {
		return err
	}
	if st.After, err = hash(op, after); err != nil {
		return err
	}
	st.State = stepDone
	m.settle(after)
	if err := j.write(e); err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	return a.failpoint("step %d done", i+1)
}
