package render

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

// TestFormats are the formats for CI that only a TestResult has.
func TestFormats() []string { return []string{"junit", "tap", "sarif", "github"} }

// ci writes a TestResult in one of TestFormats.
func ci(w io.Writer, r v1.Result, format string) error {
	t, ok := r.(*v1.TestResult)
	if !ok {
		return fmt.Errorf("format %q is not for a %s", format, r.Meta().Kind)
	}
	switch format {
	case "junit":
		return junit(w, t)
	case "tap":
		return tap(w, t)
	case "sarif":
		return sarif(w, t)
	}
	return github(w, t)
}

// test is the screen: quiet for what holds.
func (p *printer) test(r *v1.TestResult, wide bool) {
	if !p.st.Quiet {
		p.ends([]span{in(bold, r.File), s("   " + hostLine(r.Host, nil))}, in(dim, seconds(r.DurationMs)))
		p.line()
	}
	for i := range r.Tests {
		t := &r.Tests[i]
		if p.st.Quiet && t.Status != "failed" && t.Status != "unknown" {
			continue
		}
		sign, paint := p.st.sign("?")
		switch t.Status {
		case "passed":
			sign, paint = p.st.sign("ok")
		case "failed":
			sign, paint = p.st.sign("fail")
		case "skipped":
			sign, paint = "-", dim
		}
		proof := ""
		if t.Confidence == "proved" {
			proof = "proved"
		}
		p.ends([]span{in(paint, sign+" "), s(t.Name)}, in(dim, proof))
		if t.Reason != "" {
			p.labelled("    ", "got", s(t.Reason))
			p.labelled("    ", "at", s(fmt.Sprintf("%s:%d:%d", r.File, t.Line, t.Column)))
		}
		if len(t.Findings) > 0 && t.Kind != "findings" {
			f := &t.Findings[0]
			p.labelled("    ", "cause", s(f.Code+" "+f.Summary))
			p.remedy(f)
		}
		if wide || p.st.Verbose {
			p.findings(t.Findings, wide)
		}
	}
	if p.st.Quiet {
		return
	}
	p.line()
	if r.Bundle != "" {
		p.labelled("", "kept", s(r.Bundle+": netdoctor check --snapshot "+r.Bundle))
	}
	sum := fmt.Sprintf("%d passed, %d failed", r.Summary.Passed, r.Summary.Failed)
	if r.Summary.Unknown > 0 {
		sum += fmt.Sprintf(", %d unknown", r.Summary.Unknown)
	}
	if r.Summary.Skipped > 0 {
		sum += fmt.Sprintf(", %d skipped", r.Summary.Skipped)
	}
	if r.Rounds > 1 {
		sum += fmt.Sprintf(" · looked %d times", r.Rounds)
	}
	p.ends([]span{s(sum)}, in(dim, fmt.Sprintf("exit %d", p.st.Exit)))
}

// because is the reason of a test that does not hold, with its root cause.
func because(t *v1.Test) string {
	lines := []string{t.Reason}
	for i := range t.Findings {
		f := &t.Findings[i]
		lines = append(lines, f.Code+" "+f.Summary)
		for _, e := range f.Evidence {
			lines = append(lines, "  "+strings.TrimRight(e.Text, "\n")+"  ("+e.Source+")")
		}
		if f.Fix != nil {
			for _, c := range f.Fix.Commands {
				lines = append(lines, "  fix: "+c)
			}
		} else if f.Advice != "" {
			lines = append(lines, "  do: "+f.Advice)
		}
	}
	for i := range lines {
		lines[i] = Clean(lines[i])
	}
	return strings.Join(lines, "\n")
}

// The elements of JUnit's XML, as Jenkins, GitLab and others read them
// (github.com/testmoapp/junitxml describes what they agree on).
type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name      string      `xml:"name,attr"`
	Tests     int         `xml:"tests,attr"`
	Failures  int         `xml:"failures,attr"`
	Errors    int         `xml:"errors,attr"`
	Skipped   int         `xml:"skipped,attr"`
	Time      string      `xml:"time,attr"`
	Timestamp string      `xml:"timestamp,attr"`
	Cases     []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string     `xml:"name,attr"`
	Class   string     `xml:"classname,attr"`
	File    string     `xml:"file,attr"`
	Line    int        `xml:"line,attr"`
	Time    string     `xml:"time,attr"`
	Failure *junitSaid `xml:"failure,omitempty"`
	Error   *junitSaid `xml:"error,omitempty"`
	Skipped *struct{}  `xml:"skipped,omitempty"`
}

type junitSaid struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

func junit(w io.Writer, r *v1.TestResult) error {
	suite := junitSuite{
		Name: "netdoctor " + Clean(r.File), Tests: len(r.Tests), Failures: r.Summary.Failed, Errors: r.Summary.Unknown, Skipped: r.Summary.Skipped,
		Time: fmt.Sprintf("%.3f", r.DurationMs/1000), Timestamp: r.StartedAt.Format("2006-01-02T15:04:05"),
	}
	for i := range r.Tests {
		t := &r.Tests[i]
		c := junitCase{Name: Clean(t.Name), Class: "netdoctor." + t.Kind, File: Clean(r.File), Line: t.Line, Time: fmt.Sprintf("%.3f", t.DurationMs/1000)}
		said := &junitSaid{Message: Clean(t.Reason), Type: t.Got, Text: because(t)}
		switch t.Status {
		case "failed":
			c.Failure = said
		case "unknown":
			c.Error = said
		case "skipped":
			c.Skipped = &struct{}{}
		}
		suite.Cases = append(suite.Cases, c)
	}
	out, err := xml.MarshalIndent(junitSuites{Suites: []junitSuite{suite}}, "", "  ")
	if err != nil {
		return fmt.Errorf("writing JUnit: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, out)
	return err
}

// tap writes the Test Anything Protocol, version 13.
func tap(w io.Writer, r *v1.TestResult) error {
	var b strings.Builder
	fmt.Fprintf(&b, "TAP version 13\n1..%d\n", len(r.Tests))
	for i := range r.Tests {
		t := &r.Tests[i]
		ok, directive := "ok", ""
		switch t.Status {
		case "failed", "unknown":
			ok = "not ok"
		case "skipped":
			directive = " # SKIP left out by its tags"
		}
		// A "#" would begin a directive.
		fmt.Fprintf(&b, "%s %d - %s%s\n", ok, i+1, strings.ReplaceAll(Clean(t.Name), "#", `\#`), directive)
		if ok == "ok" {
			continue
		}
		said := map[string]any{"status": t.Status, "message": t.Reason, "got": t.Got, "at": map[string]any{"file": r.File, "line": t.Line, "column": t.Column}}
		data, err := json.Marshal(said)
		if err != nil {
			return fmt.Errorf("writing TAP: %w", err)
		}
		var y strings.Builder
		if err := writeYAML(&y, json.RawMessage(data)); err != nil {
			return err
		}
		b.WriteString("  ---\n")
		for _, l := range strings.Split(strings.TrimRight(y.String(), "\n"), "\n") {
			b.WriteString("  " + l + "\n")
		}
		b.WriteString("  ...\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// github writes workflow commands: an annotation for each expectation that does
// not hold, at its line (docs.github.com, workflow commands). Values are escaped
// as actions/toolkit packages/core/src/command.ts does.
func github(w io.Writer, r *v1.TestResult) error {
	value := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	var b strings.Builder
	for i := range r.Tests {
		t := &r.Tests[i]
		level := map[string]string{"failed": "error", "unknown": "warning"}[t.Status]
		if level == "" {
			continue
		}
		fmt.Fprintf(&b, "::%s file=%s,line=%d,col=%d,title=%s::%s\n", level, property.Replace(Clean(r.File)), t.Line, t.Column, property.Replace(Clean(t.Name)), value.Replace(because(t)))
	}
	fmt.Fprintf(&b, "%d passed, %d failed, %d unknown, %d skipped\n", r.Summary.Passed, r.Summary.Failed, r.Summary.Unknown, r.Summary.Skipped)
	_, err := io.WriteString(w, b.String())
	return err
}
