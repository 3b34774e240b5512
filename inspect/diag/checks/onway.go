package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// onItsWay is a rule that a flow, or its answer, passes.
type onItsWay struct {
	netns string
	place *rules.Place
}

// rulesOnWay are the rules on a flow's way, of those that the chains which let it
// pass were left by, that the predicate takes: the last one first, and the answer's
// before the request's.
func rulesOnWay(in *diag.Input, f *diag.FlowCase, take func(*snap.Rule) bool) []onItsWay {
	var out []onItsWay
	for _, hops := range [][]sim.Hop{f.Trace.Reply, f.Trace.Forward} {
		for i := range slices.Backward(hops) {
			for _, ref := range slices.Backward(hops[i].Because) {
				if v, err := in.Snap.At(ref); err == nil {
					if r, ok := v.(*snap.Rule); ok && take(r) {
						if p := placeOf(in.Netns(hops[i].Netns), ref); p != nil {
							out = append(out, onItsWay{hops[i].Netns, p})
						}
					}
				}
			}
		}
	}
	return out
}

// onWay makes a finding of every rule on the way of broken flows that the predicate
// takes. The words of like are the finding's; its summary has three places: for the
// rule, the flow, and the rule's text.
func onWay(in *diag.Input, flows []int, take func(*snap.Rule) bool, like diag.Finding) []diag.Finding {
	var out []diag.Finding
	for _, i := range flows {
		f := &in.Flows[i]
		all := rulesOnWay(in, f, take)
		if len(all) == 0 || !owned(in, all[0].netns) {
			continue
		}
		ns, p := all[0].netns, all[0].place
		subject := diag.Subject{Kind: "rule", Name: string(p.Ref), Netns: ns}
		if at := sameSubject(out, subject); at >= 0 {
			out[at].Covers.Traces = append(out[at].Covers.Traces, i)
			continue
		}
		text, source := ruleText(in, ns, p)
		w := &sim.Where{Netns: ns, Rule: p}
		x := like
		x.Summary = fmt.Sprintf(like.Summary, fmt.Sprintf("%s (%s) in %s", diag.ChainName(w), in.Owner(w), in.Who(ns)), f.From+" → "+f.To, text)
		x.Subject = subject
		x.Evidence = []diag.Evidence{ev(source, text, p.Ref)}
		x.Covers.Traces = []int{i}
		x.Advice = "where the rule is meant for other traffic, give it that traffic's addresses or device"
		x.Weight = 74
		out = append(out, x)
	}
	for k := range out {
		out[k].Covers.Names = coverSenders(in, out[k].Covers.Traces)
	}
	return out
}

// coverSenders covers the names that the senders of flows can't ask for, because
// no server is reached.
func coverSenders(in *diag.Input, flows []int) []int {
	return coverNames(in, func(n *diag.NameCase) bool {
		return upstreamCut(n) && slices.ContainsFunc(flows, func(i int) bool { return in.Flows[i].Flow.From == n.Ask.Netns })
	})
}

// placeOf is the place of a rule that a reference names; nil when it is not there.
func placeOf(ns *snap.Netns, ref snap.Ref) *rules.Place {
	if ns == nil {
		return nil
	}
	t, c, r := ns.Ruleset.Find(func(t *snap.Table, c *snap.Chain, r *snap.Rule) bool {
		return snap.RefRule(ns.ID, t, c.Name, r.Num) == ref
	})
	if r == nil {
		return nil
	}
	return &rules.Place{System: t.System, Family: t.Family, Table: t.Name, Chain: c.Name, Num: r.Num, Ref: ref, Rule: r, ChainP: c, TableP: t}
}

// deleteSubject deletes the rule that the finding speaks of, by its reference.
func deleteSubject(in *diag.Input, f *diag.Finding) []fixups.Op {
	p := placeOf(in.Netns(f.Subject.Netns), snap.Ref(f.Subject.Name))
	if p == nil {
		return nil
	}
	if op := deleteRule(in, f.Subject.Netns, p.System, p.Family, p.Table, p.Chain, p.Num); op != nil {
		return []fixups.Op{op}
	}
	return nil
}
