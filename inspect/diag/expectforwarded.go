package diag

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// forwarded: a rule sends a port of this host to a machine of no engine behind it, such as
// a namespace or a guest: whoever wrote it wants the port to be reached, from somewhere
// outside. What that machine makes of it is its own.
func (e *expecter) forwarded() {
	e.host.Ruleset.Find(func(t *snap.Table, c *snap.Chain, r *snap.Rule) bool {
		if diverts(r) {
			for _, k := range natKeys(e.host, t, c, r) {
				e.forwardedBy(k, snap.RefRule(e.host.ID, t, c.Name, r.Num), dnatTo(strings.Fields(firewall.RuleText(e.host, t, c, r))))
			}
		}
		return false
	})
}

// forwardedBy adds the flows to what one key of a rule stands for; to is where the rule
// leads by its words, invalid where a map says it.
func (e *expecter) forwardedBy(k natKey, ref snap.Ref, to netip.Addr) {
	var all []FlowCase
	for _, up := range Uplinks(e.in.Snap) {
		addrs := e.host.AddrsOf(up.Index)
		at := slices.IndexFunc(addrs, func(a snap.Addr) bool {
			ip := a.Prefix.Addr()
			return ip.Is4() && (!k.addr.IsValid() || ip == k.addr)
		})
		if at < 0 {
			continue
		}
		ip := addrs[at].Prefix.Addr()
		for _, src := range sources(e.host, up) {
			f := FlowCase{
				Kind: "ingress", From: "outside (" + src.String() + ")", To: netip.AddrPortFrom(ip, k.port).String() + "/" + string(k.proto),
				Outside: true, Because: []snap.Ref{ref},
				Flow: sim.Flow{From: e.host.ID, Iif: up.Name, Src: src, Dst: ip, Proto: k.proto, Dport: k.port, StopOutside: true},
			}
			if f.Trace = e.in.follow(f.Flow); !f.Broken() || !e.misled(&f, ref, to) {
				return // somebody gets there, or none is meant to
			}
			all = append(all, f)
		}
	}
	for _, f := range all {
		e.add(f)
	}
}

// misled says whether this host is at fault for what becomes of a forwarded port: it
// sends it to somebody who is no longer there, or stops it on the way to the machine that
// the rule leads to. A rule that names the machine's address, or the port, closes it by
// will.
func (e *expecter) misled(f *FlowCase, ref snap.Ref, to netip.Addr) bool {
	k := slices.IndexFunc(f.Trace.NATed, func(n rules.NAT) bool { return !n.Src && n.AddrMin.IsValid() })
	w := RulePlace(f.Trace.Where)
	if k < 0 || w == nil {
		return false
	}
	n := &f.Trace.NATed[k]
	if n.Place.Ref != ref { // what a plugin left of a pod that was made anew
		return len(e.in.Graph.Owners(n.AddrMin)) == 0 && e.guest(to)
	}
	if w.Netns != e.host.ID {
		return false
	}
	if w.Rule != nil {
		text, _ := e.in.RuleLine(w)
		words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,{}/", r) })
		port := strconv.Itoa(int(cmp.Or(n.PortMin, f.Flow.Dport)))
		return e.guest(n.AddrMin) && (w.Rule.Policy || !slices.Contains(words, n.AddrMin.String()) && !slices.Contains(words, port))
	}
	return e.in.Heir(f).IsValid()
}

// guest says whether an address is a namespace's of no engine, or that of somebody else
// behind this host who answers for it.
func (e *expecter) guest(a netip.Addr) bool {
	owners := e.in.Graph.Owners(a)
	if len(owners) > 0 {
		return len(owners) == 1 && owners[0].Netns.Class == snap.ClassAttached && len(owners[0].Netns.Containers) == 0
	}
	return slices.ContainsFunc(e.host.Neighs, func(n snap.Neigh) bool {
		l := e.host.LinkAt(n.Index)
		return n.IP == a && n.MAC != "" && l != nil && l.Kind == "bridge"
	})
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
