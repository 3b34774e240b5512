// Package labtest is what tests that need namespaces share: when they skip, and
// how a test gets a network namespace of its own. Tests only.
package labtest

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Lacking ends the test because this machine lacks something: it skips with
// the reason, or fails where ND_LAB=require says that all must run.
func Lacking(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("ND_LAB") == "require" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// Ran fails the test for an error of a host program; one that is only not
// installed is lacking.
func Ran(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, snap.ErrTool) {
		Lacking(t, "%v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Tools says that the test runs these programs.
func Tools(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			Lacking(t, "needs %s: %v", name, err)
		}
	}
}

// pattern selects one test, or one subtest, by its name.
func pattern(name string) string { return "^" + strings.ReplaceAll(name, "/", "$/^") + "$" }
