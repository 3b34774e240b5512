package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netdoctor/netdoctor/testenv/labtest"
)

func TestPages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, what := range []string{"docs", "man", "completions"} {
		if err := run([]string{what, filepath.Join(dir, what)}); err != nil {
			t.Fatal(err)
		}
	}
	for file, want := range map[string]string{
		"docs/commands/README.md":          "[netdoctor trace](netdoctor_trace.md)",
		"docs/commands/netdoctor_trace.md": "netdoctor trace web db:5432",
		"man/netdoctor.1":                  ".SH NAME",
		"man/netdoctor-trace.1":            `.B \-\-sport`,
		"man/netdoctor-fix.1":              `.B \-\-flow \(dqSRC DST\(dq`,
		"man/netdoctor-exit-codes.7":       "130  interrupted",
		"completions/netdoctor.bash":       "__start_netdoctor",
		"completions/_netdoctor":           "#compdef netdoctor",
		"completions/netdoctor.fish":       "complete -c netdoctor",
	} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.Contains(string(text), want) {
			t.Errorf("%s lacks %q", file, want)
		}
	}
	for _, bad := range [][]string{nil, {"docs"}, {"poems", dir}} {
		if run(bad) == nil {
			t.Errorf("gen %q did something", bad)
		}
	}
}

// TestManualsAreRead by groff without a warning.
func TestManualsAreRead(t *testing.T) {
	t.Parallel()
	labtest.Tools(t, "groff")
	for name, text := range manuals(tree(), "v1") {
		cmd := exec.CommandContext(t.Context(), "groff", "-man", "-ww", "-z", "-Kutf8")
		cmd.Stdin = bytes.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v %s", name, err, out)
		}
	}
}

// TestCompletionIsShell: bash reads its completion.
func TestCompletionIsShell(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := run([]string{"completions", dir}); err != nil {
		t.Fatal(err)
	}
	for shell, file := range map[string]string{"bash": "netdoctor.bash", "zsh": "_netdoctor", "fish": "netdoctor.fish"} {
		p, err := exec.LookPath(shell)
		if err != nil {
			t.Logf("%s is not installed", shell)
			continue
		}
		if out, err := exec.CommandContext(t.Context(), p, "-n", filepath.Join(dir, file)).CombinedOutput(); err != nil {
			t.Errorf("%s: %v %s", file, err, out)
		}
	}
}
