package checks

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd3302: the table of connections is full.
//
// Every connection that is tracked takes an entry of the table, and NAT tracks them
// all. When nf_conntrack_max is reached, the kernel ends an entry that nobody has
// answered yet, and where there is none it drops the packet and logs "nf_conntrack:
// table full, dropping packet". Open connections go on, new ones fail now and then:
// it looks like a bad network. A scanner, a flood of short UDP questions, or a
// timeout of days for idle connections fills it.
//
// See it by hand:
//
//	sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max
//	dmesg | grep 'table full'
//	conntrack -L | awk '{print $5}' | sort | uniq -c | sort -n    who holds them
//
// Sources: net/netfilter/nf_conntrack_core.c: __nf_conntrack_alloc, early_drop
func nd3302() diag.Check {
	return diag.Check{
		Code: "ND3302", Name: "conntrack-full", Severity: diag.Error, Since: "0.2",
		Title: "The connection table is full: new connections are dropped",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for i := range in.Snap.Netns {
				ns := &in.Snap.Netns[i]
				n, limit := ns.ConntrackCount, ns.ConntrackMax
				if !ns.Class.Ours() || limit == 0 || n < limit-limit/10 {
					continue
				}
				f := diag.Finding{
					Summary:  fmt.Sprintf("%d of %d connections are tracked in %s: the table is nearly full", n, limit, in.Who(ns.ID)),
					Severity: diag.Warning,
					Cause:    "when the table is full, packets of new connections are dropped",
					Subject:  diag.Subject{Kind: "sysctl", Name: "net.netfilter.nf_conntrack_max", Netns: ns.ID},
					Evidence: []diag.Evidence{ev(in.IPCommand(ns.ID, "sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max"),
						fmt.Sprintf("count %d, max %d", n, limit), snap.RefNetns(ns.ID))},
					Advice: fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d (in the machine's first namespace, and in /etc/sysctl.d), or end what fills it", 4*limit),
					Weight: 92,
				}
				if n >= limit {
					f.Severity = diag.Error
					f.Summary = fmt.Sprintf("the connection table of %s is full: %d of %d; packets of new connections are dropped", in.Who(ns.ID), n, limit)
				}
				if who, k := busiest(ns); k > 0 {
					f.Summary += fmt.Sprintf("; %s began %d of %d that were looked at", who, k, len(ns.Conntrack))
					if c := in.Graph.ContainerOfAddr(who); c != nil {
						f.Summary += ", it is " + c.Name
					}
				}
				out = append(out, f)
			}
			return out
		},
	}
}

// busiest is who began most of the connections, when that is more than half.
func busiest(ns *snap.Netns) (netip.Addr, int) {
	count := map[netip.Addr]int{}
	for i := range ns.Conntrack {
		count[ns.Conntrack[i].Orig.Src.Addr()]++
	}
	all := slices.Collect(maps.Keys(count))
	snap.Sort(all, func(a, b netip.Addr) int { return cmp.Or(cmp.Compare(count[b], count[a]), a.Compare(b)) })
	if len(all) == 0 || count[all[0]] <= len(ns.Conntrack)/2 {
		return netip.Addr{}, 0
	}
	return all[0], count[all[0]]
}
