package app

import (
	"slices"
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
)

// Explain is the page of one check, by its code or its name.
func (a *App) Explain(word string) (*v1.ExplainResult, error) {
	start := a.now()
	i := slices.IndexFunc(a.Checks, func(c diag.Check) bool {
		return strings.EqualFold(string(c.Code), word) || strings.EqualFold(c.Name, word)
	})
	if i < 0 {
		return nil, a.noCode(word)
	}
	c := &a.Checks[i]
	res := &v1.ExplainResult{
		Code: string(c.Code), Name: c.Name, Title: c.Title, Severity: string(c.Severity), Since: c.Since,
		Doc: strings.TrimSpace(c.Doc), Fixable: c.Fix != nil,
	}
	for _, after := range c.After {
		res.After = append(res.After, string(after))
	}
	res.Head = a.head(v1.KindExplain, start)
	return res, nil
}

// noCode is the error for a code that is not there.
func (a *App) noCode(word string) error {
	var known []string
	for i := range a.Checks {
		known = append(known, string(a.Checks[i].Code), a.Checks[i].Name)
	}
	return Meant(Usagef("no check is called %q", word), word, known, "netdoctor ls checks")
}
