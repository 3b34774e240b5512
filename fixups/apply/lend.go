package apply

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Lend makes objects for a moment. Until they are given back the transaction is
// an open one: the next run takes away what a run that was killed has left.
func (b *Builder) Lend(ctx context.Context, id string, ops ...fixups.Op) (giveBack func() error, err error) {
	steps, err := b.m.planned(ctx, fixups.Flat(ops...))
	if err != nil {
		return nil, err
	}
	e, err := b.make(ctx, id, steps)
	if err != nil {
		return nil, err
	}
	return func() error {
		if e == nil {
			return nil
		}
		if left := b.a.unbuild(b.m, b.j, e); len(left) > 0 {
			return fmt.Errorf("%w: %s", ErrIncomplete, left[0])
		}
		return nil
	}, nil
}

// Reclaim takes away what runs that were killed had lent under that ID, and
// nothing else. It gives what that was. Another run that is at work is not
// waited for: what is open then is its own.
func (a *Applier) Reclaim(ctx context.Context, id string) ([]Entry, error) {
	dir, err := a.dir()
	if err != nil {
		return nil, err
	}
	list, err := readOpen(dir, id)
	if err != nil {
		return nil, err
	}
	lent := func(e *entry) bool {
		return e.State == stateOpen && e.Build == buildMake && e.Fix == id && e.unread == nil
	}
	if !slices.ContainsFunc(list, lent) {
		return nil, nil
	}
	m, err := a.open(nil)
	if err != nil {
		return nil, err
	}
	defer m.close()
	try := *a
	try.LockWait = time.Nanosecond
	j, err := try.journal(m.inode())
	if errors.Is(err, snap.ErrTimeout) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer j.close()
	if list, err = readOpen(dir, id); err != nil { // nobody else changes it from here on
		return nil, err
	}
	var out []Entry
	for _, e := range list {
		if !lent(e) || m.key().elsewhere(e) {
			continue
		}
		if left := a.rebuild(ctx, m, j, e); len(left) > 0 {
			return out, fmt.Errorf("an earlier run was cut off, and ending %s: %w: %s", e.ID, ErrIncomplete, left[0])
		}
		out = append(out, e.public())
	}
	return out, nil
}

// readOpen reads the open transactions of a journal of that ID. Files that can't be
// read are left out: a newer program's, which will look for its own. Every run does
// this, and a journal may be long: most files are only searched for the two words.
func readOpen(dir, id string) ([]*entry, error) {
	ids, err := entryIDs(dir)
	if err != nil {
		return nil, err
	}
	var out []*entry
	for _, file := range ids {
		b, err := entryFile(filepath.Join(dir, file+".json"))
		if err != nil || !bytes.Contains(b, []byte(`"`+stateOpen+`"`)) || !bytes.Contains(b, []byte(`"`+id+`"`)) {
			continue
		}
		if e, err := parseEntry(b); err == nil && e.State == stateOpen {
			out = append(out, e)
		}
	}
	return out, nil
}
