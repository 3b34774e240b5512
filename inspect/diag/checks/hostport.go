package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/intent"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// sayHostPort adds to a finding the rule that was meant to open a published port.
func sayHostPort(in *diag.Input, f *diag.Finding, flow *diag.FlowCase) {
	ref, to := in.ByHostPort(flow)
	w := rulePlace(in, ref)
	if w == nil {
		return
	}
	text, source := in.RuleLine(w)
	f.Cause = fmt.Sprintf("%s (%s) accepts port %d, which is the host's: DNAT comes first, and gives the packet the container's port, %d", diag.ChainName(w), in.Owner(w), flow.Flow.Dport, to.Port())
	f.Evidence = append(f.Evidence, ev(source, text, ref))
}

// asContainerPort inserts the rule that opens a published port once more, with the
// address and the port that the container has; nil where there is none, or that does not
// help.
func asContainerPort(in *diag.Input, f *diag.Finding) []fixups.Op {
	return oneByOne(in, f, func(flow *diag.FlowCase) fixups.Op {
		ref, to := in.ByHostPort(flow)
		w := rulePlace(in, ref)
		if w == nil {
			return nil
		}
		p, dst := w.Rule, " -d "
		if p.System == snap.NFT {
			dst = " " + snap.FamilyOf(to.Addr()).NFT() + " daddr "
		}
		text, _ := in.RuleLine(w)
		text = strings.Replace(text, "dport "+port(flow.Flow.Dport)+" ", "dport "+port(to.Port())+dst+to.Addr().String()+" ", 1)
		op := &fixups.RuleInsert{ChainRef: fixups.ChainAt(in.Snap, w.Netns, p.TableP, p.Chain), Position: p.Num, Text: text}
		if p.System != snap.NFT {
			op.Text, op.Args = "", intent.Args(text)
		}
		f.Advice = "have the container's port opened where it comes from"
		if usesUFW(p.TableP) {
			f.Advice = fmt.Sprintf("to keep it over ufw's next reload: ufw route allow proto %s from any to %s port %d", flow.Flow.Proto, to.Addr(), to.Port())
		}
		return op
	})
}

// oneByOne are the operations that mend the flows of a finding, one for each that those
// before it leave; nil for a flow has none.
func oneByOne(in *diag.Input, f *diag.Finding, mend func(*diag.FlowCase) fixups.Op) []fixups.Op {
	var ops []fixups.Op
	for _, i := range f.Covers.Traces {
		if len(ops) > 0 && heals(in, i, ops) {
			continue
		}
		if op := mend(&in.Flows[i]); op != nil {
			if more := append(slices.Clone(ops), op); heals(in, i, more) {
				ops = more
			}
		}
	}
	return ops
}

// withoutECN lets a sender go without ECN once a SYN that asks for it got no answer, as
// is the kernel's default (RFC 3168, section 6.1.1.1), where a rule drops such SYNs; nil
// where that is not what stops it.
func withoutECN(in *diag.Input, f *diag.Finding) []fixups.Op {
	const key = "net/ipv4/tcp_ecn_fallback"
	from := in.Flows[f.Covers.Traces[0]].Flow.From
	if v, _ := in.Snap.Ns(from).Sysctl(key); v != "0" {
		return nil
	}
	ops := []fixups.Op{&fixups.SysctlSet{Where: at(in, from), Key: key, Value: "1"}}
	if !healAll(in, f.Covers.Traces, ops) {
		return nil
	}
	f.Advice = "the rule drops only SYNs that ask for ECN, and stays"
	return ops
}
