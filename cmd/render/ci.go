package render

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/net/html"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
)

// CIFormats are the formats of CI systems, for a TestResult and a CheckResult.
func CIFormats() []string { return []string{"junit", "tap", "sarif", "github"} }

// trials are what a CI system shows of a result.
type trials struct {
	head   *v1.Head
	suite  string
	list   []trial
	counts map[string]int // by status
}

// trial is one thing that was held against the host.
type trial struct {
	name, class, kind string
	status            string // passed, failed, unknown, skipped
	level             string // error, warning or note where something is to be told; else ""
	message           string // one sentence
	text              string // and what it rests on
	got               string
	rule, about       string // of SARIF: what is broken, and the object that is
	ms                float64
	file              string // "" has no place in a file
	line, column      int
}

// ci writes a result in one of CIFormats.
func ci(w io.Writer, r v1.Result, format string, st Style) error {
	var all trials
	switch v := r.(type) {
	case *v1.TestResult:
		all = testTrials(v)
	case *v1.CheckResult:
		all = checkTrials(v, diag.Severity(cmp.Or(st.FailOn, string(diag.Error))))
	default:
		return fmt.Errorf("format %q is not for a %s", format, r.Meta().Kind)
	}
	all.counts = map[string]int{}
	for i := range all.list {
		all.counts[all.list[i].status]++
	}
	switch format {
	case "junit":
		return junit(w, &all)
	case "tap":
		return tap(w, &all)
	case "sarif":
		return sarif(w, &all)
	}
	return github(w, &all)
}

// testTrials has one for each expectation.
func testTrials(r *v1.TestResult) trials {
	all := trials{head: &r.Head, suite: "netdoctor " + Clean(r.File)}
	for i := range r.Tests {
		t := &r.Tests[i]
		x := trial{
			name: Clean(t.Name), class: "netdoctor." + t.Kind, kind: t.Kind, status: t.Status, message: Clean(t.Reason), got: t.Got, ms: t.DurationMs,
			level: map[string]string{"failed": "error", "unknown": "warning"}[t.Status], rule: "expectation-" + t.Kind,
			file: Clean(r.File), line: t.Line, column: t.Column,
		}
		lines := []string{t.Reason}
		for k := range t.Findings {
			lines = append(lines, because(&t.Findings[k])...)
		}
		if len(t.Findings) > 0 {
			x.rule, x.kind = t.Findings[0].Code, Clean(t.Findings[0].Name)
		}
		if t.Status == "skipped" {
			x.message = "left out by its tags"
		}
		x.text = cleaned(lines)
		all.list = append(all.list, x)
	}
	return all
}

// checkTrials has one for each check that found nothing, and one for each
// finding. It fails from the severity on that the exit code does, too; what is
// below is told, and passes.
func checkTrials(r *v1.CheckResult, failOn diag.Severity) trials {
	all := trials{head: &r.Head, suite: "netdoctor check " + Clean(r.Host.Name)}
	found := map[string]bool{}
	for i := range r.Findings {
		f := &r.Findings[i]
		found[f.Code] = true
		for _, h := range f.Hides {
			found[h] = true
		}
		x := trial{
			name: Clean(strings.TrimSpace(f.Code + " " + f.Subject.Name)), class: "netdoctor.check", status: "passed", level: f.Severity, message: Clean(f.Summary), got: f.Severity,
			text: cleaned(because(f)), rule: f.Code, kind: Clean(f.Name), about: Clean(strings.Trim(f.Subject.Netns+"/"+f.Subject.Name, "/")),
		}
		if diag.Severity(f.Severity).Rank() >= failOn.Rank() {
			x.status = "failed"
		}
		if f.Severity == string(diag.Info) {
			x.level = "note"
		}
		all.list = append(all.list, x)
	}
	for _, code := range r.Coverage.Ran {
		if !found[code] {
			all.list = append(all.list, trial{name: Clean(code), class: "netdoctor.check", status: "passed"})
		}
	}
	for _, k := range r.Coverage.Skipped {
		x := trial{name: Clean(strings.TrimSpace(k.Check + " " + k.Netns)), class: "netdoctor.coverage", status: "skipped", message: Clean(k.Reason), rule: "coverage", kind: "not read"}
		if r.Verdict == "unknown" {
			x.status, x.level, x.text = "unknown", "warning", cleaned([]string{k.Reason, k.Needs})
		}
		all.list = append(all.list, x)
	}
	return all
}

// because is what a finding says, with its evidence and what is to be done.
func because(f *v1.Finding) []string {
	lines := []string{f.Code + " " + f.Summary}
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
	return lines
}

func cleaned(lines []string) string {
	for i := range lines {
		lines[i] = Clean(lines[i])
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// junit writes JUnit's XML, as Jenkins, GitLab and others read it
// (github.com/testmoapp/junitxml describes what they agree on). What is no character
// of XML is cleaned away, as a person's name may hold anything.
func junit(w io.Writer, all *trials) error {
	text := func(key, value string) html.Attribute { return at(key, Clean(value)) }
	number := func(key string, n int) html.Attribute { return at(key, strconv.Itoa(n)) }
	seconds := func(ms float64) html.Attribute { return at("time", fmt.Sprintf("%.3f", ms/1000)) }
	suite := el("testsuite", text("name", all.suite), number("tests", len(all.list)), number("failures", all.counts["failed"]),
		number("errors", all.counts["unknown"]), number("skipped", all.counts["skipped"]), seconds(all.head.DurationMs),
		at("timestamp", all.head.StartedAt.Format("2006-01-02T15:04:05")))
	for i := range all.list {
		t := &all.list[i]
		c := el("testcase", text("name", t.name), text("classname", t.class))
		if t.file != "" {
			c.Attr = append(c.Attr, text("file", t.file), number("line", t.line))
		}
		c.Attr = append(c.Attr, seconds(t.ms))
		said := func(tag string) *html.Node {
			n := el(tag, text("message", t.message), t.text)
			if t.got != "" {
				n.Attr = append(n.Attr, text("type", t.got))
			}
			return n
		}
		switch t.status {
		case "failed":
			c.AppendChild(said("failure"))
		case "unknown":
			c.AppendChild(said("error"))
		case "skipped":
			c.AppendChild(el("skipped", text("message", t.message)))
		default:
			if t.text != "" {
				c.AppendChild(el("system-out", t.text))
			}
		}
		suite.AppendChild(lineBreak("    "))
		suite.AppendChild(c)
	}
	suite.AppendChild(lineBreak("  "))
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	if err := html.Render(&b, el("testsuites", lineBreak("  "), suite, lineBreak(""))); err != nil {
		return fmt.Errorf("writing JUnit: %w", err)
	}
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// lineBreak is white space between elements.
func lineBreak(indent string) *html.Node {
	return &html.Node{Type: html.TextNode, Data: "\n" + indent}
}

// tap writes the Test Anything Protocol, version 13.
func tap(w io.Writer, all *trials) error {
	var b strings.Builder
	fmt.Fprintf(&b, "TAP version 13\n1..%d\n", len(all.list))
	for i := range all.list {
		t := &all.list[i]
		ok, directive := "ok", ""
		switch t.status {
		case "failed", "unknown":
			ok = "not ok"
		case "skipped":
			directive = " # SKIP " + t.message
		}
		// A "#" would begin a directive.
		fmt.Fprintf(&b, "%s %d - %s%s\n", ok, i+1, strings.ReplaceAll(t.name, "#", `\#`), directive)
		if t.level == "" {
			continue
		}
		said := map[string]any{"status": t.status, "message": t.message, "got": t.got}
		if t.file != "" {
			said["at"] = map[string]any{"file": t.file, "line": t.line, "column": t.column}
		}
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

// github writes workflow commands: an annotation for what is to be told, at its
// line where it has one (docs.github.com, workflow commands). Values are escaped
// as actions/toolkit packages/core/src/command.ts does.
func github(w io.Writer, all *trials) error {
	value := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	var b strings.Builder
	for i := range all.list {
		t := &all.list[i]
		if t.level == "" {
			continue
		}
		at := ""
		if t.file != "" {
			at = fmt.Sprintf("file=%s,line=%d,col=%d,", property.Replace(t.file), t.line, t.column)
		}
		fmt.Fprintf(&b, "::%s %stitle=%s::%s\n", strings.Replace(t.level, "note", "notice", 1), at, property.Replace(t.name), value.Replace(t.text))
	}
	fmt.Fprintf(&b, "%d passed, %d failed, %d unknown, %d skipped\n", all.counts["passed"], all.counts["failed"], all.counts["unknown"], all.counts["skipped"])
	_, err := io.WriteString(w, b.String())
	return err
}
