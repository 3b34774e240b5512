package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Undo puts back what a fix changed: all of the last run, the last change first,
// or the one transaction of that ID. A result without a transaction says that there
// is nothing to undo.
func (a *App) Undo(ctx context.Context, id string) (*v1.UndoResult, error) {
	start := a.now()
	if a.Changer == nil {
		return nil, fmt.Errorf("changing this machine: %w", snap.ErrUnsupported)
	}
	a.waiting("putting back")
	t, left, err := a.Changer.Undo(ctx, id)
	a.waiting("")
	if id == "" && errors.Is(err, snap.ErrNotFound) && len(left) == 0 {
		return &v1.UndoResult{Head: a.head(v1.KindUndo, start)}, nil // nothing is wrong with that
	}
	if err != nil && id != "" && errors.Is(err, snap.ErrNotFound) && len(left) == 0 {
		return nil, badFile{err} // no such transaction, or none to undo any more: a wrong argument
	}
	if err != nil && len(left) == 0 {
		return nil, err
	}
	res := &v1.UndoResult{Transaction: t.ID, Done: t.Detail, Left: left}
	if id == "" && t.Run != "" && err == nil {
		err = a.undoRun(ctx, t, res)
	}
	res.Head = a.head(v1.KindUndo, start)
	return res, err
}

// undoRun puts back what else was changed by the run of the transaction that was
// put back just now.
func (a *App) undoRun(ctx context.Context, last Transaction, res *v1.UndoResult) error {
	all, err := a.Changer.List(ctx)
	if err != nil {
		return err
	}
	snap.Sort(all, func(x, y Transaction) int { return y.At.Compare(x.At) })
	for _, t := range all {
		if t.Run != last.Run || t.ID == last.ID || t.State != "done" {
			continue
		}
		done, left, err := a.Changer.Undo(ctx, t.ID)
		res.Transaction += ", " + t.ID
		res.Done, res.Left = append(res.Done, done.Detail...), append(res.Left, left...)
		if err != nil {
			return err
		}
	}
	return nil
}

// Journal lists what was changed.
func (a *App) Journal(ctx context.Context) (*v1.ListResult, error) {
	start := a.now()
	if a.Changer == nil {
		return nil, fmt.Errorf("reading the journal: %w", snap.ErrUnsupported)
	}
	all, err := a.Changer.List(ctx)
	if err != nil {
		return nil, err
	}
	res := &v1.ListResult{Of: "transactions"}
	others := 0
	for _, t := range all {
		if t.Elsewhere {
			others++
			continue
		}
		if t.Past && t.State == "done" {
			t.State = "past"
		}
		res.Items = append(res.Items, v1.Item{
			Kind: "transaction", Name: strings.Join(t.Fixes, ", "), ID: t.ID, State: t.State, Steps: t.Detail,
			Detail: strings.TrimSpace(t.At.UTC().Format(time.RFC3339) + " " + strings.Join(t.Detail, "; ")),
		})
	}
	if others > 0 {
		a.note("%d more were made for other network namespaces, where undo finds them", others)
	}
	res.Head = a.head(v1.KindList, start)
	return res, nil
}
