package cli_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// elsewhere are the README's commands that no snapshot can answer, and the test
// that runs each, if any does.
var elsewhere = map[string]string{
	"netdoctor watch":                  "a live host: cmd/app TestProofInALab",
	"netdoctor fix":                    "a live host: cmd/netdoctor TestReadmeShowsWhatTheDemoPrints",
	"netdoctor undo":                   "a live host: cmd/netdoctor TestReadmeShowsWhatTheDemoPrints",
	"netdoctor snapshot -o old.ndsnap": "the file is here, of another state",
	"netdoctor setup -f services.yaml": "a host of its own: cmd/netdoctor TestOwnNetworksByHand",
	"netdoctor teardown":               "a host of its own: cmd/netdoctor TestOwnNetworksByHand",
	"netdoctor lab up":                 "a host of its own: cmd/netdoctor TestPracticeHostThatStays",
	"netdoctor lab break random":       "a host of its own: cmd/netdoctor TestPracticeHostThatStays",
}

// TestCommandsInReadme runs each command in the README's table of what to type,
// against the snapshot that is "the host" of these tests.
func TestCommandsInReadme(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	data, err := filepath.Abs("testdata/docker20.ndsnap")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, from := range map[string]string{"old.ndsnap": "testdata/docker20-no-masquerade.ndsnap", "state.ndsnap": ""} {
		if from == "" {
			continue
		}
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "expect.yaml"), []byte(expectations), 0o600); err != nil {
		t.Fatal(err)
	}
	// What ends otherwise: a name that nobody has, an offer to mend, what broke.
	code := map[string]int{"netdoctor dns myservice --from web": 1}
	ran := 0
	_, table, _ := strings.Cut(string(text), "| what you see |")
	table, _, _ = strings.Cut(table, "\n\n")
	for _, m := range regexp.MustCompile("`(netdoctor [^`]+)`").FindAllStringSubmatch(table, -1) {
		cmd := m[1]
		if _, ok := elsewhere[cmd]; ok {
			continue
		}
		ran++
		sh := exec.CommandContext(t.Context(), "sh", "-c", cmd)
		sh.Dir = dir
		sh.Env = append(os.Environ(), "ND_READ="+data, "LC_ALL=C.UTF-8")
		out, err := sh.CombinedOutput()
		got := 0
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			got = exit.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		if got != code[cmd] {
			t.Errorf("%s: exit code %d, want %d\n%s", cmd, got, code[cmd], out)
		}
	}
	if ran < 12 {
		t.Errorf("only %d commands were run", ran)
	}
}

// TestWordsInDocuments: every command of netdoctor's that a text names is there,
// and so is every target of make's.
func TestWordsInDocuments(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, "../../README.md", "../../CONTRIBUTING.md")
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, m := range regexp.MustCompile(`(?m)^([a-z-]+):( |$)`).FindAllStringSubmatch(string(makefile), -1) {
		targets = append(targets, m[1])
	}
	said := regexp.MustCompile("(?m)(?:(?:`|^\\$ )(netdoctor|make)|^(make)) ([^`#\n]*)")
	commands, makes := map[string]string{}, 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range said.FindAllStringSubmatch(string(text), -1) {
			words := strings.Fields(m[3])
			if len(words) == 0 {
				continue
			}
			if m[1]+m[2] == "make" {
				for _, w := range words {
					makes++
					if !slices.Contains(targets, w) && !strings.Contains(w, "=") {
						t.Errorf("%s: make has no target %q", file, w)
					}
				}
				continue
			}
			if regexp.MustCompile(`^[a-z]+$`).MatchString(words[0]) {
				commands[words[0]] = file
			}
		}
	}
	for name, file := range commands {
		if out, err := exec.CommandContext(t.Context(), "netdoctor", name, "--help").CombinedOutput(); err != nil && name != "lab" {
			t.Errorf("%s: netdoctor %s: %v\n%s", file, name, err, out)
		}
	}
	if len(commands) < 15 || makes < 10 {
		t.Errorf("only %d commands and %d targets were found", len(commands), makes)
	}
}
