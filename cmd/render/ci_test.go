package render

import (
	"bufio"
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	junitparser "github.com/joshdk/go-junit"
	sarifspec "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/santhosh-tekuri/jsonschema/v6"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/testenv/labtest"
)

// hostileName has what each format would trip over.
const hostileName = "a -> b,c:80 # 100% <x> & \"q\" ]]> \x1b[2J\n::error::\u202e"

func testResult(found []v1.Finding) *v1.TestResult {
	return &v1.TestResult{
		Head: head(v1.KindTest), Verdict: "failed", File: "ci/EXPECT.yaml", Rounds: 1,
		Summary: v1.TestSummary{Passed: 1, Failed: 3, Unknown: 1, Skipped: 1},
		Tests: []v1.Test{
			{Name: "web -> db:5432", Kind: "reach", Expect: "web -> db:5432", Line: 2, Column: 5, Status: "passed", Got: "delivered", Confidence: "proved", DurationMs: 1.5},
			{Name: "the shop", Kind: "reach", Expect: "web -> internet:443", Line: 3, Column: 5, Status: "failed", Reason: "dropped: no masquerade", Got: "dropped", Confidence: "predicted", Findings: found},
			{Name: "the bank", Kind: "reach", Expect: "db -> internet:443", Line: 3, Column: 9, Status: "failed", Reason: "dropped: no masquerade", Got: "dropped", Confidence: "predicted", Findings: found},
			{Name: hostileName, Kind: "resolve", Expect: hostileName, Line: 4, Column: 7, Status: "failed", Reason: "nxdomain: " + hostileName, Got: "nxdomain"},
			{Name: "web -> other", Kind: "reach", Expect: "web -> other", Line: 5, Column: 5, Status: "unknown", Reason: "unknown: bpf", Got: "unknown"},
			{Name: "findings: none", Kind: "findings", Expect: "findings: none", Line: 6, Column: 5, Tags: []string{"slow"}, Status: "skipped"},
		},
	}
}

func written(t *testing.T, format string) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, results()["test"], format, Style{}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\u202e") {
		t.Errorf("%s lets control characters through", format)
	}
	return b.String()
}

func TestJUnitIsReadByAParser(t *testing.T) {
	t.Parallel()
	suites, err := junitparser.Ingest([]byte(written(t, "junit")))
	if err != nil {
		t.Fatal(err)
	}
	if len(suites) != 1 {
		t.Fatalf("%d suites", len(suites))
	}
	var got []string
	for _, c := range suites[0].Tests {
		got = append(got, string(c.Status)+" "+c.Classname)
	}
	want := []string{"passed netdoctor.reach", "failed netdoctor.reach", "failed netdoctor.reach", "failed netdoctor.resolve", "error netdoctor.reach", "skipped netdoctor.findings"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if tot := suites[0].Totals; tot.Tests != 6 || tot.Passed != 1 || tot.Failed != 3 || tot.Error != 1 || tot.Skipped != 1 {
		t.Errorf("totals %+v", tot)
	}
	if m := suites[0].Tests[1].Message; m != "dropped: no masquerade" {
		t.Errorf("message %q", m)
	}
	if e := suites[0].Tests[1].Error; e == nil || !strings.Contains(e.Error(), "ND3204") {
		t.Errorf("the failure does not tell the cause: %v", e)
	}
	if n := suites[0].Tests[3].Name; n != Clean(hostileName) {
		t.Errorf("name %q", n)
	}
}

func TestSARIFKeepsToItsSchema(t *testing.T) {
	t.Parallel()
	text := written(t, "sarif")
	var rep sarifspec.Report
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields() // the schema allows no others
	if err := dec.Decode(&rep); err != nil {
		t.Fatal(err)
	}
	// The module's own Validate looks at what it would write, not at what it read.
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	schema := sarifSchema(t)
	if err := schema.Validate(doc); err != nil {
		t.Error(err)
	}
	broken, err := jsonschema.UnmarshalJSON(strings.NewReader(strings.Replace(text, `"level": "error"`, `"level": "bad"`, 1)))
	if err != nil || schema.Validate(broken) == nil {
		t.Errorf("the schema lets a wrong level pass (%v)", err)
	}
	var rules []string
	for _, r := range rep.Runs[0].Results {
		at := r.Locations[0].PhysicalLocation
		rules = append(rules, *r.RuleID+" "+r.Level+" "+*at.ArtifactLocation.URI+" "+string(rune('0'+*at.Region.StartLine)))
	}
	want := []string{"ND3204 error ci/EXPECT.yaml 3", "ND3204 error ci/EXPECT.yaml 3", "expectation-resolve error ci/EXPECT.yaml 4", "expectation-reach warning ci/EXPECT.yaml 5"}
	if d := cmp.Diff(want, rules); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// sarifSchema is the schema of OASIS, as the go-sarif module carries it.
func sarifSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif").Output()
	if err != nil {
		t.Fatal(err)
	}
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(dir)), "schema.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var text string
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && v.Names[0].Name == "schema" {
			if lit, ok := v.Values[0].(*ast.BasicLit); ok {
				text, err = strconv.Unquote(lit.Value)
			}
		}
		return true
	})
	if err != nil || text == "" {
		t.Fatalf("no schema in the module: %v", err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft4)
	if err := c.AddResource("sarif.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("sarif.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTAPIsReadByProve(t *testing.T) {
	t.Parallel()
	text := written(t, "tap")
	golden(t, "testdata/test.tap", text)
	labtest.Tools(t, "prove")
	out, err := exec.CommandContext(t.Context(), "prove", "--nocolor", "--exec", "cat", "-v", "testdata/test.tap").CombinedOutput()
	if err == nil {
		t.Error("prove finds no failure")
	}
	for _, want := range []string{"Failed tests:  2-5", "Tests=6"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("prove does not say %q:\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "Parse errors") {
		t.Errorf("prove stumbles:\n%s", out)
	}
}

// TestGitHubCommands reads the lines as the runner does (actions/runner
// src/Runner.Common/ActionCommand.cs, TryParseV2).
func TestGitHubCommands(t *testing.T) {
	t.Parallel()
	unescape := strings.NewReplacer("%3A", ":", "%2C", ",", "%0A", "\n", "%0D", "\r", "%25", "%")
	form := regexp.MustCompile(`^::(\w+) ([^:]*)::(.*)$`)
	type command struct{ level, file, line, title, message string }
	var got []command
	sc := bufio.NewScanner(strings.NewReader(written(t, "github")))
	for sc.Scan() {
		if !strings.HasPrefix(sc.Text(), "::") {
			continue
		}
		m := form.FindStringSubmatch(sc.Text())
		if m == nil {
			t.Fatalf("no command: %q", sc.Text())
		}
		props := map[string]string{}
		for p := range strings.SplitSeq(m[2], ",") {
			k, v, _ := strings.Cut(p, "=")
			props[k] = unescape.Replace(v)
		}
		first, _, _ := strings.Cut(unescape.Replace(m[3]), "\n")
		got = append(got, command{m[1], props["file"], props["line"], props["title"], first})
	}
	want := []command{
		{"error", "ci/EXPECT.yaml", "3", "the shop", "dropped: no masquerade"},
		{"error", "ci/EXPECT.yaml", "3", "the bank", "dropped: no masquerade"},
		{"error", "ci/EXPECT.yaml", "4", Clean(hostileName), Clean("nxdomain: " + hostileName)},
		{"warning", "ci/EXPECT.yaml", "5", "web -> other", "unknown: bpf"},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(command{})); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// TestCIFormatsAreForTestsAndChecks: no other result can be written so.
func TestCIFormatsAreForTestsAndChecks(t *testing.T) {
	t.Parallel()
	for _, f := range CIFormats() {
		if err := Write(&bytes.Buffer{}, results()["trace"], f, Style{}); err == nil {
			t.Errorf("a trace was written as %s", f)
		}
	}
}

func TestNamesOfFilesInSARIF(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{"ci/EXPECT.yaml": "ci/EXPECT.yaml", "a b.yaml": "a%20b.yaml", "/srv/EXPECT.yaml": "file:///srv/EXPECT.yaml", "c:x.yaml": "./c:x.yaml"} {
		if got := uri(file); got != want {
			t.Errorf("%s is %s, want %s", file, got, want)
		}
	}
}
