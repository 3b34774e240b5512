package checks

import (
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
)

// nd3102: a firewall rule drops or rejects the request.
//
// A rule matches the packet and drops or rejects it. All base chains of a hook
// are asked in the order of their priority, of nftables, iptables-nft and
// iptables-legacy alike: an accept ends only its own chain, a drop is final. So a
// rule in a table that nobody looks at stops what Docker's own rules let through. One
// that drops each nth packet, or by chance, is told as soon as it has dropped some; one
// that drops what is over a limit when somebody asks for what it counts, and it has.
//
// A rule that stops whoever is not named before it is the rest of a list. Where others of
// the same network pass, that was meant, and is no fault until somebody asks; the remedy
// is to put the sender on the list (into the set, the map or the ipset, or with a rule of
// its own), and the rule stays.
//
// See it by hand:
//
//	iptables -L CHAIN -nv --line-numbers     its counter grows with each try
//	nft list ruleset                         the chains with "hook …"
//	iptables-legacy -S
//
// False positives: a rule that is meant to keep exactly this flow out. The finding
// says whose rule it is; look before you delete.
//
// Sources: net/netfilter/core.c: nf_hook_slow; nftables wiki, "multiple base chains"
func nd3102() diag.Check {
	return diag.Check{
		Code: "ND3102", Name: "rule-drops", Severity: diag.Error, Since: "0.1",
		Title: "A firewall rule drops the packet",
		After: []diag.Code{"ND1107", "ND3210", "ND3211", "ND6101", "ND1106", "ND2203", "ND2205", "ND3205"},
		Detect: func(in *diag.Input) []diag.Finding {
			out := lockdowns(in)
			for _, g := range in.Groups(sim.CauseRule) {
				if !in.Lockdown(g.Where) && (!g.Where.Reply || diag.Deaf(in.Flows[g.Flows[0]].Trace)) && owned(in, g.Where.Netns) {
					out = append(out, ruleFinding(in, g))
				}
			}
			out = append(out, byChance(in, out)...)
			return append(out, overLimit(in, out)...)
		},
		Fix: fixRule,
	}
}
