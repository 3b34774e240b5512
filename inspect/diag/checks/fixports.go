package checks

import (
	"regexp"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
)

// A range of ports behind the address of a mapping, in the words of iptables and of nft.
var (
	sourceRange = regexp.MustCompile(`^(\[[0-9a-f:]+\]|[0-9.]+):[0-9]+-[0-9]+$`)
	nftRange    = regexp.MustCompile(`((?:snat|masquerade)(?: ip6?)? to (?:\[[0-9a-f:]+\]|[0-9.]*)):[0-9]+-[0-9]+`)
)

// anyPort writes a mapping of the source anew without its range of ports, which are all
// in use: the kernel then keeps a connection's port, or finds a free one.
func anyPort(in *diag.Input, f *diag.Finding, w *sim.Where) []fixups.Op {
	ops := withoutRule(in, w)
	if len(ops) != 1 {
		return nil
	}
	del, ok := ops[0].(*fixups.RuleDelete)
	if !ok {
		return nil
	}
	add := &fixups.RuleInsert{ChainRef: del.ChainRef, Position: w.Rule.Num, Args: slices.Clone(del.Args)}
	if k := slices.Index(add.Args, "--to-ports"); k >= 0 && k+1 < len(add.Args) {
		add.Args = slices.Delete(add.Args, k, k+2)
	} else if k := slices.Index(add.Args, "--to-source"); k >= 0 && k+1 < len(add.Args) {
		add.Args[k+1] = sourceRange.ReplaceAllString(add.Args[k+1], "$1")
	}
	add.Text = strings.TrimSuffix(nftRange.ReplaceAllString(del.Text, "$1"), " to ") // a masquerade has no address
	if slices.Equal(add.Args, del.Args) && add.Text == del.Text {
		return nil
	}
	if ops = append(ops, add); healAll(in, f.Covers.Traces, ops) {
		return ops
	}
	return nil
}
