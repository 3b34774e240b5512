package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd3222: a rule takes packets out of connection tracking, and so out of NAT.
func nd3222() diag.Check {
	return diag.Check{
		Code: "ND3222", Name: "untracked", Severity: diag.Error, Since: "0.1",
		Title: "A NOTRACK rule takes container traffic out of connection tracking",
		Doc: `NAT and "established" matches work on connections. Packets that a rule of the raw
table marks NOTRACK belong to none: they are neither masqueraded nor sent to a
published container, and their answers match no ESTABLISHED rule. Such rules are
written for busy servers, to spare the conntrack table, and catch containers too.

See it by hand:
    iptables -t raw -S                       NOTRACK or CT --notrack
    nft list ruleset | grep notrack

Sources: net/netfilter/xt_CT.c; net/netfilter/nft_ct.c: nft_notrack_eval; iptables-extensions(8): CT`,
		Detect: detectND3222,
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			for i := range in.Flows {
				if ns, p := untracker(in, &in.Flows[i]); p != nil && string(p.Ref) == f.Subject.Name {
					if op := deleteRule(in, ns, p.System, p.Family, p.Table, p.Chain, p.Num); op != nil {
						return []fixups.Op{op}
					}
				}
			}
			return nil
		},
	}
}

func detectND3222(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Flows {
		f := &in.Flows[i]
		if f.Excused || !f.Broken() && !f.Unmasked {
			continue
		}
		ns, p := untracker(in, f)
		if p == nil || !owned(in, ns) {
			continue
		}
		subject := diag.Subject{Kind: "rule", Name: string(p.Ref), Netns: ns}
		if at := sameSubject(out, subject); at >= 0 {
			out[at].Covers.Traces = append(out[at].Covers.Traces, i)
			continue
		}
		text, source := ruleText(in, ns, p)
		out = append(out, diag.Finding{
			Summary:  fmt.Sprintf("%s (%s) in %s takes %s → %s out of connection tracking: no NAT, no ESTABLISHED: %s", diag.ChainName(&sim.Where{Rule: p}), in.Owner(&sim.Where{Rule: p}), in.Who(ns), f.From, f.To, text),
			Cause:    "packets that are not tracked pass the nat tables by, and their answers belong to no connection",
			Subject:  subject,
			Evidence: []diag.Evidence{ev(source, text, p.Ref)},
			Covers:   diag.Cover{Traces: []int{i}},
			Advice:   "where the rule is meant for other traffic, give it that traffic's addresses or device",
			Weight:   74,
		})
	}
	for k := range out {
		out[k].Covers.Names = coverNames(in, func(n *diag.NameCase) bool {
			return upstreamCut(n) && slices.ContainsFunc(out[k].Covers.Traces, func(i int) bool { return in.Flows[i].Flow.From == n.Ask.Netns })
		})
	}
	return out
}

// untracker is the rule that took a flow out of connection tracking, and its
// namespace; nil when none did.
func untracker(in *diag.Input, f *diag.FlowCase) (string, *rules.Place) {
	for _, hops := range [][]sim.Hop{f.Trace.Forward, f.Trace.Reply} {
		for i := range hops {
			for _, ref := range hops[i].Because {
				if v, err := in.Snap.At(ref); err == nil {
					if r, ok := v.(*snap.Rule); ok && firewall.Untracks(r) {
						return hops[i].Netns, placeOf(in.Netns(hops[i].Netns), ref)
					}
				}
			}
		}
	}
	return "", nil
}

// placeOf is the place of a rule that a reference names; nil when it is not there.
func placeOf(ns *snap.Netns, ref snap.Ref) *rules.Place {
	if ns == nil {
		return nil
	}
	for i := range ns.Ruleset.Tables {
		t := &ns.Ruleset.Tables[i]
		for j := range t.Chains {
			c := &t.Chains[j]
			for k := range c.Rules {
				if snap.RefRule(ns.ID, t, c.Name, k+1) == ref {
					return &rules.Place{System: t.System, Family: t.Family, Table: t.Name, Chain: c.Name, Num: k + 1, Ref: ref, Rule: &c.Rules[k], ChainP: c, TableP: t}
				}
			}
		}
	}
	return nil
}
