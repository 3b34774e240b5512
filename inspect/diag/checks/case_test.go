package checks_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/diag/checks"
	"github.com/netdoctor/netdoctor/inspect/engine"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/driver"
)

var update = flag.Bool("update", false, "write what the cases want; with ND_LAB=require also what the lab records")

// As in main: a goroutine that enters a namespace must not end the main thread's.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == engine.ChildArg { // reads container files for a lab
		if err := engine.Serve(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	inLab()
	os.Exit(m.Run())
}

// run looks at a state with all checks, as check does, or trace with asks.
func run(s *snap.Snapshot, asks []diag.Ask, audit ...bool) (*diag.Input, diag.Report) {
	in := diag.Build(s, asks, diag.Options{Own: driver.Intent, Audit: slices.Contains(audit, true)})
	return in, diag.Run(in, checks.All())
}

// reportText writes findings as cases hold them.
func reportText(r diag.Report) string {
	var b strings.Builder
	for i := range r.Findings {
		f := &r.Findings[i]
		fmt.Fprintf(&b, "%s %s: %s\n", f.Code, f.Severity, f.Summary)
		hides := slices.Clone(f.Hides)
		slices.SortStableFunc(hides, func(a, b diag.Hidden) int { return strings.Compare(string(a.Code), string(b.Code)) })
		for _, h := range hides {
			fmt.Fprintf(&b, "    hides %s\n", h.Code)
		}
		if f.Behind != "" {
			fmt.Fprintf(&b, "    behind %s\n", f.Behind)
		}
		if f.Fix == nil || len(f.Fix.Ops) == 0 {
			fmt.Fprintf(&b, "    advice %s\n", strings.ReplaceAll(f.Advice, "\n", "\n           "))
		}
	}
	return b.String()
}

// fixText are the lines of shell of the findings of a code.
func fixText(fs []*diag.Finding) string {
	var b strings.Builder
	for _, f := range fs {
		if f.Fix == nil {
			continue
		}
		for _, op := range f.Fix.Ops {
			for _, line := range op.Shell() {
				fmt.Fprintln(&b, line)
			}
		}
	}
	return b.String()
}

// of are the findings of a code.
func of(r *diag.Report, code diag.Code) []*diag.Finding {
	var out []*diag.Finding
	for i := range r.Findings {
		if r.Findings[i].Code == code {
			out = append(out, &r.Findings[i])
		}
	}
	return out
}

func TestCases(t *testing.T) {
	t.Parallel()
	for _, c := range cases(t) {
		t.Run(c.name(), func(t *testing.T) {
			t.Parallel()
			s, err := c.load()
			if err != nil {
				t.Fatal(err)
			}
			c.offline(t, s)
		})
	}
}

// offline looks at a recorded state, compares, tries the fix on it, and looks
// again.
func (c *caseFile) offline(t *testing.T, s *snap.Snapshot) {
	t.Helper()
	asks, err := c.questions(s)
	if err != nil {
		t.Fatal(err)
	}
	in, r := run(s, asks, c.audit())
	if c.audit() { // the others of an audit have cases of their own
		r.Findings = slices.DeleteFunc(r.Findings, func(f diag.Finding) bool {
			k, _ := checks.ByCode(f.Code)
			return k.Audit && f.Code != c.code
		})
	}
	mine := of(&r, c.code)
	c.compare(t, &r, mine)
	if c.near {
		if len(mine) > 0 {
			t.Fatalf("%s is found, and it is a near miss: %s", c.code, mine[0].Summary)
		}
		return
	}
	if len(mine) == 0 {
		t.Fatalf("%s is not found", c.code)
	}
	if !c.also && r.Findings[0].Code != c.code {
		t.Errorf("%s is named first: %s", r.Findings[0].Code, r.Findings[0].Summary)
	}
	for _, f := range mine {
		sound(t, s, f)
		c.mends(t, in, asks, f)
	}
}

// audit says whether the case is of a check that an audit looks with.
func (c *caseFile) audit() bool {
	k, _ := checks.ByCode(c.code)
	return k.Audit
}

// compare holds the report against the case, or writes it there.
func (c *caseFile) compare(t *testing.T, r *diag.Report, mine []*diag.Finding) {
	t.Helper()
	got, fix := reportText(*r), fixText(mine)
	if *update {
		if err := c.write(txtar.File{Name: "want", Data: []byte(got)}, txtar.File{Name: "fix", Data: []byte(fix)}); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(c.sections["want"], got); d != "" {
		t.Errorf("findings (-want +got)\n%s", d)
	}
	if d := cmp.Diff(c.sections["fix"], fix); d != "" {
		t.Errorf("fix (-want +got)\n%s", d)
	}
}

// sound holds a finding against what every finding owes to its reader.
func sound(t *testing.T, s *snap.Snapshot, f *diag.Finding) {
	t.Helper()
	if f.Summary == "" || f.Cause == "" || f.Subject.Kind == "" || f.Subject.Name == "" || len(f.Evidence) == 0 {
		t.Errorf("%s lacks a summary, cause, subject or evidence: %+v", f.Code, f)
	}
	if (f.Fix == nil || len(f.Fix.Ops) == 0) && f.Advice == "" {
		t.Errorf("%s has neither a fix nor advice", f.Code)
	}
	for _, e := range f.Evidence {
		if e.Text == "" || e.Source == "" {
			t.Errorf("%s: evidence without a line or without the command that shows it: %+v", f.Code, e)
		}
		if e.Ref == "" {
			continue // what is absent has no place
		}
		if _, err := s.At(e.Ref); err != nil {
			t.Errorf("%s: evidence %q: %v", f.Code, e.Text, err)
		}
	}
}

// mends tries the fix of a finding on the state: the finding is gone then, and
// nothing else has come.
func (c *caseFile) mends(t *testing.T, in *diag.Input, asks []diag.Ask, f *diag.Finding) {
	t.Helper()
	if f.Fix == nil || len(f.Fix.Ops) == 0 {
		return
	}
	s := in.Snap.Clone()
	for _, op := range f.Fix.Ops {
		if err := op.On(s); err != nil {
			t.Fatalf("%s: %v", op.Describe(), err)
		}
	}
	s.Probes = nil // they speak of the state before
	_, r := run(s, asks, c.audit())
	for i := range r.Findings {
		g := &r.Findings[i]
		if g.Code == f.Code && g.Subject == f.Subject && !slices.Contains(c.left, string(g.Code)) {
			t.Errorf("after the fix it is still there: %s", g.Summary)
		}
	}
	before := in.Snap.Clone()
	before.Probes = nil
	_, was := run(before, asks, c.audit())
	for i := range r.Findings {
		g := &r.Findings[i]
		known := g.Severity == diag.Info || slices.Contains(c.left, string(g.Code)) || slices.ContainsFunc(was.Findings, func(b diag.Finding) bool {
			return b.Code == g.Code || slices.ContainsFunc(b.Hides, func(h diag.Hidden) bool { return h.Code == g.Code })
		})
		if !known {
			t.Errorf("after the fix there is something new: %s %s", g.Code, g.Summary)
		}
	}
}
