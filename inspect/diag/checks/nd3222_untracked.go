package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim"
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
		Fix:    deleteSubject,
	}
}

func detectND3222(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Flows {
		f := &in.Flows[i]
		if f.Excused || !f.Broken() && !f.Unmasked {
			continue
		}
		ns, p := ruleOnWay(in, f, firewall.Untracks)
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
