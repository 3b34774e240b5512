package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/intent"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// sayHostPort adds to a finding the rule that was meant to open a published port.
func sayHostPort(in *diag.Input, f *diag.Finding, flow *diag.FlowCase) {
	p, to := in.ByHostPort(flow)
	if p == nil {
		return
	}
	w := &sim.Where{Netns: in.Snap.Host.Netns, Rule: p, Ref: p.Ref}
	text, source := in.RuleLine(w)
	f.Cause = fmt.Sprintf("%s (%s) accepts port %d, which is the host's: DNAT comes first, and gives the packet the container's port, %d", diag.ChainName(w), in.Owner(w), flow.Flow.Dport, to.Port())
	f.Evidence = append(f.Evidence, ev(source, text, p.Ref))
}

// asContainerPort inserts the rule that opens a published port once more, with the
// address and the port that the container has; nil where there is none, or that does not
// help.
func asContainerPort(in *diag.Input, f *diag.Finding) []fixups.Op {
	var ops []fixups.Op
	for _, i := range f.Covers.Traces {
		flow := &in.Flows[i]
		p, to := in.ByHostPort(flow)
		if p == nil || len(ops) > 0 && heals(in, i, ops) {
			continue
		}
		text, _ := in.RuleLine(&sim.Where{Netns: in.Snap.Host.Netns, Rule: p, Ref: p.Ref})
		was, is := fmt.Sprintf("dport %d ", flow.Flow.Dport), fmt.Sprintf("dport %d ", to.Port())
		text = strings.Replace(text, was, is, 1)
		op := &fixups.RuleInsert{ChainRef: fixups.ChainAt(in.Snap, in.Snap.Host.Netns, p.TableP, p.Chain), Position: p.Num}
		if p.System == snap.NFT {
			op.Text = snap.FamilyOf(to.Addr()).NFT() + " daddr " + to.Addr().String() + " " + text
		} else {
			op.Args = append([]string{"-d", to.Addr().String()}, intent.Args(text)...)
		}
		if more := append(slices.Clone(ops), op); heals(in, i, more) {
			ops = more
			f.Advice = "have the container's port opened where that rule comes from"
			if usesUFW(p.TableP) {
				f.Advice = fmt.Sprintf("to keep it over ufw's next reload: ufw route allow proto %s from any to %s port %d", flow.Flow.Proto, to.Addr(), to.Port())
			}
		}
	}
	return ops
}
