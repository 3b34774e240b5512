package render

import (
	"cmp"
	"io"
	"net/url"
	"slices"
	"strings"
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
	Physical *sarifPhysical `json:"physicalLocation,omitempty"`
	Logical  []sarifLogical `json:"logicalLocations,omitempty"`
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

// sarifLogical is an object that lies in no file (section 3.33).
type sarifLogical struct {
	Name string `json:"fullyQualifiedName"`
}

// sarif writes what is to be told as results: at its line, or about its object;
// its rule is the finding that explains it, or the sort of expectation.
func sarif(w io.Writer, all *trials) error {
	run := sarifRun{Results: []sarifResult{}, ColumnKind: "unicodeCodePoints"}
	run.Tool.Driver = sarifDriver{Name: "netdoctor", InformationURI: "https://github.com/netdoctor/netdoctor", Rules: []sarifRule{}}
	for i := range all.list {
		t := &all.list[i]
		if t.level == "" {
			continue
		}
		if !slices.ContainsFunc(run.Tool.Driver.Rules, func(x sarifRule) bool { return x.ID == t.rule }) {
			rule := sarifRule{t.rule, t.kind, sarifText{t.kind}}
			if strings.HasPrefix(t.rule, "expectation-") {
				rule = sarifRule{ID: t.rule, Short: sarifText{"An expectation that does not hold"}}
			}
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, rule)
		}
		res := sarifResult{RuleID: t.rule, Level: t.level, Message: sarifText{t.name + ": " + t.text}}
		var at sarifLocation
		if t.file != "" {
			at.Physical = &sarifPhysical{}
			at.Physical.Artifact.URI = uri(t.file)
			at.Physical.Region.StartLine, at.Physical.Region.StartColumn = t.line, t.column
		} else {
			at.Logical = []sarifLogical{{cmp.Or(t.about, "host")}}
		}
		res.Locations = append(res.Locations, at)
		run.Results = append(run.Results, res)
	}
	return writeJSON(w, sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}}, true)
}

// uri is a file's name as a reference of RFC 3986; a full name is a file's URI.
func uri(file string) string {
	u := url.URL{Path: file}
	if strings.HasPrefix(file, "/") {
		u.Scheme = "file"
	}
	return u.String()
}
