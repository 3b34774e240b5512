package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2206: no routing rule asks the main table.
//
// The kernel begins with three routing rules: 0 asks the table local, 32766 the table
// main, 32767 the table default. When the second is gone (ip rule flush, a script for
// policy routing that began anew, a VPN's kill switch) "ip route" still shows every
// route, and the kernel finds none of them: "Network is unreachable".
//
// See it by hand:
//
//	ip rule                                  has no line "lookup main"
//	ip route get DST                         Network is unreachable
//
// Sources: net/ipv4/fib_rules.c: fib_default_rules_init; ip-rule(8)
func nd2206() diag.Check {
	return diag.Check{
		Code: "ND2206", Name: "main-table-unasked", Severity: diag.Error, Since: "0.1",
		Title: "No routing rule asks the main table: its routes count for nothing",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for i := range in.Snap.Netns {
				ns := &in.Snap.Netns[i]
				if !ns.Class.Ours() || ns.Light || asksMain(ns) {
					continue
				}
				op := mainRule(in, ns)
				c := mends(in, []fixups.Op{op})
				if len(c.Traces)+len(c.Names) == 0 {
					continue // its own tables do what the main one would
				}
				f := diag.Finding{
					Summary:  fmt.Sprintf("no routing rule of %s asks the main table: none of its routes is ever found", in.Who(ns.ID)),
					Cause:    "the kernel's own rule 32766 (lookup main) is gone, and no other one takes its place",
					Subject:  diag.Subject{Kind: "route", Name: "main", Netns: ns.ID},
					Evidence: []diag.Evidence{ev(ipIn(in, ns.ID, "rule"), "(no rule with lookup main)", snap.RefNetns(ns.ID))},
					Covers:   c,
					Weight:   92,
				}
				if r, i := suppressed(ns); r != nil {
					f.Summary = fmt.Sprintf("the only routing rule of %s that asks the main table takes none of its routes with %d bits or fewer: its default route is never found", in.Who(ns.ID), r.SuppressPrefixLen)
					f.Evidence = []diag.Evidence{ev(ipIn(in, ns.ID, "rule"), fmt.Sprintf("%d: lookup main suppress_prefixlength %d", r.Priority, r.SuppressPrefixLen), snap.RefItem(ns.ID, "iprule", i))}
				}
				out = append(out, f)
			}
			return out
		},
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			ns := in.Netns(f.Subject.Netns)
			if ns == nil {
				return nil
			}
			return []fixups.Op{mainRule(in, ns)}
		},
	}
}

// suppressed is an IPv4 rule that asks the main table and takes no short prefixes
// from it, as VPNs write beside the kernel's own; nil when there is none.
func suppressed(ns *snap.Netns) (*snap.PolicyRule, int) {
	for i := range ns.Rules {
		if r := &ns.Rules[i]; r.Family == snap.IPv4 && r.Action == "table" && r.Table == snap.TableMain && r.SuppressPrefixLen >= 0 {
			return r, i
		}
	}
	return nil, 0
}

// asksMain says whether an IPv4 routing rule asks the main table for all its routes.
func asksMain(ns *snap.Netns) bool {
	v4 := false
	for _, r := range ns.Rules {
		v4 = v4 || r.Family == snap.IPv4
		if r.Family == snap.IPv4 && r.Action == "table" && r.Table == snap.TableMain && r.SuppressPrefixLen < 0 {
			return true
		}
	}
	return !v4 // rules that were not read say nothing
}

// mainRule is the kernel's own rule for the main table.
func mainRule(in *diag.Input, ns *snap.Netns) fixups.Op {
	return &fixups.PolicyRuleAdd{Where: at(in, ns.ID), Rule: snap.PolicyRule{
		Family: snap.IPv4, Priority: 32766, Action: "table", Table: snap.TableMain, SuppressPrefixLen: -1, SuppressIfgroup: -1,
	}}
}
