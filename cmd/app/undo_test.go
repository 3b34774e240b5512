package app

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ledger is a Changer that only remembers.
type ledger struct{ all []Transaction }

func (*ledger) Apply(context.Context, *snap.Snapshot, Tx) (Applied, error) { return Applied{}, nil }

func (l *ledger) List(context.Context) ([]Transaction, error) { return l.all, nil }

func (l *ledger) Undo(_ context.Context, id string) (Transaction, []string, error) {
	for i := len(l.all) - 1; i >= 0; i-- {
		if t := &l.all[i]; t.State == "done" && (id == "" || id == t.ID) {
			t.State = "undone"
			return *t, nil, nil
		}
	}
	return Transaction{}, nil, snap.ErrNotFound
}

// TestUndoPutsBackTheWholeRun: what one run of fix changed goes together, the last
// change first; a transaction that is named goes alone.
func TestUndoPutsBackTheWholeRun(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, id string
		want     []string
	}{
		{"the last run", "", []string{"c", "b"}},
		{"one of it", "b", []string{"b"}},
		{"an older one", "a", []string{"a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := &ledger{}
			at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
			for i, x := range []Transaction{{ID: "a", Run: "1"}, {ID: "b", Run: "2"}, {ID: "c", Run: "2"}} {
				x.At, x.State, x.Detail = at.Add(time.Duration(i)*time.Second), "done", []string{x.ID}
				l.all = append(l.all, x)
			}
			a := &App{Changer: l}
			res, err := a.Undo(t.Context(), tt.id)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, []string(res.Done)); d != "" {
				t.Errorf("put back (-want +got)\n%s", d)
			}
		})
	}
}
