package checks

import (
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/firewall"
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
