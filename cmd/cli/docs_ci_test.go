package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/netdoctor/netdoctor/testenv/labtest"
)

// snippet is what docs/ci.md shows of GitHub's or GitLab's file.
type snippet struct {
	Jobs map[string]struct {
		Steps []struct {
			Run  string         `yaml:"run"`
			With map[string]any `yaml:"with"`
		} `yaml:"steps"`
	} `yaml:"jobs"`
	Network struct {
		Script    []string `yaml:"script"`
		Artifacts struct {
			Reports map[string]string `yaml:"reports"`
		} `yaml:"artifacts"`
	} `yaml:"network"`
}

// TestSnippetsForCI runs every step of the snippets, in order, as the services'
// shells do. Stood in for are docker, which notes what it is asked for, and sudo,
// which runs what was installed to see that it is there, and has the host of these
// tests answer. What is installed is this state of the program, not the latest
// that a module proxy knows.
func TestSnippetsForCI(t *testing.T) {
	t.Parallel()
	labtest.Tools(t, "go", "bash")
	text, err := os.ReadFile("../../docs/ci.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(text, -1)
	if len(blocks) != 2 {
		t.Fatalf("there are %d snippets, not one of GitHub's and one of GitLab's", len(blocks))
	}
	data, err := filepath.Abs("testdata/docker20.ndsnap")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := exec.CommandContext(t.Context(), "go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir, tools := t.TempDir(), t.TempDir()
	for name, body := range map[string]string{
		filepath.Join(dir, "EXPECT.yaml"): expectations,
		filepath.Join(tools, "docker"):    "#!/bin/sh\necho \"docker $*\" >>asked\n",
		filepath.Join(tools, "sudo"):      "#!/bin/sh\nset -e\n\"$1\" version | cut -d' ' -f1 >>asked\nshift\nexec netdoctor \"$@\"\n",
	} {
		if err := os.WriteFile(name, []byte(body), 0o700); err != nil { // #nosec G306 -- two are programs
			t.Fatal(err)
		}
	}
	env := append(os.Environ(), "ND_READ="+data, "PATH="+tools+":"+os.Getenv("PATH"), "GOPATH="+t.TempDir(), "GOBIN=", "GOMODCACHE="+strings.TrimSpace(string(cache)))
	step := func(script string) {
		t.Helper()
		sh := exec.CommandContext(t.Context(), "bash", "-e", "-c", strings.TrimSuffix(script, "@latest"))
		sh.Dir, sh.Env = dir, env
		if strings.HasPrefix(script, "go install") {
			sh.Dir = "../.."
		}
		if out, err := sh.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
	}
	for _, b := range blocks {
		var doc snippet
		if err := yaml.Unmarshal(b[1], &doc); err != nil {
			t.Fatalf("%v\n%s", err, b[1])
		}
		kept := ""
		for _, s := range doc.Jobs["network"].Steps {
			if s.Run != "" {
				step(s.Run)
			}
			if _, after, ok := strings.Cut(s.Run, "--bundle-on-failure "); ok {
				kept = after
			}
			if path, ok := s.With["path"]; ok && path != kept {
				t.Errorf("what is kept is %q, what is uploaded %q", kept, path)
			}
		}
		for _, line := range doc.Network.Script {
			step(line)
		}
		for kind, file := range doc.Network.Artifacts.Reports {
			if b, err := os.ReadFile(filepath.Join(dir, file)); err != nil || !strings.Contains(string(b), "<testsuites>") {
				t.Errorf("the report %s: %v\n%s", kind, err, b)
			}
		}
	}
	asked, err := os.ReadFile(filepath.Join(dir, "asked"))
	if d := cmp.Diff("docker compose up -d --wait\nnetdoctor\ndocker compose up -d --wait\n", string(asked)); d != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, d)
	}
}
