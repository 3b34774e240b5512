package app

import (
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
)

// needed leaves out those of the chosen fixes that the ones before them make
// needless: when the rule that drops all ICMP is deleted, no exception for ICMP
// errors has to be put before it. The model judges only what it finds of its own
// accord; what a probe alone shows stays chosen, as does what can't be tried.
func (a *App) needed(d *diagnosis, chosen []int) []int {
	var ops []fixups.Op
	var bare []diag.Finding // by the model alone; looked for once it is asked for
	return slices.DeleteFunc(slices.Clone(chosen), func(i int) bool {
		f := &d.r.Findings[i]
		if f.Fix == nil || len(f.Fix.Ops) == 0 {
			return false
		}
		if len(ops) > 0 {
			if bare == nil {
				bare = diag.Run(d.in.Bare(), a.Checks).Findings
			}
			then, err := d.in.WhatIf(ops)
			if err == nil && same(bare, f) && !same(diag.Run(then, a.Checks).Findings, f) {
				return true
			}
		}
		ops = append(ops, f.Fix.Ops...)
		return false
	})
}
