package cli

import (
	"context"
	"errors"
	"fmt"
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
	failing := false
	for _, f := range r.Found().Findings {
		failing = failing || app.Failing(f.Severity, bar)
	}
	var verdict string
	switch v := r.(type) {
	case *v1.CheckResult:
		verdict = v.Verdict
	case *v1.TraceResult:
		verdict = v.Verdict
	case *v1.TraceSetResult:
		verdict = v.Verdict
	case *v1.ProbeResult:
		verdict = v.Verdict
	case *v1.DNSResult:
		verdict = v.Verdict
	case *v1.DNSSetResult:
		verdict = v.Verdict
	case *v1.DiffResult:
		broke := len(v.Broke) > 0
		for i := range v.Changes {
			broke = broke || len(v.Changes[i].Broke) > 0
		}
		if broke || failing {
			return exitProblem
		}
		return exitOK
	case *v1.TestResult:
		switch v.Verdict {
		case "passed":
			return exitOK
		case "unknown":
			return exitUnknown
		}
		return exitProblem
	case *v1.FixPlan:
		if v.Pending {
			return exitPending
		}
		if failing {
			return exitProblem
		}
		return exitOK
	case *v1.FixResult:
		if v.Applied && !v.Verified {
			return exitProblem
		}
		return exitOK
	case *v1.SetupResult:
		if len(v.Drift) > 0 {
			return exitProblem
		}
		return exitOK
	default:
		return exitOK
	}
	switch {
	case verdict == "unknown" && !failing:
		return exitUnknown
	case verdict == "healthy", !failing && (verdict == "delivered" || verdict == "resolved"):
		return exitOK
	}
	return exitProblem
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
