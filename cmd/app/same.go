package app

import (
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
)

// same says whether a finding is among others, whoever suffers from it there.
func same(fs []diag.Finding, f *diag.Finding) bool {
	return slices.ContainsFunc(fs, func(g diag.Finding) bool { return sameAs(&g, f) })
}

// sameAs says whether two findings, of two looks at a host, are of one thing. A rule is
// known by its text and its chain: its number is the next one's when it is gone.
func sameAs(a, b *diag.Finding) bool {
	x, y := a.Subject, b.Subject
	if a.Code != b.Code || x.Kind != "rule" || len(a.Evidence) == 0 || len(b.Evidence) == 0 {
		return a.Code == b.Code && x == y
	}
	x.Name, y.Name = chainOf(x.Name), chainOf(y.Name)
	return x == y && a.Evidence[0].Text == b.Evidence[0].Text // the rule itself comes first
}

// chainOf is a rule's name or reference without its number.
func chainOf(rule string) string { return strings.TrimRight(rule, "0123456789") }
