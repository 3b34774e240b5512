package main

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// TestPackage builds a deb, installs it into a root of its own, uses it there, and
// removes it.
func TestPackage(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program and its package")
	}
	for _, tool := range []string{"dpkg", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	out, err := exec.CommandContext(t.Context(), "sh", "../../.ci/package/deb.sh", "1.2.3").CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 77 {
		t.Skip(string(out))
	}
	if err != nil || !strings.Contains(string(out), "nothing is left") {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestUnitIsRead: systemd understands the unit, where it is installed.
func TestUnitIsRead(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", "../../.ci/package/netdoctor-watch.service").CombinedOutput()
	for _, l := range strings.Split(string(out), "\n") {
		if strings.Contains(l, "netdoctor-watch.service") && !strings.Contains(l, "is not executable") {
			t.Errorf("%s (%v)", l, err)
		}
	}
}

// TestUnitsCommandIsThere: the unit runs a command that this program has.
func TestUnitsCommandIsThere(t *testing.T) {
	t.Parallel()
	cmd, rest, err := tree().Find([]string{"watch", "-o", "ndjson"})
	if err != nil || cmd.Name() != "watch" {
		t.Errorf("no watch: %v %v", rest, err)
	}
}
