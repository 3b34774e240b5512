package render

import (
	"io"
	"net/url"
	"slices"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

// The part of SARIF 2.1.0 that is used (OASIS sarif-v2.1.0, section 3).
type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool struct {
		Driver sarifDriver `json:"driver"`
	} `json:"tool"`
	Results    []sarifResult `json:"results"`
	ColumnKind string        `json:"columnKind"`
}

type sarifDriver struct {
	Name           string      `json:"name"`
	InformationURI string      `json:"informationUri"`
	Rules          []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID    string    `json:"id"`
	Name  string    `json:"name,omitempty"`
	Short sarifText `json:"shortDescription"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifResult struct {
	RuleID    string          `json:"ruleId"`
	Level     string          `json:"level"`
	Message   sarifText       `json:"message"`
	Locations []sarifLocation `json:"locations"`
}

type sarifLocation struct {
	Physical sarifPhysical `json:"physicalLocation"`
}

type sarifPhysical struct {
	Artifact struct {
		URI string `json:"uri"`
	} `json:"artifactLocation"`
	Region struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
	} `json:"region"`
}

// sarif writes each expectation that does not hold as a result at its line; its
// rule is the finding that explains it, or the sort of expectation.
func sarif(w io.Writer, r *v1.TestResult) error {
	run := sarifRun{Results: []sarifResult{}, ColumnKind: "unicodeCodePoints"}
	run.Tool.Driver = sarifDriver{Name: "netdoctor", InformationURI: "https://github.com/netdoctor/netdoctor", Rules: []sarifRule{}}
	rule := func(id, name, text string) {
		if !slices.ContainsFunc(run.Tool.Driver.Rules, func(x sarifRule) bool { return x.ID == id }) {
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{id, name, sarifText{text}})
		}
	}
	for i := range r.Tests {
		t := &r.Tests[i]
		level := map[string]string{"failed": "error", "unknown": "warning"}[t.Status]
		if level == "" {
			continue
		}
		id := "expectation-" + t.Kind
		if len(t.Findings) > 0 {
			id = t.Findings[0].Code
			rule(id, t.Findings[0].Name, Clean(t.Findings[0].Name))
		} else {
			rule(id, "", "An expectation that does not hold")
		}
		res := sarifResult{RuleID: id, Level: level, Message: sarifText{Clean(t.Name) + ": " + because(t)}}
		var at sarifLocation
		at.Physical.Artifact.URI = uri(r.File)
		at.Physical.Region.StartLine, at.Physical.Region.StartColumn = t.Line, t.Column
		res.Locations = append(res.Locations, at)
		run.Results = append(run.Results, res)
	}
	return writeJSON(w, sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}}, true)
}

// uri is a file's name as a relative or absolute reference of RFC 3986.
func uri(file string) string { return (&url.URL{Path: file}).String() }
