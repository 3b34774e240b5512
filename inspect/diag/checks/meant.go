package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
)

// sayMeant adds to a finding the rule that was meant to let its flows pass.
func sayMeant(in *diag.Input, f *diag.Finding) {
	n, flow := nearOf(in, f.Covers.Traces)
	if n == nil {
		return
	}
	text, source := in.RuleLine(n.Where)
	rule := fmt.Sprintf("%s (%s)", diag.ChainName(n.Where), in.Owner(n.Where))
	switch {
	case n.Sent:
		f.Cause = fmt.Sprintf("%s accepts port %d, which is the host's: DNAT comes first, and gives the packet the container's port, %d", rule, flow.Flow.Dport, flow.Trace.Forward[len(flow.Trace.Forward)-1].Dst.Port())
	case n.Set != "":
		f.Cause = fmt.Sprintf("%s would let %s → %s pass, but its set %s has %s, where the packet needs %s", rule, flow.From, flow.To, n.Set, n.Is, n.Has)
	default:
		f.Cause = fmt.Sprintf("%s would let %s → %s pass, but says %s, where the packet needs %s", rule, flow.From, flow.To, n.Is, n.Has)
	}
	f.Evidence = append(f.Evidence, ev(source, text, n.Where.Ref))
	f.Subject.Name = diag.ChainName(n.Where) + ", " + n.Is // what else is stopped there has another cause
}

// maxNearOf bounds the flows of one finding that such a rule is looked for.
const maxNearOf = 4

// nearOf is the first rule that was meant for one of some flows, and that flow; nil: none.
func nearOf(in *diag.Input, flows []int) (*diag.Near, *diag.FlowCase) {
	for _, i := range flows[:min(len(flows), maxNearOf)] {
		if n := in.Near(&in.Flows[i]); n != nil {
			return n, &in.Flows[i]
		}
	}
	return nil, nil
}

// asMeant puts the rules, or elements of sets, that were meant for the flows of a finding
// beside what is there, as the packets need them; nil where there are none, or that does not
// help. A program's own are left to it.
func asMeant(in *diag.Input, f *diag.Finding) []fixups.Op {
	n, _ := nearOf(in, f.Covers.Traces)
	if n == nil {
		return nil
	}
	ops := oneByOne(in, f, func(flow *diag.FlowCase) fixups.Op {
		n := in.Near(flow)
		if n == nil || slices.Contains(managed, in.Owner(n.Where)) && !usesUFW(n.Where.Rule.TableP) {
			return nil
		}
		if f.Advice = fmt.Sprintf("write %s for %s where these rules are loaded from, too", n.Has, n.Is); n.Sent {
			f.Advice = "have the container's port opened where it comes from"
		}
		if to := flow.Trace.Forward[len(flow.Trace.Forward)-1].Dst; usesUFW(n.Where.Rule.TableP) && n.Sent {
			f.Advice = fmt.Sprintf("to keep it over ufw's next reload: ufw route allow proto %s from any to %s port %d", flow.Flow.Proto, to.Addr(), to.Port())
		}
		return n.Op
	})
	return ops
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
