package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/inspect"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestWatchEnds: --timeout ends what else goes on until it is interrupted, as it ends
// every other command.
func TestWatchEnds(t *testing.T) {
	t.Parallel()
	s, err := inspect.ReadFile("testdata/docker20.ndsnap")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"watch --timeout 100ms", "watch --for 100ms"} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			a := &app.App{Read: func(context.Context, app.ReadOptions) (*snap.Snapshot, error) { return s.Clone(), nil }}
			var out, errs bytes.Buffer
			code := Run(ctx, &Env{Args: strings.Fields(args), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }, App: a})
			if code != exitOK || ctx.Err() != nil {
				t.Errorf("exit code %d, want %d: %v, %s", code, exitOK, ctx.Err(), errs.String())
			}
		})
	}
}
