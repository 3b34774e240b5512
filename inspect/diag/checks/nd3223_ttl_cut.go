package checks

import (
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim"
)

// nd3223: a rule leaves packets too few hops to live.
//
// Every router takes one from a packet's TTL and throws it away at zero; the host is
// a router for its containers. Rules that set the TTL hide machines behind a phone's
// or provider's sharing limit, keep multicast near, or play with traceroute; on what
// containers send, or is sent to them, a small one ends the way.
//
// See it by hand:
//
//	iptables -t mangle -S                    TTL --ttl-set, --ttl-dec
//	tcpdump -vni any icmp                    time exceeded in-transit
//
// Sources: net/ipv4/ip_forward.c: ip_forward; iptables-extensions(8): TTL, HL
func nd3223() diag.Check {
	return diag.Check{
		Code: "ND3223", Name: "ttl-cut", Severity: diag.Error, Since: "0.1",
		Title: "A firewall rule sets the TTL so low that packets die on this host",
		Detect: func(in *diag.Input) []diag.Finding {
			var broken []int
			for _, g := range in.Groups(sim.CauseTTL) {
				broken = append(broken, g.Flows...)
			}
			return onWay(in, broken, firewall.SetsTTL, diag.Finding{
				Summary: "%s sets the TTL of %s, and it is used up on the way: %s",
				Cause:   "each router takes one from the TTL, and none is left",
			})
		},
		Fix: deleteSubject,
	}
}
