package mutate

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/testenv"
	"github.com/netdoctor/netdoctor/testenv/driver"
	"github.com/netdoctor/netdoctor/testenv/lab"
	"github.com/netdoctor/netdoctor/testenv/serve"
	"github.com/netdoctor/netdoctor/testenv/spec"
)

// serving turns this process into a container's server when it was started as
// one: "serve tcp:80".
func serving() {
	if len(os.Args) < 3 || os.Args[1] != "serve" {
		return
	}
	fmt.Fprintln(os.Stderr, serve.Forever(os.Args[2:]))
	os.Exit(1)
}

// ours is the set-up of the practice hosts with rules as Docker writes them.
const ours = `
services:
  web: {networks: [app], ports: ["8080:80"], command: [%[1]q, serve, "tcp:80"]}
  db: {networks: {app: {aliases: [database]}}, command: [%[1]q, serve, "tcp:5432"]}
  client: {networks: [app]}
  report: {networks: [data], ports: ["8081:80"], command: [%[1]q, serve, "tcp:80"]}
networks:
  app: {ipam: {config: [{subnet: 172.20.0.0/24}]}, driver_opts: {com.docker.network.bridge.name: br-app}}
  data: {ipam: {config: [{subnet: 172.21.0.0/24}]}, driver_opts: {com.docker.network.bridge.name: br-data}}
`

// practice makes a host for a seed and says which: the lab's own, or one with
// rules as one generation of Docker writes them.
func practice(ctx context.Context, t *testing.T, seed uint64) string {
	t.Helper()
	kinds := []string{"lab"}
	for _, g := range driver.Generations() {
		kinds = append(kinds, string(g))
	}
	kind := kinds[seed%uint64(len(kinds))]
	if *only != "" {
		kind = *only
	}
	if !slices.Contains(kinds, kind) {
		t.Fatalf("no practice host %q: there are %v", kind, kinds)
	}
	if kind == "lab" {
		lab.New(t, lab.Default())
		return kind
	}
	lab.New(t, lab.Spec{})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	sp, err := spec.Parse(strings.NewReader(fmt.Sprintf(ours, self)))
	if err != nil {
		t.Fatal(err)
	}
	h := &testenv.Host{}
	t.Cleanup(func() { end(h) })
	if _, err := h.Up(ctx, sp, testenv.UpOptions{Options: testenv.Options{Like: driver.Generation(kind)}}); err != nil {
		t.Fatal(err)
	}
	return kind
}

// end takes the set-up away; where a mutation took what that needs, its processes
// are ended all the same: the namespaces go with them.
func end(h *testenv.Host) {
	var pids []int
	if st, err := h.Status(); err == nil && st != nil {
		pids = append(pids, st.Env.Helper.PID)
		for i := range st.Containers {
			pids = append(pids, st.Containers[i].Ctr.PID)
		}
	}
	if _, err := h.Down(context.Background(), false); err == nil {
		return
	}
	for _, pid := range pids {
		if pid > 1 {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
		}
	}
}

// onThis mutates the host that this runs on, one seed after another, and takes
// each back. It ends at the first seed after which the host is not as before:
// who runs this makes the host anew, and goes on behind that.
func onThis(t *testing.T, first, last uint64) {
	t.Helper()
	t.Setenv("NETDOCTOR_JOURNAL", t.TempDir())
	for seed := first; seed <= last; seed++ {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		start := time.Now()
		tr := &trial{t: t, app: app.New(), res: &Result{Seed: seed, Host: "here"}}
		tr.healthy = tr.read(ctx)
		tr.run(ctx, seed, *many, true)
		if tr.res.Skipped == "" {
			for _, m := range slices.Backward(tr.list) {
				if err := tr.sh(ctx, m.Netns, m.Undo); err != nil {
					tr.res.Dirty += err.Error() + "\n"
				}
			}
		}
		tr.forget(ctx)
		if d := differ(tr.state(tr.healthy), tr.state(tr.read(ctx))); d != "same" {
			tr.res.Dirty += d
		}
		tr.res.Millis = time.Since(start).Milliseconds()
		write(t, tr.res)
		cancel()
		if tr.res.Dirty != "" {
			if err := os.WriteFile(filepath.Join(*out, "next"), fmt.Appendf(nil, "%d\n", seed+1), 0o600); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	if err := os.WriteFile(filepath.Join(*out, "next"), fmt.Appendf(nil, "%d\n", last+1), 0o600); err != nil {
		t.Fatal(err)
	}
}
