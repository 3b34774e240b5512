package main

import (
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/netdoctor/netdoctor/testenv/labtest"
)

// TestPackage builds a deb, installs it into a root of its own, uses it there, and
// removes it.
func TestPackage(t *testing.T) {
	labtest.Tools(t, "dpkg", "dpkg-deb")
	out, err := exec.CommandContext(t.Context(), "sh", "../../.ci/package/deb.sh", "1.2.3").CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 77 {
		labtest.Lacking(t, "%s", out)
	}
	if err != nil || !strings.Contains(string(out), "nothing is left") {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestReleaseIsBuiltAsHere: the release's compiler flags are the Makefile's.
func TestReleaseIsBuiltAsHere(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^HOT +:= (.*)$`).FindStringSubmatch(string(makefile))
	if m == nil {
		t.Fatal("the Makefile names no packages that are inlined")
	}
	want := []string{"-trimpath", "-gcflags=all=-l"}
	for _, p := range strings.Fields(m[1]) {
		want = append(want, "-gcflags="+p+"=")
	}
	text, err := os.ReadFile("../../.goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var release struct {
		Builds []struct {
			Flags []string `yaml:"flags"`
		} `yaml:"builds"`
	}
	if err := yaml.Unmarshal(text, &release); err != nil {
		t.Fatal(err)
	}
	for _, b := range release.Builds {
		if d := cmp.Diff(want, b.Flags); d != "" {
			t.Errorf("(-Makefile +.goreleaser.yaml)\n%s", d)
		}
	}
	if len(release.Builds) == 0 {
		t.Error("the release builds nothing")
	}
}

// TestUnitIsRead: systemd understands the unit, where it is installed.
func TestUnitIsRead(t *testing.T) {
	t.Parallel()
	labtest.Tools(t, "systemd-analyze")
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", "../../.ci/package/netdoctor-watch.service").CombinedOutput()
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
