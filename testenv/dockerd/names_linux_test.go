package dockerd

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// askers are those of inspect/names' scene whose answers come at once; those that
// wait for dead servers, 10 s and more for each name, are asked by make names.
const askers = "nd-ask nd-both nd-far nd-link nd-opts nd-list nd-host nd-plain"

// envNames is the test program of inspect/names, built where Go's cache is.
const envNames = "ND_NAMES_TEST"

// TestNames holds what is predicted of names against the answers of a real
// daemon's embedded resolver, and against real programs of three C libraries.
func TestNames(t *testing.T) {
	if os.Getenv(envDir) == "" {
		bin := filepath.Join(t.TempDir(), "names.test")
		if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", bin, "github.com/netdoctor/netdoctor/inspect/names").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Setenv(envNames, bin)
	}
	if !alone(t) {
		return
	}
	start(t)
	cmd := exec.CommandContext(t.Context(), os.Getenv(envNames), "-test.run=^TestPredictionsAgainstDockerd$", "-test.v")
	cmd.Env = append(os.Environ(), "ND_DNS=198.51.100.53", "ND_ASKERS="+askers)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	m := regexp.MustCompile(`(\d+) of (\d+) questions as predicted`).FindSubmatch(out)
	if m == nil {
		t.Fatalf("nothing was asked:\n%s", out)
	}
	if asked, err := strconv.Atoi(string(m[2])); err != nil || asked < 60 || string(m[1]) != string(m[2]) {
		t.Errorf("%s, %v", m[0], err)
	}
	t.Logf("%s", m[0])
}
