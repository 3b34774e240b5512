package render

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	junitparser "github.com/joshdk/go-junit"
	"github.com/santhosh-tekuri/jsonschema/v6"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/testenv/labtest"
)

// checked is a check with a finding of each severity, as a CI system sees it.
func checked() *v1.CheckResult {
	f := func(code, severity, name string) v1.Finding {
		return v1.Finding{
			Code: code, Name: strings.ToLower(code), Severity: severity, Summary: "what " + name + " does", Subject: v1.Subject{Kind: "link", Name: name, Netns: "host"},
			Evidence: []v1.Evidence{{Source: "ip link", Text: "state DOWN"}}, Advice: "look at " + name,
		}
	}
	return &v1.CheckResult{
		Head: head(v1.KindCheck), Verdict: "problems", Host: v1.HostInfo{Name: "ci"},
		Tail: v1.Tail{
			Findings: []v1.Finding{f("ND1101", "error", hostileName), f("ND2102", "warning", "eth0"), f("ND6102", "info", "docker")},
			Coverage: v1.Coverage{Ran: []string{"ND1101", "ND1102", "ND2102", "ND6102"}, Skipped: []v1.Skip{{Check: "ND7201", Reason: "no CAP_BPF # 1", Needs: "root"}}},
		},
	}
}

func inFormat(t *testing.T, r v1.Result, format string, st Style) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, r, format, st); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\u202e") {
		t.Errorf("%s lets control characters through", format)
	}
	return b.String()
}

// TestCheckForCI: what fails is what the exit code says, and each format is read
// by those who read it.
func TestCheckForCI(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		failOn string
		failed int
	}{{"", 1}, {"error", 1}, {"warning", 2}, {"info", 3}} {
		suites, err := junitparser.Ingest([]byte(inFormat(t, checked(), "junit", Style{FailOn: c.failOn})))
		if err != nil || len(suites) != 1 {
			t.Fatalf("%d suites, %v", len(suites), err)
		}
		if tot := suites[0].Totals; tot.Tests != 5 || tot.Failed != c.failed || tot.Passed != 4-c.failed || tot.Skipped != 1 || tot.Error != 0 {
			t.Errorf("--fail-on %q: %+v", c.failOn, tot)
		}
		if n := suites[0].Tests[0]; n.Name != "ND1101 "+Clean(hostileName) || n.Error == nil || !strings.Contains(n.Error.Error(), "state DOWN") {
			t.Errorf("%+v", n)
		}
	}
	blind := checked()
	blind.Verdict, blind.Findings = "unknown", nil
	suites, err := junitparser.Ingest([]byte(inFormat(t, blind, "junit", Style{})))
	if err != nil || suites[0].Totals.Error != 1 {
		t.Errorf("what decides and was not read is no error: %+v, %v", suites, err)
	}
}

func TestCheckInSARIF(t *testing.T) {
	t.Parallel()
	text := inFormat(t, checked(), "sarif", Style{})
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := sarifSchema(t).Validate(doc); err != nil {
		t.Error(err)
	}
	for _, want := range []string{`"level": "error"`, `"level": "warning"`, `"level": "note"`, `"fullyQualifiedName": "host/eth0"`,
		`"text": "The bridge of a network is administratively down"`, `/docs/checks/ND1101.md"`, `"text": "ND1101 `} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s:\n%s", want, text)
		}
	}
	if strings.Contains(text, "physicalLocation") {
		t.Error("a check lies in no file")
	}
}

func TestCheckInTAP(t *testing.T) {
	t.Parallel()
	labtest.Tools(t, "prove")
	path := filepath.Join(t.TempDir(), "check.tap")
	text := inFormat(t, checked(), "tap", Style{FailOn: "warning"})
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "prove", "--nocolor", "--exec", "cat", "-v", path).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "Failed tests:  1-2") || !strings.Contains(string(out), "1 skipped subtest") || strings.Contains(string(out), "Parse errors") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestCheckForGitHub(t *testing.T) {
	t.Parallel()
	var got []string
	for l := range strings.SplitSeq(inFormat(t, checked(), "github", Style{}), "\n") {
		if head, text, ok := strings.Cut(strings.TrimPrefix(l, "::"), "::"); ok && l != head {
			code, _, _ := strings.Cut(text, " ")
			got = append(got, head[:strings.IndexByte(head, ' ')]+" "+code)
		}
	}
	if d := cmp.Diff([]string{"error ND1101", "warning ND2102", "notice ND6102"}, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
