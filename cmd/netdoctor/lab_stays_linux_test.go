package main

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/netdoctor/netdoctor/testenv/labtest"
)

// TestPracticeHostThatStays types the README's last line, and then what lab up
// says of how to look and to end. Its place is a directory of this test's own.
func TestPracticeHostThatStays(t *testing.T) {
	labtest.Tools(t, "nsenter")
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("LC_ALL", "C.UTF-8")
	bin := program(t) + "/netdoctor"
	run := func(args ...string) (string, int) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	must := func(args ...string) string {
		t.Helper()
		out, code := run(append([]string{bin}, args...)...)
		if code != 0 {
			t.Fatalf("netdoctor %s: %d\n%s", strings.Join(args, " "), code, out)
		}
		return out
	}
	out, code := run(bin, "lab", "up")
	if code != 0 {
		labtest.Lacking(t, "no practice host comes up: %s", out)
	}
	down := false
	t.Cleanup(func() {
		if !down {
			_ = exec.Command(bin, "lab", "down").Run() // the test has failed already
		}
	})
	said := map[string]string{}
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		said[name] = strings.TrimSpace(value)
	}
	enter, ok := strings.CutSuffix(said["look"], " netdoctor check")
	if !ok {
		t.Fatalf("how to look is not said:\n%s", out)
	}
	inside := func(args ...string) (string, int) {
		t.Helper()
		return run(append(append(strings.Fields(enter), bin), args...)...)
	}
	check := func() (string, int) { t.Helper(); return inside("check") }
	if out, code := check(); code != 0 {
		t.Errorf("the new host is not well: exit code %d\n%s", code, out)
	}
	broke := must(strings.Fields(said["break"])[1:]...)
	out, code = check()
	if _, follow, ok := strings.Cut(broke, "netdoctor check, netdoctor "); ok && code == 0 { // no host needs what is broken
		out, code = inside(strings.Fields(follow)...)
	}
	if code != 1 || !strings.Contains(out, "× ND") {
		t.Errorf("exit code %d after\n%s%s", code, broke, out)
	}
	must("lab", "heal")
	if out, code := check(); code != 0 {
		t.Errorf("healed, it is not well: exit code %d, after\n%s%s", code, broke, out)
	}
	must("lab", "down")
	down = true
	if out, code := run(bin, "lab", "heal"); code == 0 || !strings.Contains(out, "no lab is up") {
		t.Errorf("there is a practice host still: %d\n%s", code, out)
	}
}
