package checks

import (
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd3222: a rule takes packets out of connection tracking, and so out of NAT.
//
// NAT and "established" matches work on connections. Packets that a rule of the raw
// table marks NOTRACK belong to none: they are neither masqueraded nor sent to a
// published container, and their answers match no ESTABLISHED rule. Such rules are
// written for busy servers, to spare the conntrack table, and catch containers too.
//
// See it by hand:
//
//	iptables -t raw -S                       NOTRACK or CT --notrack
//	nft list ruleset | grep notrack
//
// Sources: net/netfilter/xt_CT.c; net/netfilter/nft_ct.c: nft_notrack_eval; iptables-extensions(8): CT
func nd3222() diag.Check {
	return diag.Check{
		Code: "ND3222", Name: "untracked", Severity: diag.Error, Since: "0.1",
		Title:  "A NOTRACK rule takes container traffic out of connection tracking",
		Detect: detectND3222,
		Fix:    fixND3222,
	}
}

func detectND3222(in *diag.Input) []diag.Finding {
	var broken []int
	for i := range in.Flows {
		if f := &in.Flows[i]; !f.Excused && (f.Broken() || f.Unmasked) {
			broken = append(broken, i)
		}
	}
	return onWay(in, broken, firewall.Untracks, diag.Finding{
		Summary: "%s takes %s out of connection tracking: no NAT, no ESTABLISHED: %s",
		Cause:   "packets that are not tracked pass the nat tables by, and their answers belong to no connection",
	})
}

// fixND3222 deletes all such rules on the ways of the finding's flows: one for each
// direction is usual, and each of them alone does the harm.
func fixND3222(in *diag.Input, f *diag.Finding) []fixups.Op {
	ops := deleteSubject(in, f)
	done := map[snap.Ref]bool{snap.Ref(f.Subject.Name): true}
	for _, i := range f.Covers.Traces {
		for _, r := range rulesOnWay(in, &in.Flows[i], firewall.Untracks) {
			if done[r.place.Ref] || !owned(in, r.netns) {
				continue
			}
			done[r.place.Ref] = true
			if op := deleteRule(in, r.netns, r.place.System, r.place.Family, r.place.Table, r.place.Chain, r.place.Num); op != nil {
				ops = append(ops, op)
			}
		}
	}
	p := placeOf(in.Netns(f.Subject.Netns), snap.Ref(f.Subject.Name))
	if p == nil || in.Flows[f.Covers.Traces[0]].Kind != "service" {
		return ops
	}
	// The pair of node-local-dns: what this host asks itself is led elsewhere no more either.
	ns := in.Netns(f.Subject.Netns)
	text := func(c *snap.Chain, r *snap.Rule) string {
		return strings.TrimPrefix(firewall.RuleText(ns, p.TableP, c, r), "-A "+c.Name)
	}
	ns.Ruleset.Find(func(t *snap.Table, c *snap.Chain, r *snap.Rule) bool {
		if ref := snap.RefRule(ns.ID, t, c.Name, r.Num); t == p.TableP && !done[ref] && text(c, r) == text(p.ChainP, p.Rule) {
			ops = append(ops, deleteRule(in, ns.ID, t.System, t.Family, t.Name, c.Name, r.Num))
		}
		return false
	})
	return ops
}
