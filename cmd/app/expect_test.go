package app

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

func TestParseExpectations(t *testing.T) {
	t.Parallel()
	got, err := parseExpectations("f", strings.NewReader(`# what must work
expect:
  - web -> db:5432
  - "lonely -x-> db:5432"
  - reach: 192.0.2.7 -> host:8080/tcp
    name: the shop
    tags: [smoke, published]
    within: 50ms
    mtu: 1500
  - resolve: web -> db
    type: aaaa
    answers: ["2001:db8::2"]
  - resolve: web -> db
    count: 2
  - findings: none above warning
  - findings: none
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Expectation{
		{Kind: "reach", Text: "web -> db:5432", From: "web", To: "db:5432", Line: 3, Column: 5},
		{Kind: "reach", Text: "lonely -x-> db:5432", From: "lonely", To: "db:5432", Not: true, Line: 4, Column: 5},
		{Kind: "reach", Text: "192.0.2.7 -> host:8080/tcp", From: "192.0.2.7", To: "host:8080/tcp", Name: "the shop", Tags: []string{"smoke", "published"}, Within: 50 * time.Millisecond, MTU: 1500, Line: 5, Column: 5},
		{Kind: "resolve", Text: "web -> db", From: "web", To: "db", Type: "AAAA", Answers: []string{"2001:db8::2"}, Line: 10, Column: 5},
		{Kind: "resolve", Text: "web -> db", From: "web", To: "db", Count: 2, Line: 13, Column: 5},
		{Kind: "findings", Text: "findings: none above warning", Above: diag.Warning, Line: 15, Column: 5},
		{Kind: "findings", Text: "findings: none", Line: 16, Column: 5},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// TestBadExpectations: the line, the column, and what was expected there.
func TestBadExpectations(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, at, expected string }{
		"empty":               {"", "f:1:1: ", `expected a list under "expect:"`},
		"only a comment":      {"# nothing\n", "f:1:1: ", `expected a list under "expect:"`},
		"no YAML":             {"expect:\n  - a\n b: {\n", "f:2:3: ", `expected a list under "expect:"`},
		"a tab":               {"expect:\n\t- a\n", "f:2:1: ", `expected a list`},
		"another key":         {"tests:\n  - a -> b\n", "f:1:1: ", `expected "expect"`},
		"a list at the top":   {"- a -> b\n", "f:1:1: ", `expected "expect:"`},
		"no list":             {"expect: web -> db\n", "f:1:9: ", "expected a list"},
		"an empty list":       {"expect: []\n", "f:1:1: ", `write at least one line`},
		"no arrow":            {"expect:\n  - web db\n", "f:2:5: ", `expected "SRC -> DST"`},
		"another arrow":       {"expect:\n  - web => db\n", "f:2:5: ", `expected "SRC -> DST"`},
		"a bad port":          {"expect:\n  - web -> db:70000\n", "f:2:5: ", "expected a destination"},
		"a port of a source":  {"expect:\n  - web:80 -> db:5432\n", "", ""}, // a name may have a colon: it is looked up
		"a name with a port":  {"expect:\n  - resolve: web -> db:53\n", "f:2:14: ", "is no name"},
		"a list as a flow":    {"expect:\n  - [a, b]\n", "f:2:5: ", `expected "SRC -> DST"`},
		"a misspelt key":      {"expect:\n  - reach: web -> db\n    wihtin: 5ms\n", "f:3:5: ", "expected one of reach"},
		"two kinds":           {"expect:\n  - reach: web -> db\n    resolve: web -> db\n", "f:3:5: ", "expected one of them"},
		"no kind":             {"expect:\n  - name: x\n", "f:2:5: ", "expected one of reach, resolve and findings"},
		"a key twice":         {"expect:\n  - reach: web -> db\n    reach: web -> db\n", "f:3:5: ", "twice"},
		"no time":             {"expect:\n  - reach: web -> db\n    within: soon\n", "f:3:13: ", "expected one as 50ms"},
		"a size too small":    {"expect:\n  - reach: web -> db\n    mtu: 20\n", "f:3:10: ", "expected a number from 68"},
		"a bound of another":  {"expect:\n  - resolve: web -> db\n    mtu: 1500\n", "f:3:10: ", "belongs to reach"},
		"a bound of what not": {"expect:\n  - reach: web -x-> db\n    within: 1s\n", "f:3:13: ", "must not work at all"},
		"a type":              {"expect:\n  - resolve: web -> db\n    type: AAAAA\n", "f:3:11: ", "expected one of A, AAAA"},
		"answers":             {"expect:\n  - resolve: web -> db\n    answers: 1.2.3.4\n", "f:3:14: ", "expected a list"},
		"tags":                {"expect:\n  - reach: web -> db\n    tags: {a: b}\n", "f:3:11: ", "expected a list"},
		"a bound of findings": {"expect:\n  - findings: few\n", "f:2:15: ", `expected "none"`},
		"nothing":             {"expect:\n  -\n", "f:2:4: ", "expected"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parseExpectations("f", strings.NewReader(c.text))
			if c.at == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, ErrUsage) || !strings.HasPrefix(err.Error(), c.at) || !strings.Contains(err.Error(), c.expected) {
				t.Errorf("got %v, want %s… %s", err, c.at, c.expected)
			}
		})
	}
	if _, err := parseExpectations("f", strings.NewReader(strings.Repeat("#", expectLimit+1))); !errors.Is(err, ErrUsage) {
		t.Errorf("a huge file: %v", err)
	}
}

func FuzzParseExpectations(f *testing.F) {
	f.Add("expect:\n  - web -> db:5432\n")
	f.Add("expect:\n  - resolve: &a web -> db\n    answers: [*a]\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parseExpectations("f", strings.NewReader(text))
		if (err == nil) == (len(all) == 0) {
			t.Errorf("%d expectations, %v", len(all), err)
		}
	})
}

func TestTags(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tags, want string
		chosen     bool
	}{
		{"", "", true},
		{"a", "", true},
		{"", "a", false},
		{"a b", "b", true},
		{"a b", "c", false},
		{"a", "!a", false},
		{"", "!a", true},
		{"a b", "a !b", false},
		{"a", "a !b", true},
	} {
		if got := chosen(strings.Fields(c.tags), strings.Fields(c.want)); got != c.chosen {
			t.Errorf("tags %q with --tags %q: %v", c.tags, c.want, got)
		}
	}
}

// TestGeneratedIsReadAgain: whatever containers are called, and why ever something
// does not hold now, the file that is written is one that can be read.
func TestGeneratedIsReadAgain(t *testing.T) {
	t.Parallel()
	s, err := inspect.ReadFile("../cli/testdata/docker20-no-masquerade.ndsnap")
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{`we"b#x`, "'q'", "*a", "&b", "-dash", "multi\nline", "\u202eback", "{{.}}", "null", "~"} {
		if i < len(s.Containers) {
			s.Containers[i].Name = name
		}
	}
	a := &App{Read: func(context.Context, ReadOptions) (*snap.Snapshot, error) { return s, nil }}
	out, err := a.Generate(t.Context(), Common{})
	if err != nil {
		t.Fatal(err)
	}
	all, err := parseExpectations("f", bytes.NewReader(out))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if strings.ContainsAny(string(out), "\u202e\x1b\r") {
		t.Errorf("a terminal would obey this: %q", out)
	}
	if !strings.Contains(string(out), `we"b#x`) || len(all) < 10 {
		t.Errorf("%d expectations:\n%s", len(all), out)
	}
	for i := range all {
		if e := &all[i]; e.Kind == "reach" && e.From == "" || len(e.Tags) != 1 {
			t.Errorf("read as %+v", e)
		}
	}
}
