package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/inspect/diag/checks"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestOnTheRootlessHostOnlyOurNetworksCount: the machine's engines have their sockets
// and files there, and run nothing on it.
func TestOnTheRootlessHostOnlyOurNetworksCount(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, inside, want string }{
		{"ls --rootless", "1", "netdoctor"},
		{"ls", "1", "netdoctor"},
		{"ls --runtime podman", "1", "podman"},
		{"ls", "", ""},
	} {
		got := "not read"
		a := &app.App{Checks: checks.All(), Read: func(_ context.Context, o app.ReadOptions) (*snap.Snapshot, error) {
			got = o.Runtime
			return &snap.Snapshot{}, nil
		}}
		var out, errs bytes.Buffer
		env := &Env{Args: strings.Fields(c.args), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, App: a, Getenv: func(k string) string {
			if k == "NETDOCTOR_ROOTLESS" {
				return c.inside
			}
			return ""
		}}
		if code := Run(t.Context(), env); code != exitOK || got != c.want {
			t.Errorf("%q with NETDOCTOR_ROOTLESS=%q: exit code %d, %sasked for %q, want %q", c.args, c.inside, code, errs.String(), got, c.want)
		}
	}
}
