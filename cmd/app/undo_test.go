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

// TestJournalIsOfThisHost: what can't be undone from here is left out, or said to be past.
func TestJournalIsOfThisHost(t *testing.T) {
	t.Parallel()
	said := ""
	a := &App{Note: func(s string) { said = s }, Changer: &ledger{all: []Transaction{
		{ID: "a", State: "done", Past: true},
		{ID: "b", State: "done", Elsewhere: true},
		{ID: "c", State: "done", Detail: []string{"one", "two"}},
		{ID: "d", State: "undone", Past: true},
	}}}
	res, err := a.Journal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range res.Items {
		got = append(got, res.Items[i].ID+" "+res.Items[i].State)
	}
	if d := cmp.Diff([]string{"a past", "c done", "d undone"}, got); d != "" {
		t.Errorf("listed (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"one", "two"}, []string(res.Items[1].Steps)); d != "" {
		t.Errorf("steps (-want +got):\n%s", d)
	}
	if want := "1 more were made for other network namespaces, where undo finds them"; said != want {
		t.Errorf("said %q, want %q", said, want)
	}
}
