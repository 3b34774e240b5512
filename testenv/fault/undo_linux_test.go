package fault_test

import (
	"flag"
	"os"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/cmd/app"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/fault"
	"github.com/netdoctor/netdoctor/testenv/lab"
	"github.com/netdoctor/netdoctor/testenv/labtest"
)

// Threads that enter namespaces are thrown away: none may be the main one.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	lab.Child()
	flag.Parse()
	os.Exit(m.Run())
}

// TestFixAndUndo breaks a real host with every fault, and holds three promises
// against the kernel: what fix changes is what its dry run said, line by line;
// what suffered is well afterwards; undo gives back the very state before.
func TestFixAndUndo(t *testing.T) {
	for _, f := range fault.All() {
		t.Run(f.Name, func(t *testing.T) {
			if h := alone(t); h != nil {
				fixAndUndo(t, h, f)
			}
		})
	}
}

func fixAndUndo(t *testing.T, h *host, f fault.Fault) {
	t.Helper()
	healthy := h.read()
	ops, err := f.Break(healthy, "")
	if err != nil {
		t.Fatal(err)
	}
	h.do(healthy, ops...)
	broken := h.read()
	said := promised(t, h.app, broken)
	if said == nil {
		t.Skipf("%s has no fix, only advice", f.Name)
	}
	fix := func() *v1.FixResult {
		t.Helper()
		plans := 0
		r, err := h.app.Fix(t.Context(), app.FixOptions{Confirm: func(*v1.FixPlan) (bool, error) {
			plans++
			return plans == 1, nil // what comes to light by the change is another plan
		}})
		if err != nil {
			t.Fatalf("fix: %v", err)
		}
		res, ok := r.(*v1.FixResult)
		if !ok || !res.Applied || len(res.Transactions) == 0 {
			t.Fatalf("fix gave %T: %+v", r, res)
		}
		return res
	}
	res := fix()
	// What the kernel forgot when the uplink went down, its default route, is
	// not known: the change helps, and does not suffice.
	if suffices := f.Name != "uplink-down"; res.Verified != suffices {
		t.Errorf("verified %v: %s", res.Verified, res.Error)
	}
	if diff := cmp.Diff(labtest.State(t, said), labtest.State(t, h.read())); diff != "" {
		t.Errorf("the dry run said otherwise than what was done (-said +done)\n%s", diff)
	}
	done := res.Transactions
	if !res.Verified { // now that it is up, who the router is can be found
		if res = fix(); !res.Verified {
			t.Errorf("once more: %s", res.Error)
		}
		done = append(done, res.Transactions...)
	}
	for _, id := range slices.Backward(done) {
		if u, err := h.app.Undo(t.Context(), id); err != nil || len(u.Left) > 0 {
			t.Fatalf("undo %s: %v, left %v", id, err, u)
		}
	}
	if diff := cmp.Diff(labtest.State(t, broken), labtest.State(t, h.read())); diff != "" {
		t.Errorf("undo left something (-before +after)\n%s", diff)
	}
}

// promised is the snapshot as the plan of fix would leave it; nil when there is
// nothing to change.
func promised(t *testing.T, a *app.App, s *snap.Snapshot) *snap.Snapshot {
	t.Helper()
	out := s.Clone()
	changes := 0
	for _, f := range diag.Run(diag.Build(s, nil, diag.Options{}), a.Checks).Findings {
		if f.Fix == nil || f.Severity == diag.Info {
			continue
		}
		for _, op := range f.Fix.Ops {
			changes++
			if err := op.On(out); err != nil {
				t.Fatalf("%s: %v", op.Describe(), err)
			}
		}
	}
	if changes == 0 {
		return nil
	}
	return out
}
