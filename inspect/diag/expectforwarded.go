package diag

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// forwarded: a rule sends a port of this host to a namespace of no engine, and another
// rule, which stands before it, sends the port to somebody who is no longer there: what
// a plugin left of a pod that was made anew. A port that is sent nowhere else may be
// closed by will, so that only such pairs are looked at.
func (e *expecter) forwarded() {
	for i := range e.host.Ruleset.Tables {
		t := &e.host.Ruleset.Tables[i]
		for k := range t.Chains {
			c := &t.Chains[k]
			for l := range c.Rules {
				if diverts(&c.Rules[l]) {
					e.forwardedBy(t, c, &c.Rules[l])
				}
			}
		}
	}
}

func (e *expecter) forwardedBy(t *snap.Table, c *snap.Chain, r *snap.Rule) {
	words := strings.Fields(firewall.RuleText(e.host, t, c, r))
	port, proto := portMatched(words)
	to := dnatTo(words)
	owners := e.in.Graph.Owners(to)
	if port == 0 || len(owners) != 1 || owners[0].Netns.Class != snap.ClassAttached || len(owners[0].Netns.Containers) > 0 {
		return
	}
	for _, up := range Uplinks(e.in.Snap) {
		addrs := e.host.AddrsOf(up.Index)
		at := slices.IndexFunc(addrs, func(a snap.Addr) bool { return a.Prefix.Addr().Is4() })
		if at < 0 {
			continue
		}
		ip := addrs[at].Prefix.Addr()
		for _, src := range sources(e.host, up) {
			f := FlowCase{
				Kind: "ingress", From: "outside (" + src.String() + ")", To: netip.AddrPortFrom(ip, port).String() + "/" + string(proto),
				Outside: true, Because: []snap.Ref{snap.RefRule(e.host.ID, t, c.Name, r.Num)},
				Flow: sim.Flow{From: e.host.ID, Iif: up.Name, Src: src, Dst: ip, Proto: proto, Dport: port, StopOutside: true},
			}
			f.Trace = e.in.follow(f.Flow)
			if f.Broken() && slices.ContainsFunc(f.Trace.NATed, func(n rules.NAT) bool {
				return !n.Src && n.AddrMin.IsValid() && n.AddrMin != to && len(e.in.Graph.Owners(n.AddrMin)) == 0
			}) {
				e.add(f)
			}
		}
	}
}

// dnatTo is the address that a rule's words send packets to; invalid for none.
func dnatTo(words []string) netip.Addr {
	for i, w := range words[:max(len(words)-1, 0)] {
		if w != "--to-destination" && (w != "to" || i == 0 || words[i-1] != "dnat") {
			continue
		}
		if a, err := netip.ParseAddrPort(words[i+1]); err == nil {
			return a.Addr()
		}
		a, _ := netip.ParseAddr(words[i+1])
		return a
	}
	return netip.Addr{}
}
