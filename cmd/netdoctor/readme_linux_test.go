package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/testenv/labtest"
)

// TestReadmeShowsWhatTheDemoPrints runs the README's first command and holds
// every screen that the README quotes against what it prints.
func TestReadmeShowsWhatTheDemoPrints(t *testing.T) {
	labtest.Tools(t, "go")
	bin := filepath.Join(t.TempDir(), "netdoctor")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	demo := exec.Command(bin, "lab", "demo")
	demo.Stderr = os.Stderr
	out, err := demo.Output()
	if err != nil {
		t.Fatalf("lab demo: %v\n%s", err, out)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	screens := screensOf(t, string(readme))
	if len(screens) == 0 {
		t.Fatal("the README quotes no screen")
	}
	for _, want := range screens {
		command, _, _ := strings.Cut(want, "\n")
		if !strings.Contains(steady(string(out)), steady(want)) {
			_, got, _ := strings.Cut(steady(string(out)), steady(command)+"\n")
			t.Errorf("%s prints other lines (-README +demo):\n%s", command, cmp.Diff(strings.Split(steady(want), "\n"), strings.Split(command+"\n"+got, "\n")))
		}
	}
}

// screensOf are the commands of the README's fenced blocks that begin with a
// prompt, each with all that it is said to print.
func screensOf(t *testing.T, readme string) []string {
	t.Helper()
	var list []string
	for _, block := range regexp.MustCompile("(?ms)^```\\n(.*?)^```$").FindAllStringSubmatch(readme, -1) {
		for _, screen := range regexp.MustCompile(`(?m)^\$ netdoctor `).Split(block[1], -1)[1:] {
			list = append(list, "$ netdoctor "+strings.TrimSpace(screen))
		}
	}
	return list
}

// steady is text without what is another in each run.
func steady(s string) string {
	for _, r := range [][2]string{
		{` +[0-9.]+ m?s\n`, " TIME\n"},
		{`[0-9a-f]{2}(:[0-9a-f]{2}){5}`, "MAC"},
		{`[0-9]{8}-[0-9]{6}`, "ID"},
		{`\b[0-9]+: veth`, "N: veth"},
	} {
		s = regexp.MustCompile(r[0]).ReplaceAllString(s, r[1])
	}
	return s
}
