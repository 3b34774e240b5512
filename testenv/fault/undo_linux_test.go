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
	"github.com/netdoctor/netdoctor/fixups/apply"
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
			if !lab.Inside() {
				t.Parallel()
			}
			if lab.Alone(t) {
				fixAndUndo(t, f)
			}
		})
	}
}

func fixAndUndo(t *testing.T, f fault.Fault) {
	t.Helper()
	lab.New(t, lab.Default())
	t.Setenv("NETDOCTOR_JOURNAL", t.TempDir())
	a := app.New()
	read := func() *snap.Snapshot {
		t.Helper()
		s, err := a.Read(t.Context(), app.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	healthy := read()
	ops, err := f.Break(healthy, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&apply.Applier{Dir: t.TempDir()}).Apply(t.Context(), healthy, apply.Tx{ID: "break", Ops: ops}); err != nil {
		t.Fatal(err)
	}
	broken := read()
	said := promised(t, a, broken)
	if said == nil {
		t.Skipf("%s has no fix, only advice", f.Name)
	}
	fix := func() *v1.FixResult {
		t.Helper()
		plans := 0
		r, err := a.Fix(t.Context(), app.FixOptions{Confirm: func(*v1.FixPlan) (bool, error) {
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
	if diff := cmp.Diff(labtest.State(t, said), labtest.State(t, read())); diff != "" {
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
		if u, err := a.Undo(t.Context(), id); err != nil || len(u.Left) > 0 {
			t.Fatalf("undo %s: %v, left %v", id, err, u)
		}
	}
	if diff := cmp.Diff(labtest.State(t, broken), labtest.State(t, read())); diff != "" {
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
