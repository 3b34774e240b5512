package testenv_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/testenv"
	"github.com/netdoctor/netdoctor/testenv/driver"
	"github.com/netdoctor/netdoctor/testenv/spec"
)

const killed = `
services:
  web: {networks: [app], ports: ["8080:80"]}
  workers: {networks: [app], scale: 2}
networks:
  app: {}
  other: {}
`

// act does one thing as a process of its own that may be killed at its n-th
// failpoint; n 0: at none. Each word is a name that failpoints have.
func act() {
	n, _ := strconv.Atoi(os.Args[4])
	var seen atomic.Int64 // containers are seen through beside each other
	h := &testenv.Host{Failpoint: func(name string) error {
		if seen.Add(1) == int64(n) {
			fmt.Println(name)
			_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		}
		return nil
	}}
	ctx := context.Background()
	var err error
	switch os.Args[2] {
	case "setup":
		var sp *spec.Spec
		if sp, err = spec.Parse(strings.NewReader(killed)); err == nil {
			_, err = h.Up(ctx, sp, testenv.UpOptions{Options: testenv.Options{Like: driver.Generation(os.Args[3])}})
		}
	case "connect":
		_, err = h.Attach(ctx, "web", testenv.AttachOptions{Network: "other"})
	case "disconnect":
		_, err = h.Detach(ctx, "web", "other")
	case "teardown":
		_, err = h.Down(ctx, false)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// do runs act, and says at which failpoint it was killed, "" when it was not.
func do(t *testing.T, what string, gen driver.Generation, n int) (string, error) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "act", what, string(gen), strconv.Itoa(n))
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			return strings.TrimSpace(string(out)), nil
		}
		return "", errors.New(strings.TrimSpace(string(out)))
	}
	return "", err
}

// shape is the state without what is different every time.
func shape(t *testing.T, h *testenv.Host) string {
	t.Helper()
	st, err := h.Status()
	if err != nil {
		t.Fatal(err)
	}
	if st == nil {
		return "nothing"
	}
	var lines []string
	for _, n := range st.Networks {
		lines = append(lines, fmt.Sprint("network ", n.Net.Name, n.Net.Pools, n.Net.Services))
	}
	for _, c := range st.Containers {
		l := fmt.Sprint("container ", c.Ctr.Name, c.Ctr.State, c.Ctr.Ports)
		for _, ep := range c.Ctr.Endpoints {
			l += fmt.Sprint(" ", ep.Network, ep.IPv4, ep.Link)
		}
		lines = append(lines, l)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// left are processes of ours that are there.
func left(t *testing.T) string {
	t.Helper()
	return sh(t, `me=$(readlink /proc/self/ns/net | tr -dc 0-9); grep -lz "NETDOCTOR_MARK=/run/netdoctor/env@$me" /proc/[0-9]*/environ 2>/dev/null || true`)
}

// TestKilledAnywhereItConverges kills each command with SIGKILL at each of its
// failpoints. Done again, it ends where it would have ended undisturbed, and the
// teardown leaves the host as it was.
func TestKilledAnywhereItConverges(t *testing.T) {
	if gen := os.Getenv(killGen); gen != "" {
		converges(t, driver.Generation(gen))
		return
	}
	gens := driver.Generations()
	if testing.Short() {
		gens = gens[2:]
	}
	for _, gen := range gens {
		t.Run(string(gen), func(t *testing.T) {
			t.Parallel() // each on a host of its own
			cmd := exec.Command("/proc/self/exe", "-test.v", "-test.run", "^"+t.Name()[:strings.Index(t.Name(), "/")]+"$")
			cmd.Env = append(os.Environ(), killGen+"="+string(gen))
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS}
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "teardown: killed at") {
				t.Errorf("%v\n%s", err, out)
			}
			t.Logf("%s", out)
		})
	}
}

// killGen names the generation to a process that tries one alone.
const killGen = "ND_KILL_GEN"

func converges(t *testing.T, gen driver.Generation) {
	t.Helper()
	before := dump(t)
	h := &testenv.Host{}
	order := []string{"setup", "connect", "disconnect", "teardown"}
	want := map[string]string{}
	for _, what := range order {
		if _, err := do(t, what, gen, 0); err != nil {
			t.Fatalf("%s undisturbed: %v", what, err)
		}
		want[what] = shape(t, h)
	}
	if after := dump(t); after != before {
		t.Fatalf("undisturbed: before\n%s\nafter\n%s", before, after)
	}
	for i, what := range order {
		points := 0
		for n := 1; ; n += stride(what) {
			for _, w := range order[:i] {
				if _, err := do(t, w, gen, 0); err != nil {
					t.Fatalf("%s before %s: %v", w, what, err)
				}
			}
			at, err := do(t, what, gen, n)
			if err != nil {
				t.Fatalf("%s, to be killed at failpoint %d: %v", what, n, err)
			}
			if at != "" {
				points++
				if _, err := do(t, what, gen, 0); err != nil && !done(what, err) {
					t.Errorf("%s again after a kill at %q: %v", what, at, err)
				}
			}
			if got := shape(t, h); got != want[what] {
				t.Errorf("%s, killed at %q and done again:\n%s\nwant\n%s", what, at, got, want[what])
			}
			if what != "teardown" {
				if d, err := h.Check(context.Background()); err != nil || len(d) > 0 {
					t.Errorf("%s, killed at %q and done again: drift %q, %v", what, at, d, err)
				}
			}
			if _, err := do(t, "teardown", gen, 0); err != nil {
				t.Errorf("teardown after %s, killed at %q: %v", what, at, err)
			}
			if after := dump(t); after != before {
				t.Errorf("%s, killed at %q: left behind\nbefore\n%s\nafter\n%s", what, at, before, after)
			}
			if p := left(t); p != "" {
				t.Errorf("%s, killed at %q: processes left: %s", what, at, p)
			}
			if t.Failed() || at == "" {
				break
			}
		}
		t.Logf("%s: killed at %d failpoints", what, points)
		if points < 3 && !t.Failed() {
			t.Errorf("%s has %d failpoints only", what, points)
		}
	}
}

// stride is how far it is from one failpoint to the next that is tried.
// ND_EVERY_STEP=1, as in CI, takes them all: some 160 for a set-up.
func stride(what string) int {
	switch {
	case os.Getenv("ND_EVERY_STEP") != "":
		return 1
	case what == "setup":
		return 23
	}
	return 4
}

// done says that a command had reached its end before it was killed.
func done(what string, err error) bool {
	switch what {
	case "connect":
		return strings.Contains(err.Error(), "is on network other already")
	case "disconnect":
		return strings.Contains(err.Error(), "is not on network other")
	}
	return false
}
