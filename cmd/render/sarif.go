package render

import (
	"cmp"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/diag/checks"
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
	Help  string    `json:"helpUri,omitempty"`
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
	run.Tool.Driver = sarifDriver{Name: "netdoctor", InformationURI: home, Rules: []sarifRule{}}
	for i := range all.list {
		t := &all.list[i]
		if t.level == "" {
			continue
		}
		if !slices.ContainsFunc(run.Tool.Driver.Rules, func(x sarifRule) bool { return x.ID == t.rule }) {
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, ruleOf(t))
		}
		res := sarifResult{RuleID: t.rule, Level: t.level, Message: sarifText{t.text}}
		if !strings.HasPrefix(t.text, t.rule) { // it does not say what it is about
			res.Message.Text = t.name + ": " + t.text
		}
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

// home is where the program and its documents live.
const home = "https://github.com/netdoctor/netdoctor"

// ruleOf is the rule of a result: the check that found it, or the sort of expectation.
func ruleOf(t *trial) sarifRule {
	if c, ok := checks.ByCode(diag.Code(t.rule)); ok {
		return sarifRule{t.rule, t.kind, sarifText{c.Title}, home + "/blob/main/docs/checks/" + t.rule + ".md"}
	}
	if strings.HasPrefix(t.rule, "expectation-") {
		return sarifRule{ID: t.rule, Short: sarifText{"An expectation that does not hold"}}
	}
	return sarifRule{ID: t.rule, Name: t.kind, Short: sarifText{t.kind}}
}

// uri is a file's name as a reference of RFC 3986; a full name is a file's URI.
func uri(file string) string {
	u := url.URL{Path: file}
	if strings.HasPrefix(file, "/") {
		u.Scheme = "file"
	}
	return u.String()
}
