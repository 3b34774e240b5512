package app

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Expectation is one line of a file of expectations.
type Expectation struct {
	Kind string // "reach", "resolve" or "findings"
	Name string // what a person calls it; "" the expectation itself
	Text string // as written
	Tags []string

	Not      bool          // reach, resolve: it must not
	From, To string        // reach: the flow; resolve: who asks for which name
	Type     string        // resolve: the record type; "" is A
	Answers  []string      // resolve: exactly these; nil does not matter
	Count    int           // resolve: so many answers; 0 does not matter
	Within   time.Duration // reach: the answer comes within; 0 does not matter
	MTU      int           // reach: whole packets of this size pass; 0 does not matter
	Above    diag.Severity // findings: none above it; "" none at all

	Line, Column int
}

// expectLimit bounds a file of expectations: a thousand of them take a tenth.
const expectLimit = 1 << 20

// expectError is what is wrong with such a file, and where.
func expectError(file string, line, col int, format string, args ...any) error {
	return Usagef("%s:%d:%d: %s", file, line, max(col, 1), fmt.Sprintf(format, args...))
}

// syntaxLine is how the YAML library says where a text is no YAML.
var syntaxLine = regexp.MustCompile(`^yaml: (?:.*: )?line (\d+): (.*)$`)

// parseExpectations reads a file of expectations. An error names the line, the
// column, and what was expected there.
func parseExpectations(file string, r io.Reader) ([]Expectation, error) {
	data, err := io.ReadAll(io.LimitReader(r, expectLimit+1))
	if err != nil {
		return nil, badFile{fmt.Errorf("reading %s: %w", file, err)}
	}
	if len(data) > expectLimit {
		return nil, Usagef("%s is larger than %d bytes", file, expectLimit)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		line, what := 1, strings.TrimPrefix(err.Error(), "yaml: ")
		if m := syntaxLine.FindStringSubmatch(err.Error()); m != nil {
			line, _ = strconv.Atoi(m[1]) // \d+ of a text of a megabyte fits
			what = m[2]
		}
		col := 1
		if lines := strings.Split(string(data), "\n"); line <= len(lines) {
			col = len(lines[line-1]) - len(strings.TrimLeft(lines[line-1], " ")) + 1
		}
		return nil, snap.Hint(expectError(file, line, col, "this is no YAML: %s; expected a list under \"expect:\"", what), "netdoctor help expectations")
	}
	p := expectParser{file}
	if len(doc.Content) == 0 {
		return nil, p.at(&yaml.Node{Line: 1, Column: 1}, "the file is empty; expected a list under \"expect:\"")
	}
	return p.top(doc.Content[0])
}

type expectParser struct{ file string }

func (p expectParser) at(n *yaml.Node, format string, args ...any) error {
	return snap.Hint(expectError(p.file, n.Line, n.Column, format, args...), "netdoctor help expectations")
}

func (p expectParser) top(n *yaml.Node) ([]Expectation, error) {
	if n.Kind != yaml.MappingNode {
		return nil, p.at(n, "expected \"expect:\" with a list of expectations, found %s", nodeKind(n))
	}
	var out []Expectation
	found := false
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Value != "expect" {
			return nil, p.at(k, "unknown key %q; expected \"expect\"", k.Value)
		}
		found = true
		if v.Kind != yaml.SequenceNode {
			return nil, p.at(v, "expected a list of expectations, each behind a \"- \", found %s", nodeKind(v))
		}
		for _, item := range v.Content {
			e, err := p.item(item)
			if err != nil {
				return nil, err
			}
			out = append(out, e)
		}
	}
	if !found || len(out) == 0 {
		return nil, p.at(n, "nothing is expected; write at least one line as \"- web -> db:5432\"")
	}
	return out, nil
}

// item is one expectation: a flow in short, or a map with one of reach, resolve
// and findings.
func (p expectParser) item(n *yaml.Node) (Expectation, error) {
	e := Expectation{Line: n.Line, Column: n.Column}
	switch n.Kind {
	case yaml.ScalarNode:
		e.Kind = "reach"
		return e, p.flow(n, &e)
	case yaml.MappingNode:
	default:
		return e, p.at(n, "expected \"SRC -> DST\" or a map with reach, resolve or findings, found %s", nodeKind(n))
	}
	keys := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if keys[k.Value] != nil {
			return e, p.at(k, "%q stands here twice", k.Value)
		}
		keys[k.Value] = v
		var err error
		switch k.Value {
		case "reach", "resolve", "findings":
			if e.Kind != "" {
				return e, p.at(k, "%s and %s in one expectation; expected one of them", e.Kind, k.Value)
			}
			e.Kind = k.Value
			if e.Kind == "findings" {
				err = p.findings(v, &e)
			} else {
				err = p.flow(v, &e)
			}
		case "name":
			e.Name, err = p.text(v)
		case "tags":
			e.Tags, err = p.list(v)
		case "type", "answers", "count", "within", "mtu":
		default:
			err = p.at(k, "unknown key %q; expected one of reach, resolve, findings, name, tags, within, mtu, type, answers, count", k.Value)
		}
		if err != nil {
			return e, err
		}
	}
	if e.Kind == "" {
		return e, p.at(n, "expected one of reach, resolve and findings in this expectation")
	}
	return e, p.bounds(keys, &e)
}

// bounds are what an expectation demands beside its verdict.
func (p expectParser) bounds(keys map[string]*yaml.Node, e *Expectation) error {
	of := map[string]string{"within": "reach", "mtu": "reach", "type": "resolve", "answers": "resolve", "count": "resolve"}
	var names []string
	for k := range keys {
		names = append(names, k)
	}
	slices.Sort(names)
	for _, k := range names {
		v, kind := keys[k], of[k]
		if kind == "" {
			continue
		}
		if kind != e.Kind {
			return p.at(v, "%s belongs to %s, this is %s", k, kind, e.Kind)
		}
		if e.Not && k != "type" {
			return p.at(v, "%s says how it works, but it must not work at all", k)
		}
		var err error
		switch k {
		case "within":
			if e.Within, err = time.ParseDuration(v.Value); err != nil || e.Within <= 0 {
				return p.at(v, "%q is no time; expected one as 50ms or 2s", v.Value)
			}
		case "mtu":
			if e.MTU, err = strconv.Atoi(v.Value); err != nil || e.MTU < 68 || e.MTU > 65535 {
				return p.at(v, "%q is no packet size; expected a number from 68 to 65535", v.Value)
			}
		case "count":
			if e.Count, err = strconv.Atoi(v.Value); err != nil || e.Count < 1 {
				return p.at(v, "%q is no number of answers; expected 1 or more", v.Value)
			}
		case "type":
			if e.Type = strings.ToUpper(v.Value); !slices.Contains(types(), e.Type) {
				return p.at(v, "%q is no record type; expected one of %s", v.Value, strings.Join(types(), ", "))
			}
		case "answers":
			if e.Answers, err = p.list(v); err != nil {
				return err
			}
		}
	}
	return nil
}

// arrow stands between the sides of a flow: "->", or "-x->" for what must not be.
var arrow = regexp.MustCompile(`^(\S+)\s+(-(?:x-)?>)\s+(\S+)$`)

func (p expectParser) flow(n *yaml.Node, e *Expectation) error {
	text, err := p.text(n)
	if err != nil {
		return err
	}
	e.Text = text
	m := arrow.FindStringSubmatch(text)
	if m == nil {
		want := "web -> db:5432"
		if e.Kind == "resolve" {
			want = "web -> db"
		}
		return p.at(n, "%q is no expectation; expected \"SRC -> DST\" or \"SRC -x-> DST\", as in %q", text, want)
	}
	e.From, e.Not, e.To = m[1], m[2] == "-x->", m[3]
	if _, err := parse(e.From, false); err != nil {
		return p.at(n, "expected a source before the arrow: %v", err)
	}
	if e.Kind == "reach" {
		if _, err := parse(e.To, true); err != nil {
			return p.at(n, "expected a destination behind the arrow: %v", err)
		}
	} else if len(e.To) > 253 || strings.ContainsAny(e.To, "/:") {
		return p.at(n, "%q is no name; expected one behind the arrow, as in \"web -> db\"", e.To)
	}
	return nil
}

func (p expectParser) findings(n *yaml.Node, e *Expectation) error {
	text, err := p.text(n)
	if err != nil {
		return err
	}
	e.Text = "findings: " + text
	switch text {
	case "none":
	case "none above info":
		e.Above = diag.Info
	case "none above warning":
		e.Above = diag.Warning
	default:
		return p.at(n, "%q is no bound for findings; expected \"none\", \"none above info\" or \"none above warning\"", text)
	}
	return nil
}

func (p expectParser) text(n *yaml.Node) (string, error) {
	if n.Kind != yaml.ScalarNode || strings.TrimSpace(n.Value) == "" {
		return "", p.at(n, "expected a text, found %s", nodeKind(n))
	}
	return strings.TrimSpace(n.Value), nil
}

func (p expectParser) list(n *yaml.Node) ([]string, error) {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		return nil, p.at(n, "expected a list as [a, b], found %s", nodeKind(n))
	}
	var out []string
	for _, c := range n.Content {
		t, err := p.text(c)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// nodeKind is what stands there, in words.
func nodeKind(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a map"
	case n.Kind == yaml.SequenceNode:
		if len(n.Content) == 0 {
			return "an empty list"
		}
		return "a list"
	case n.Kind == yaml.AliasNode:
		return "an alias"
	case n.Value == "" || n.Tag == "!!null":
		return "nothing"
	}
	return strconv.Quote(n.Value)
}
