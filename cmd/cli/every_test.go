package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/inspect"
	"github.com/netdoctor/netdoctor/inspect/diag/checks"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestEvery: the question is put again and again, only what is new is told, and
// Ctrl-C ends it.
func TestEvery(t *testing.T) {
	t.Parallel()
	var states []*snap.Snapshot
	for _, f := range []string{"docker20.ndsnap", "docker20.ndsnap", "docker20-no-masquerade.ndsnap", "docker20-no-masquerade.ndsnap", "docker20.ndsnap"} {
		s, err := inspect.ReadFile("testdata/" + f)
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, s)
	}
	for _, c := range []struct {
		name string
		args string
		code int
		want []string // of each line
	}{
		{"interrupted", "check --every 100ms -o ndjson --no-probe", exitInterrupt, []string{`"verdict":"healthy"`, `"verdict":"problems"`, `"verdict":"healthy"`}},
		{"in the time given", "check --every 100ms --for 1h -o ndjson --no-probe", exitInterrupt, []string{`"verdict":"healthy"`, `"verdict":"problems"`, `"verdict":"healthy"`}},
		{"a time that is over", "check --every 1h --for 3s -o ndjson --no-probe", exitOK, []string{`"verdict":"healthy"`}},
		{"too often", "check --every 1ms -o ndjson", exitUsage, nil},
		{"of a file", "check --every 1s -o ndjson --snapshot testdata/docker20.ndsnap", exitUsage, nil},
		{"as one document", "check --every 1s -o json", exitUsage, nil},
		{"for how long of nothing", "check --for 1s", exitUsage, nil},
		{"all ways", "probe --all --every 100ms -o ndjson --no-probe", exitInterrupt, []string{`"kind":"ProbeResult"`, `"kind":"ProbeResult"`, `"kind":"ProbeResult"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			n := 0
			a := &app.App{Checks: checks.All(), Open: app.New().Open, Load: inspect.Load, Read: func(context.Context, app.ReadOptions) (*snap.Snapshot, error) {
				if n == len(states) {
					cancel()
					return nil, ctx.Err()
				}
				n++
				return states[n-1], nil
			}}
			var out, errs bytes.Buffer
			code := Run(ctx, &Env{Args: strings.Fields(c.args), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }, App: a})
			if code != c.code {
				t.Errorf("exit code %d, want %d: %s", code, c.code, errs.String())
			}
			lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
			if out.Len() == 0 {
				lines = nil
			}
			if len(lines) != len(c.want) {
				t.Fatalf("%d lines, want %d: %.200s", len(lines), len(c.want), lines)
			}
			for i := range lines {
				if !strings.Contains(lines[i], c.want[i]) {
					t.Errorf("line %d has no %s: %.300s", i+1, c.want[i], lines[i])
				}
			}
		})
	}
}
