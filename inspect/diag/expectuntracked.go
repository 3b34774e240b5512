package diag

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxUntracked bounds the destinations that are looked at, maxSenders those who ask each.
const maxUntracked, maxSenders = 64, 4

// untracked: a rule of this host leads a destination elsewhere, such as a service's
// address of Kubernetes, and another takes its packets out of connection tracking before
// that, so that the first never sees them (net/netfilter/nf_nat_core.c: nf_nat_inet_fn).
// Nobody wants both at once, but where the address is this host's own: node-local-dns
// listens there. Only flows count that work without the other rule.
func (e *expecter) untracked() {
	tracked := trackAll(e.in.Snap)
	if tracked == nil {
		return
	}
	var senders []*snap.Netns
	for _, class := range [...]snap.NetnsClass{snap.ClassAttached, snap.ClassContainer} { // pods first
		for i := range e.in.Snap.Netns {
			if ns := &e.in.Snap.Netns[i]; ns.Class == class && !ns.Light && DefaultGateway(ns).IsValid() && len(senders) < maxSenders {
				senders = append(senders, ns)
			}
		}
	}
	n := 0
	e.host.Ruleset.Find(func(t *snap.Table, c *snap.Chain, r *snap.Rule) bool {
		if t.System != snap.NFT && t.Name != "nat" {
			return false
		}
		for _, k := range natKeys(e.host, t, c, r) {
			if _, own := e.host.HasAddr(k.addr); own || !k.addr.Is4() || k.addr.IsLoopback() {
				continue
			}
			n++
			for _, ns := range senders {
				if e.untrackedTo(tracked, ns, k, snap.RefRule(e.host.ID, t, c.Name, r.Num)) {
					break
				}
			}
		}
		return n >= maxUntracked
	})
}

// untrackedTo adds the flow of one sender, if that is what stops it.
func (e *expecter) untrackedTo(tracked *sim.World, from *snap.Netns, k natKey, ref snap.Ref) bool {
	f := e.try("service", netip.AddrPortFrom(k.addr, k.port).String()+"/"+string(k.proto), ref, sim.Flow{From: from.ID, Dst: k.addr, Proto: k.proto, Dport: k.port, StopOutside: true})
	led := func(n rules.NAT) bool { return !n.Src }
	if slices.ContainsFunc(f.Trace.NATed, led) || !f.Broken() && !e.in.unmasked(f) {
		return false
	}
	x := FlowCase{Trace: tracked.Trace(f.Flow)}
	if !x.Works() || !slices.ContainsFunc(x.Trace.NATed, led) {
		return false
	}
	e.add(*f)
	return true
}

// trackAll is this host without the rules that take packets out of connection tracking;
// nil where it has none.
func trackAll(s *snap.Snapshot) *sim.World {
	untracks := func(_ *snap.Table, _ *snap.Chain, r *snap.Rule) bool { return firewall.Untracks(r) }
	if _, _, r := s.HostNs().Ruleset.Find(untracks); r == nil {
		return nil
	}
	out := s.Clone()
	out.HostNs().Ruleset.Find(func(_ *snap.Table, _ *snap.Chain, r *snap.Rule) bool {
		if firewall.Untracks(r) {
			r.Exprs = nil // it does nothing then
		}
		return false
	})
	return sim.New(out)
}
