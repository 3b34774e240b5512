package app

import (
	"context"
	"errors"
	"os"

	"github.com/netdoctor/netdoctor/fixups/apply"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// changer is the Changer that changes this machine.
type changer struct{ apply.Applier }

// newChanger writes its journal where NETDOCTOR_JOURNAL says, else at the
// usual place.
func newChanger() Changer {
	return &changer{apply.Applier{Dir: os.Getenv("NETDOCTOR_JOURNAL"), Helper: helper}}
}

// Apply carries out one transaction.
func (c *changer) Apply(ctx context.Context, s *snap.Snapshot, tx Tx) (Applied, error) {
	res, err := c.Applier.Apply(ctx, s, apply.Tx{ID: tx.ID, Run: tx.Run, Ops: tx.Ops})
	out := Applied{Left: res.Left}
	if len(res.Transactions) > 0 {
		out.Transaction = res.Transactions[0]
	}
	return out, kindOfChange(err)
}

// Undo puts back one transaction.
func (c *changer) Undo(ctx context.Context, id string) (Transaction, []string, error) {
	e, err := c.Applier.Undo(ctx, id)
	return transaction(e), e.Left, kindOfChange(err)
}

// List is the journal.
func (c *changer) List(context.Context) ([]Transaction, error) {
	es, err := c.Applier.List()
	out := make([]Transaction, 0, len(es))
	for _, e := range es {
		out = append(out, transaction(e))
	}
	return out, err
}

func transaction(e apply.Entry) Transaction {
	return Transaction{ID: e.ID, Run: e.Run, At: e.At, State: e.State, Fixes: []string{e.Fix}, Detail: e.Detail, Past: e.Past, Elsewhere: e.Elsewhere}
}

// kindOfChange says a failed change in this package's words.
func kindOfChange(err error) error {
	switch {
	case errors.Is(err, apply.ErrIncomplete):
		return errors.Join(ErrRollbackIncomplete, err)
	case errors.Is(err, apply.ErrRolledBack):
		return errors.Join(ErrRolledBack, err)
	}
	return err
}
