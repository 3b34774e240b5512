package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// withRule leaves out routing rules that do no more than ask the table of a route that is
// blamed for the same: a VPN's rule is meant for all that the VPN has, and the route to the
// containers' addresses in its table is what went too far.
func withRule(in *diag.Input, all []blamed) []blamed {
	return snap.Without(slices.Clone(all), func(b blamed) bool {
		p, ok := itemAt[*snap.PolicyRule](in, b.ref)
		return ok && slices.ContainsFunc(all, func(o blamed) bool {
			r, ok := itemAt[*snap.Route](in, o.ref)
			return ok && r.Dst.Bits() > 0 && r.Table == p.Table && r.Family == p.Family && o.ref.Netns() == b.ref.Netns() && slices.Equal(o.covers.Traces, b.covers.Traces) && slices.Equal(o.covers.Names, b.covers.Names)
		})
	})
}

// itemAt is what a reference names, if it is of that type.
func itemAt[T any](in *diag.Input, ref snap.Ref) (T, bool) {
	v, err := in.Snap.At(ref)
	x, ok := v.(T)
	return x, ok && err == nil
}

// leadsInto is the first routing rule of a namespace that asks a table of somebody's own,
// and its index; nil for the kernel's own tables and where none does.
func leadsInto(ns *snap.Netns, r *snap.Route) (*snap.PolicyRule, int) {
	if r.Table == snap.TableMain || r.Table == snap.TableLocal || r.Table == snap.TableDefault {
		return nil, 0
	}
	i := slices.IndexFunc(ns.Rules, func(p snap.PolicyRule) bool { return p.Action == "table" && p.Table == r.Table && p.Family == r.Family })
	if i < 0 {
		return nil, 0
	}
	return &ns.Rules[i], i
}

// sayLedAway words a finding about a route that sends what is for containers of this host
// out of it.
func sayLedAway(in *diag.Input, f *diag.Finding, b *blamed) {
	w := b.flow.Trace.Where
	ns := in.Netns(b.ref.Netns())
	r, ok := itemAt[*snap.Route](in, b.ref)
	if !ok || ns == nil || w == nil || w.Cause != sim.CauseLedAway {
		return
	}
	line, _ := routeLine(in, ns.ID, b.ref)
	n := in.Graph.NetworkOfAddr(ledAddr(b.flow.Trace))
	if n == nil {
		return
	}
	f.Summary = fmt.Sprintf("%s in %s sends what is for the containers of network %s out by %s: %s → %s fails", line, in.Who(ns.ID), n.Name, w.Device, b.flow.From, b.flow.To)
	if w.Reply {
		f.Summary = fmt.Sprintf("%s in %s sends answers for the containers of network %s out by %s: %s → %s fails", line, in.Who(ns.ID), n.Name, w.Device, b.flow.From, b.flow.To)
	}
	if p, i := leadsInto(ns, r); p != nil {
		f.Cause = fmt.Sprintf("routing rule %d asks table %d before the main table, which has the route to %s", p.Priority, r.Table, n.Bridge)
		ref := snap.RefItem(ns.ID, "iprule", i)
		rule, source := routeLine(in, ns.ID, ref)
		f.Evidence = append(f.Evidence, ev(source, rule, ref))
	}
	f.Advice = fmt.Sprintf("keep the range out of what brings that route (split tunnel, routes that a peer advertises), or make network %s anew with a subnet that nobody else uses", n.Name)
}

// ledAddr is whom a packet was for that was led away.
func ledAddr(t *sim.Trace) netip.Addr {
	hops := t.Forward
	if t.Where != nil && t.Where.Reply {
		hops = t.Reply
	}
	if len(hops) == 0 {
		return t.Flow.Dst
	}
	return hops[len(hops)-1].Dst.Addr()
}
