package fault_test

import (
	"testing"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/fixups/apply"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/lab"
)

// host is the default lab, of one test alone. The applier's journal is not the
// app's: what a test does to the host is not the doctor's to undo.
type host struct {
	t       *testing.T
	app     *app.App
	applier *apply.Applier
}

// alone runs the test in a process and a lab of its own. It is nil in the process
// that only waits for that one: the caller returns then.
func alone(t *testing.T) *host {
	t.Helper()
	if !lab.Inside() { // inside, t.Setenv allows no t.Parallel
		t.Parallel()
	}
	if !lab.Alone(t) {
		return nil
	}
	lab.New(t, lab.Default())
	t.Setenv("NETDOCTOR_JOURNAL", t.TempDir()) // app.New looks at it
	return &host{t, app.New(), &apply.Applier{Dir: t.TempDir()}}
}

// read is the host as it is now.
func (h *host) read() *snap.Snapshot {
	h.t.Helper()
	s, err := h.app.Read(h.t.Context(), app.ReadOptions{})
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// do applies operations, and gives the transaction's id. None is made of operations
// that change nothing: a test that goes on from there would prove nothing.
func (h *host) do(s *snap.Snapshot, ops ...fixups.Op) string {
	h.t.Helper()
	res, err := h.applier.Apply(h.t.Context(), s, apply.Tx{Ops: ops})
	if err != nil {
		h.t.Fatal(err)
	}
	if len(res.Transactions) != 1 {
		h.t.Fatalf("not one transaction: %+v", res)
	}
	return res.Transactions[0]
}

// undo takes back what do did, and gives what could not be put back.
func (h *host) undo(id string) []string {
	h.t.Helper()
	e, err := h.applier.Undo(h.t.Context(), id)
	if err != nil {
		h.t.Fatalf("undo %s: %v", id, err)
	}
	return e.Left
}
