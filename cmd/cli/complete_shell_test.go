package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCompletionOfLiveNames: a shell that has read its completion offers what
// there is on the host, in its own way of asking.
func TestCompletionOfLiveNames(t *testing.T) {
	t.Parallel()
	data, err := filepath.Abs("testdata/docker20.ndsnap")
	if err != nil {
		t.Fatal(err)
	}
	// What package bash-completion hands to a completion function.
	const bash = `_init_completion() { words=(netdoctor trace we); cword=2; cur=we; prev=trace; }
compopt() { :; }
source ./completion
COMP_LINE="netdoctor trace we" COMP_POINT=18 COMP_TYPE=9
__start_netdoctor
printf '%s\n' "${COMPREPLY[@]}"`
	// What zsh's compinit hands to one: the words, and who shows what is offered.
	const zsh = `compdef() { :; }
_describe() { print -l $completions; }
_arguments() { :; }
source ./completion
words=(netdoctor trace we) CURRENT=3
_netdoctor`
	ran := 0
	for shell, script := range map[string]string{
		"bash": bash,
		"zsh":  zsh,
		"fish": `source ./completion; complete -C "netdoctor trace we"`,
	} {
		if _, err := exec.LookPath(shell); err != nil {
			t.Logf("%s is not installed", shell)
			continue
		}
		ran++
		dir := t.TempDir()
		env := append(os.Environ(), "ND_READ="+data, "LC_ALL=C.UTF-8", "HOME="+dir, "BASH_COMP_DEBUG_FILE=")
		text := exec.CommandContext(t.Context(), "netdoctor", "completion", shell)
		text.Env = env
		out, err := text.Output()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "completion"), out, 0o600); err != nil {
			t.Fatal(err)
		}
		// On a machine that is busy what is offered comes too late for a person, and
		// is left out: asked again then.
		got := ""
		for end := time.Now().Add(20 * time.Second); got != "web" && err == nil && time.Now().Before(end); {
			ask := exec.CommandContext(t.Context(), shell, "-c", script)
			ask.Dir, ask.Env = dir, env
			out, err = ask.CombinedOutput()
			got = strings.TrimSpace(string(out))
		}
		if err != nil || got != "web" {
			t.Errorf("%s offers %q for \"netdoctor trace we\" (%v), want web", shell, got, err)
		}
	}
	if ran == 0 {
		t.Error("no shell was asked")
	}
}
