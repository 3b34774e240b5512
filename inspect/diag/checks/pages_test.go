package checks_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/diag/checks"
)

// pages is where the pages of the checks are, for people who read them in a
// browser; netdoctor explain shows the same words.
const pages = "../../../docs/checks"

func TestPagesAreCurrent(t *testing.T) {
	t.Parallel()
	want := map[string]string{"README.md": contents()}
	seen := map[diag.Code]*caseFile{}
	for _, c := range cases(t) {
		if !c.near && seen[c.code] == nil {
			seen[c.code] = c
		}
	}
	for _, c := range checks.All() {
		want[string(c.Code)+".md"] = page(c, seen[c.Code])
	}
	if *update {
		if err := os.MkdirAll(pages, 0o750); err != nil {
			t.Fatal(err)
		}
		for name, text := range want {
			if err := os.WriteFile(filepath.Join(pages, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, text := range want {
		got, err := os.ReadFile(filepath.Join(pages, name))
		if err != nil {
			t.Errorf("%v: go generate ./inspect/diag/checks", err)
			continue
		}
		if d := cmp.Diff(text, string(got)); d != "" {
			t.Errorf("%s is not current: go generate ./inspect/diag/checks (-want +got)\n%s", name, d)
		}
	}
	files, err := filepath.Glob(pages + "/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if want[filepath.Base(f)] == "" {
			t.Errorf("%s is of no check", f)
		}
	}
}

// contents lists the pages.
func contents() string {
	var b strings.Builder
	b.WriteString("# What netdoctor finds\n\nGenerated from the checks: `go generate ./inspect/diag/checks`. `netdoctor explain CODE` shows the same.\n\n| code | name | the fault |\n|---|---|---|\n")
	for _, c := range checks.All() {
		fmt.Fprintf(&b, "| [%s](%s.md) | %s | %s |\n", c.Code, c.Code, c.Name, c.Title)
	}
	return b.String()
}

// page is the page of a check, with a recorded case of it.
func page(c diag.Check, seen *caseFile) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s %s\n\n**%s**\n\n", c.Code, c.Name, c.Title)
	why, rest, _ := strings.Cut(c.Doc, "\nSee it by hand:\n")
	hand, sources, _ := strings.Cut(rest, "\nSources:")
	hand, more, _ := strings.Cut(strings.TrimRight(hand, "\n"), "\n\n")
	if c.Audit {
		b.WriteString("Looked for by `netdoctor check --audit` alone.\n\n")
	}
	fmt.Fprintf(&b, "%s\n\n## See it by hand\n\n```\n%s\n```\n", strings.TrimSpace(why), dedent(hand))
	if more != "" {
		fmt.Fprintf(&b, "\n%s\n", strings.TrimSpace(more))
	}
	if seen != nil {
		fmt.Fprintf(&b, "\n## A case\n\n%s\n\n```\n%s", seen.story, seen.sections["want"])
		if fix := seen.sections["fix"]; fix != "" {
			fmt.Fprintf(&b, "\nmended by\n%s", indent(fix))
		}
		b.WriteString("```\n")
	}
	var after []string
	for _, a := range c.After {
		after = append(after, fmt.Sprintf("[%s](%s.md)", a, a))
	}
	if len(after) > 0 {
		fmt.Fprintf(&b, "\nFolded under %s where that explains it.\n", strings.Join(after, ", "))
	}
	fmt.Fprintf(&b, "\nSources: %s\n", strings.Join(strings.Fields(sources), " "))
	return b.String()
}

func dedent(s string) string {
	var out []string
	for line := range strings.Lines(strings.Trim(s, "\n")) {
		out = append(out, strings.TrimPrefix(strings.TrimRight(line, "\n"), "    "))
	}
	return strings.Join(out, "\n")
}

func indent(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString("    " + line)
	}
	return b.String()
}
