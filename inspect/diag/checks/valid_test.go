package checks_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/diag/checks"
)

// families are the first digits of codes; see docs/architecture.md.
var families = "123456789"

func TestEveryCheckIsComplete(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^ND[` + families + `][0-9]{3}$`)
	name := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	codes, names := map[diag.Code]bool{}, map[string]bool{}
	for _, c := range checks.All() {
		if !form.MatchString(string(c.Code)) || codes[c.Code] {
			t.Errorf("code %q is no code, or is taken", c.Code)
		}
		if !name.MatchString(c.Name) || names[c.Name] {
			t.Errorf("%s: name %q is no name, or is taken", c.Code, c.Name)
		}
		codes[c.Code], names[c.Name] = true, true
		if c.Title == "" || strings.HasSuffix(c.Title, ".") || c.Since == "" || c.Severity.Rank() == 0 && c.Severity != diag.Info || c.Detect == nil {
			t.Errorf("%s lacks a title, a version, a severity or a way to be detected", c.Code)
		}
		why, rest, ok := strings.Cut(c.Doc, "\nSee it by hand:\n")
		hand, sources, also := strings.Cut(rest, "\nSources:")
		if !ok || !also || strings.TrimSpace(why) == "" || strings.TrimSpace(hand) == "" || strings.TrimSpace(sources) == "" {
			t.Errorf("%s: its page lacks why it happens, \"See it by hand:\" or \"Sources:\"", c.Code)
		}
	}
	for _, c := range checks.All() {
		for _, a := range c.After {
			if !codes[a] {
				t.Errorf("%s comes after %s, which is not there", c.Code, a)
			}
		}
	}
}

func TestConsequencesGoInNoCircle(t *testing.T) {
	t.Parallel()
	after := map[diag.Code][]diag.Code{}
	for _, c := range checks.All() {
		after[c.Code] = c.After
	}
	var walk func(path []diag.Code)
	walk = func(path []diag.Code) {
		for _, a := range after[path[len(path)-1]] {
			if slices.Contains(path, a) {
				t.Errorf("a circle: %v %s", path, a)
				return
			}
			walk(append(slices.Clone(path), a))
		}
	}
	for c := range after {
		walk([]diag.Code{c})
	}
}

// owing are checks that still owe their cases. Nothing is added here.
var owing = []diag.Code{
	"ND2901", "ND2903",
}

func TestEveryCheckHasItsCases(t *testing.T) {
	t.Parallel()
	fires, silent := map[diag.Code]int{}, map[diag.Code]int{}
	for _, c := range cases(t) {
		if _, ok := checks.ByCode(c.code); !ok {
			t.Errorf("%s: no check has that code", c.path)
		}
		if c.near {
			silent[c.code]++
		} else {
			fires[c.code]++
		}
	}
	for _, c := range checks.All() {
		lacks := fires[c.Code] == 0 || silent[c.Code] == 0
		if i := slices.Index(owing, c.Code); i >= 0 && !lacks {
			t.Errorf("%s has its cases now: take it off the list", c.Code)
		} else if lacks && i < 0 {
			t.Errorf("%s has %d cases in which it fires and %d near misses; one of each is the least: testdata/%s", c.Code, fires[c.Code], silent[c.Code], c.Code)
		}
	}
}
