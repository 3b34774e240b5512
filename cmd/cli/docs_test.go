package cli_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// expectations are those that the documents' commands name.
const expectations = "expect:\n  - web -> db:5432\n  - client -x-> lonely:80\n  - resolve: web -> db\n  - findings: none above info\n"

// TestCommandsInDocuments runs every line "$ netdoctor …" of a console block, in
// the order of its document; "# exit N" behind it is the code it ends with.
func TestCommandsInDocuments(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("no documents: %v", err)
	}
	data, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```console\n(.*?)```")
	code := regexp.MustCompile(`\s+# exit (\d+)$`)
	ran := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		for _, f := range []string{"docker20.ndsnap", "docker20-no-masquerade.ndsnap"} {
			if err := os.Symlink(filepath.Join(data, f), filepath.Join(dir, f)); err != nil {
				t.Fatal(err)
			}
		}
		for name, text := range map[string]string{"EXPECT.yaml": expectations, "compose.yaml": "services: {web: {ports: [\"8080:80\"]}, db: {expose: [5432]}}\n"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, m := range block.FindAllSubmatch(text, -1) {
			for line := range strings.SplitSeq(strings.TrimSpace(string(m[1])), "\n") {
				cmd, ok := strings.CutPrefix(line, "$ ")
				if !ok {
					continue
				}
				want := "0"
				if c := code.FindStringSubmatch(cmd); c != nil {
					want, cmd = c[1], strings.TrimSuffix(cmd, c[0])
				}
				ran++
				sh := exec.CommandContext(t.Context(), "sh", "-c", cmd)
				sh.Dir = dir
				sh.Env = append(os.Environ(), "ND_READ="+filepath.Join(dir, "docker20.ndsnap"), "LC_ALL=C.UTF-8")
				var out bytes.Buffer
				sh.Stdout, sh.Stderr = &out, &out
				got := "0"
				var exit *exec.ExitError
				if err := sh.Run(); errors.As(err, &exit) {
					got = fmt.Sprint(exit.ExitCode())
				} else if err != nil {
					t.Fatal(err)
				}
				if got != want {
					t.Errorf("%s: %s\nexit code %s, want %s\n%s", file, cmd, got, want, out.String())
				}
			}
		}
	}
	if ran < 20 {
		t.Errorf("only %d commands were run", ran)
	}
}
