package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim"
)

// nd3223: a rule leaves packets too few hops to live.
func nd3223() diag.Check {
	return diag.Check{
		Code: "ND3223", Name: "ttl-cut", Severity: diag.Error, Since: "0.1",
		Title: "A firewall rule sets the TTL so low that packets die on this host",
		Doc: `Every router takes one from a packet's TTL and throws it away at zero; the host is
a router for its containers. Rules that set the TTL hide machines behind a phone's
or provider's sharing limit, keep multicast near, or play with traceroute; on what
containers send, or is sent to them, a small one ends the way.

See it by hand:
    iptables -t mangle -S                    TTL --ttl-set, --ttl-dec
    tcpdump -vni any icmp                    time exceeded in-transit

Sources: net/ipv4/ip_forward.c: ip_forward; iptables-extensions(8): TTL, HL`,
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range in.Groups(sim.CauseTTL) {
				for _, i := range g.Flows {
					f := &in.Flows[i]
					ns, p := ruleOnWay(in, f, firewall.SetsTTL)
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
						Summary:  fmt.Sprintf("%s (%s) in %s sets the TTL of %s → %s, and it is used up on this host: %s", diag.ChainName(&sim.Where{Rule: p}), in.Owner(&sim.Where{Rule: p}), in.Who(ns), f.From, f.To, text),
						Cause:    "the host forwards the packet, takes one from its TTL, and has none left",
						Subject:  subject,
						Evidence: []diag.Evidence{ev(source, text, p.Ref)},
						Covers:   diag.Cover{Traces: []int{i}},
						Advice:   "where the rule is meant for other traffic, give it that traffic's addresses or device",
						Weight:   74,
					})
				}
			}
			for k := range out {
				out[k].Covers.Names = coverNames(in, func(n *diag.NameCase) bool {
					return upstreamCut(n) && slices.ContainsFunc(out[k].Covers.Traces, func(i int) bool { return in.Flows[i].Flow.From == n.Ask.Netns })
				})
			}
			return out
		},
		Fix: deleteSubject,
	}
}
