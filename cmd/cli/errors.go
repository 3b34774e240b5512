package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/cmd/render"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// The exit codes; see netdoctor help exit-codes.
const (
	exitOK         = 0
	exitProblem    = 1
	exitUsage      = 2
	exitUnknown    = 3
	exitPending    = 4
	exitRolledBack = 5
	exitLeft       = 6
	exitInterrupt  = 130
)

// exitOfError is the code of an error. What can't be told apart could not be
// determined.
func exitOfError(err error) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, app.ErrRollbackIncomplete):
		return exitLeft
	case errors.Is(err, app.ErrRolledBack):
		return exitRolledBack
	case errors.Is(err, context.Canceled):
		return exitInterrupt
	case errors.Is(err, app.ErrPending):
		return exitPending
	case errors.Is(err, app.ErrUsage):
		return exitUsage
	}
	return exitUnknown
}

// exitOfResult is the code of an answer.
func exitOfResult(r v1.Result, bar diag.Severity) int {
	failing := app.AnyFailing(r.Found().Findings, bar)
	switch v := r.(type) {
	case *v1.CheckResult:
		return exitOfVerdict(v.Verdict, failing)
	case *v1.TraceResult:
		return exitOfVerdict(v.Verdict, failing)
	case *v1.TraceSetResult:
		return exitOfVerdict(v.Verdict, failing)
	case *v1.ProbeResult:
		return exitOfVerdict(v.Verdict, failing)
	case *v1.DNSResult:
		return exitOfVerdict(v.Verdict, failing)
	case *v1.DNSSetResult:
		return exitOfVerdict(v.Verdict, failing)
	case *v1.TestResult:
		return exitOfVerdict(v.Verdict, false)
	case *v1.DiffResult:
		broke := len(v.Broke) > 0 || slices.ContainsFunc(v.Changes, func(c v1.Difference) bool { return len(c.Broke) > 0 })
		return problemIf(failing || broke)
	case *v1.FixPlan:
		if v.Pending {
			return exitPending
		}
		return problemIf(failing)
	case *v1.FixResult:
		return problemIf(v.Applied && !v.Verified)
	case *v1.SetupResult:
		return problemIf(len(v.Drift) > 0)
	}
	return exitOK
}

// exitOfVerdict is the code of an answer that is one word; failing says that there
// are findings at or above the bar beside it.
func exitOfVerdict(verdict string, failing bool) int {
	switch {
	case verdict == "unknown" && !failing:
		return exitUnknown
	case verdict == "healthy", !failing && (verdict == "delivered" || verdict == "resolved" || verdict == "passed"):
		return exitOK
	}
	return exitProblem
}

func problemIf(b bool) int {
	if b {
		return exitProblem
	}
	return exitOK
}

// report writes an error and its hint on stderr, the one place that does.
func report(e *Env, err error) {
	if err == nil || errors.Is(err, errSilent) {
		return
	}
	text := err.Error()
	if errors.Is(err, context.Canceled) {
		text = "interrupted"
	}
	fmt.Fprintf(e.Stderr, "netdoctor: error: %s\n", oneLine(text)) //nolint:errcheck // nobody is left to tell
	if h := snap.HintOf(err); h != "" {
		fmt.Fprintf(e.Stderr, "netdoctor: hint: %s\n", oneLine(h)) //nolint:errcheck // nobody is left to tell
	}
}

// oneLine is an error's text on one line: joined errors stand on several.
func oneLine(t string) string {
	return render.Clean(strings.Join(strings.Split(t, "\n"), "; "))
}

// errSilent ends a command whose answer was shown and says it all.
var errSilent = errors.New("")
