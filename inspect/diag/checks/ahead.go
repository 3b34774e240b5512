package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
)

// ahead moves the rule that accepts what a program's own rule stops before it, in the
// same chain: libvirt puts its rules in front of it whenever it is started again
// (src/network/network_iptables.c: iptablesForwardRejectIn). nil where none is there.
func ahead(in *diag.Input, f *diag.Finding, w *sim.Where) []fixups.Op {
	p := w.Rule
	for n := p.Num + 1; n <= len(p.ChainP.Rules); n++ {
		r := &p.ChainP.Rules[n-1]
		if rejects(r) || diag.Ends(r) {
			continue
		}
		del, ok := deleteRule(in, w.Netns, p.System, p.Family, p.Table, p.Chain, n).(*fixups.RuleDelete)
		if !ok {
			return nil
		}
		ops := []fixups.Op{del, &fixups.RuleInsert{ChainRef: del.ChainRef, Position: p.Num, Text: del.Text, Args: slices.Clone(del.Args)}}
		if healAll(in, f.Covers.Traces, ops) {
			f.Advice = fmt.Sprintf("rule %d accepts it, and comes too late; %s puts its own in front again when it is restarted: have the rule inserted after that", n, in.Owner(w))
			return ops
		}
	}
	return nil
}
