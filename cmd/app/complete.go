package app

import (
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
)

// maxRounds bounds how often what the fixes leave is looked at.
const maxRounds = 3

// complete adds to the chosen fixes what would still stop the same flows after
// them: of two rules that stop a packet one behind the other, or of one that stops
// the request and one that stops the answer, the first hides the second. It is
// found by trying the fixes on the value, so that the plan holds all that will be
// done.
func (a *App) complete(d *diagnosis, chosen []int) []int {
	var ops []fixups.Op
	for _, i := range chosen {
		if f := &d.r.Findings[i]; f.Fix != nil {
			ops = append(ops, f.Fix.Ops...)
		}
	}
	for range maxRounds {
		if len(ops) == 0 {
			return chosen
		}
		then, err := d.in.WhatIf(ops)
		if err != nil {
			return chosen // what can't be tried is not looked beyond
		}
		more := false
		for _, f := range diag.Run(then, a.Checks).Findings {
			if f.Severity != diag.Error || f.Fix == nil || len(f.Fix.Ops) == 0 || !suffers(d.in, &f) || known(d.r.Findings, &f) {
				continue
			}
			d.r.Findings = append(d.r.Findings, f)
			chosen = append(chosen, len(d.r.Findings)-1)
			ops = append(ops, f.Fix.Ops...)
			more = true
		}
		if !more {
			return chosen
		}
	}
	return chosen
}

// suffers says whether a finding of a tried state speaks of flows and names that
// fail as the host is now, and of nothing else.
func suffers(in *diag.Input, f *diag.Finding) bool {
	for _, i := range f.Covers.Traces {
		if c := &in.Flows[i]; !c.Broken() && !c.Unmasked || c.Excused || diag.ProbeSays(c.Probe) == "delivered" {
			return false
		}
	}
	for _, i := range f.Covers.Names {
		if !in.Names[i].Bad() {
			return false
		}
	}
	return len(f.Covers.Traces)+len(f.Covers.Names) > 0
}

// known says whether a finding with a fix is among those of now: whoever did not
// choose it does not want it.
func known(fs []diag.Finding, f *diag.Finding) bool {
	return slices.ContainsFunc(fs, func(g diag.Finding) bool {
		return sameAs(&g, f) && g.Fix != nil && len(g.Fix.Ops) > 0
	})
}
