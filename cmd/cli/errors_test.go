package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/cmd/app"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

func TestExitCodesOfErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want int
	}{
		"none":                            {nil, 0},
		"usage":                           {app.Usagef("no"), 2},
		"usage, hinted and wrapped":       {fmt.Errorf("x: %w", snap.Hint(app.Usagef("no"), "do")), 2},
		"permission":                      {fmt.Errorf("x: %w", snap.ErrPermission), 3},
		"unsupported":                     {snap.ErrUnsupported, 3},
		"timeout":                         {snap.ErrTimeout, 3},
		"anything else":                   {errors.New("odd"), 3},
		"pending":                         {app.ErrPending, 4},
		"rolled back":                     {errors.Join(app.ErrRolledBack, snap.ErrPermission), 5},
		"something left":                  {errors.Join(app.ErrRollbackIncomplete, app.ErrRolledBack), 6},
		"interrupted":                     {fmt.Errorf("reading: %w", context.Canceled), 130},
		"interrupted while rolling back":  {errors.Join(app.ErrRolledBack, context.Canceled), 5},
		"interrupted with something left": {errors.Join(context.Canceled, app.ErrRollbackIncomplete), 6},
	} {
		if got := exitOfError(c.err); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}

func TestExitCodesOfResults(t *testing.T) {
	t.Parallel()
	with := func(severities ...string) v1.Tail {
		var tail v1.Tail
		for _, s := range severities {
			tail.Findings = append(tail.Findings, v1.Finding{Severity: s})
		}
		return tail
	}
	for name, c := range map[string]struct {
		r    v1.Result
		bar  diag.Severity
		want int
	}{
		"healthy":                              {&v1.CheckResult{Verdict: "healthy"}, diag.Error, 0},
		"healthy with remarks":                 {&v1.CheckResult{Verdict: "healthy", Tail: with("info", "warning")}, diag.Error, 0},
		"problems":                             {&v1.CheckResult{Verdict: "problems", Tail: with("error")}, diag.Error, 1},
		"a warning where warnings count":       {&v1.CheckResult{Verdict: "problems", Tail: with("warning")}, diag.Warning, 1},
		"not everything read":                  {&v1.CheckResult{Verdict: "unknown"}, diag.Error, 3},
		"delivered":                            {&v1.TraceResult{Verdict: "delivered"}, diag.Error, 0},
		"delivered, but something is wrong":    {&v1.TraceResult{Verdict: "delivered", Tail: with("error")}, diag.Error, 1},
		"delivered, and something is odd":      {&v1.TraceResult{Verdict: "delivered", Tail: with("warning")}, diag.Error, 0},
		"dropped":                              {&v1.TraceResult{Verdict: "dropped"}, diag.Error, 1},
		"refused":                              {&v1.TraceResult{Verdict: "refused"}, diag.Error, 1},
		"unknown":                              {&v1.TraceResult{Verdict: "unknown"}, diag.Error, 3},
		"unknown, but a cause was found":       {&v1.TraceResult{Verdict: "unknown", Tail: with("error")}, diag.Error, 1},
		"all that a source needs is there":     {&v1.TraceSetResult{Verdict: "delivered"}, diag.Error, 0},
		"a name resolves":                      {&v1.DNSResult{Verdict: "resolved"}, diag.Error, 0},
		"a name does not":                      {&v1.DNSResult{Verdict: "nxdomain"}, diag.Error, 1},
		"a name has nothing of that type":      {&v1.DNSResult{Verdict: "nodata"}, diag.Error, 1},
		"a name can't be told":                 {&v1.DNSSetResult{Verdict: "unknown"}, diag.Error, 3},
		"changes are pending":                  {&v1.FixPlan{Pending: true, Tail: with("error")}, diag.Error, 4},
		"nothing to change":                    {&v1.FixPlan{}, diag.Error, 0},
		"only a person can mend it":            {&v1.FixPlan{Tail: with("error")}, diag.Error, 1},
		"mended":                               {&v1.FixResult{Verified: true}, diag.Error, 0},
		"a list is an answer, whatever it has": {&v1.ListResult{}, diag.Error, 0},
	} {
		if got := exitOfResult(c.r, c.bar); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}

func TestErrorsAreOneLineEach(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.New("plain"), "netdoctor: error: plain\n"},
		{snap.Hint(errors.New("x"), "do y"), "netdoctor: error: x\nnetdoctor: hint: do y\n"},
		{errors.Join(errors.New("a"), errors.New("b\x1b[2J")), "netdoctor: error: a; b\\x1b[2J\n"},
		{fmt.Errorf("deep: %w", context.Canceled), "netdoctor: error: interrupted\n"},
		{nil, ""},
	} {
		var b bytes.Buffer
		report(&Env{Stderr: &b}, c.err)
		if d := cmp.Diff(c.want, b.String()); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
	}
}

func TestUTF8Locale(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		env  map[string]string
		want bool
	}{
		{nil, false},
		{map[string]string{"LANG": "C.UTF-8"}, true},
		{map[string]string{"LANG": "de_DE.utf8"}, true},
		{map[string]string{"LANG": "de_DE.UTF-8", "LC_ALL": "C"}, false},
		{map[string]string{"LANG": "C", "LC_CTYPE": "en_US.UTF-8"}, true},
	} {
		if got := utf8Locale(func(k string) string { return c.env[k] }); got != c.want {
			t.Errorf("%v: got %v", c.env, got)
		}
	}
}
