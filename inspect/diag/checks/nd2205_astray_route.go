package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2205: a route or a routing rule sends packets where they die, and without
// it they would arrive.
//
// The longest prefix wins, and routing rules are asked before the main table: a
// route that somebody added (a VPN client, a script, a static route of long ago) or
// a rule that names another table takes packets off their way, to a device or a next
// hop where nobody answers. The packet dies there, far from what sent it. That route
// or rule is named without which the packet would arrive by what is left.
//
// See it by hand:
//
//	ip route get DST from SRC iif DEVICE     by which route it goes
//	ip rule; ip route show table all
//	ip neigh show dev DEVICE                 whether the next hop answers
//
// False positives: a way that is meant to be closed until a tunnel is up.
//
// Sources: net/ipv4/fib_trie.c: fib_table_lookup; net/core/fib_rules.c: fib_rules_lookup
func nd2205() diag.Check {
	return diag.Check{
		Code: "ND2205", Name: "astray-route", Severity: diag.Error, Since: "0.1",
		Title:  "A route or routing rule leads packets away from where they would arrive",
		After:  []diag.Code{"ND1101", "ND1102", "ND1103", "ND1107", "ND1108", "ND2201", "ND2203", "ND2212"},
		Detect: detectND2205,
		Fix:    fixND2205,
	}
}

func detectND2205(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, b := range withRule(in, without(in, leads(in))) {
		line, source := routeLine(in, b.ref.Netns(), b.ref)
		who := in.Who(b.ref.Netns())
		ends := ""
		if w := b.flow.Trace.Where; w != nil {
			ends = ": " + w.Detail
		}
		byHand := ""
		if sh := b.ops[0].Shell(); len(sh) > 0 {
			byHand = "; to take it away until then: " + sh[0]
		}
		f := diag.Finding{
			Summary:  fmt.Sprintf("%s in %s leads %s → %s astray%s", line, who, b.flow.From, b.flow.To, ends),
			Cause:    fmt.Sprintf("%q of %s takes the packet first; without it the packet would arrive by what is left", line, who),
			Subject:  diag.Subject{Kind: "route", Name: string(b.ref), Netns: b.ref.Netns()},
			Evidence: []diag.Evidence{ev(source, line, b.ref)},
			Covers:   b.covers,
			Advice:   "find out who added it: it comes back with that program or script" + byHand,
			Weight:   71,
		}
		sayLedAway(in, &f, &b)
		if v, err := in.Snap.At(b.ref); err == nil {
			r, ok := v.(*snap.Route)
			if ok && askedInVain(in, b.flow.Trace.Where, r, b.covers.Names) {
				f.Fix = &diag.Fix{Ops: b.ops, Survives: "until reboot"}
			} else if ok {
				f.Fix = offPort(in, b.ref.Netns(), r, b.ops)
			}
		}
		out = append(out, f)
	}
	return out
}

// offPort takes a route away that leads out of a port of a bridge, and the link-local
// address that a DHCP client gave that port with it (RFC 3927): whatever comes in by a port
// is the bridge's, so that no answer can return (net/bridge/br_input.c: br_handle_frame).
// nil for any other route.
func offPort(in *diag.Input, netns string, r *snap.Route, ops []fixups.Op) *diag.Fix {
	ns := in.Netns(netns)
	l := ns.LinkAt(r.Oif)
	if l == nil || ns.LinkAt(l.Master) == nil || ns.LinkAt(l.Master).Kind != "bridge" {
		return nil
	}
	for _, a := range ns.AddrsOf(l.Index) {
		if ip := a.Prefix.Addr(); ip == r.PrefSrc && ip.Is4() && ip.IsLinkLocalUnicast() {
			ops = append(slices.Clone(ops), &fixups.AddrDel{Where: at(in, netns), Dev: l.Name, Prefix: a.Prefix, Peer: a.Peer})
		}
	}
	return &diag.Fix{Ops: ops, Survives: "until it is made again"}
}

// leads are the routes and routing rules on a flow's way that a hand made and
// that lead somewhere: those that throw packets away have a check of their own
// (ND2201), and so have those that shadow a container network (ND2203).
func leads(in *diag.Input) func(*diag.FlowCase) []suspect {
	return func(f *diag.FlowCase) []suspect {
		var out []suspect
		for _, ref := range met(f.Trace) {
			ns := in.Netns(ref.Netns())
			v, err := in.Snap.At(ref)
			if err != nil || ns == nil || !ns.Class.Ours() {
				continue
			}
			switch x := v.(type) {
			case *snap.Route:
				if w := f.Trace.Where; w != nil && w.Cause == sim.CauseVxlan && x.Gateway.IsValid() {
					continue // an overlay's, by a neighbour that is known: it is the tunnel that lacks his end
				}
				if !rejecting(x.Type) && (x.Dst.Bits() > 0 || defaults(ns) > 1) && x.Protocol != "kernel" && x.Protocol != "ra" && x.Protocol != "dhcp" && !(ns.ID == in.Snap.Host.Netns && shadows(in, x)) {
					out = append(out, suspect{ref, []fixups.Op{fixups.NewRouteDel(in.Snap, ns.ID, *x)}})
				}
			case *snap.PolicyRule:
				// 0, 32766 and 32767 are the kernel's own (net/ipv4/fib_rules.c: fib_default_rules_init).
				if !rejecting(x.Action) && x.Priority != 0 && x.Priority != 32766 && x.Priority != 32767 && !x.L3mdev {
					out = append(out, suspect{ref, []fixups.Op{&fixups.PolicyRuleDel{Where: at(in, ns.ID), Rule: *x}}})
				}
			}
		}
		return append(out, throws(in, f.Trace)...)
	}
}

// throws are the routes that end the search in a table for a packet that then
// found none at all: the kernel does not tell of them.
func throws(in *diag.Input, t *sim.Trace) []suspect {
	if t.Where == nil || t.Where.Cause != sim.CauseNoRoute {
		return nil
	}
	hops := t.Forward
	if t.Where.Reply && len(t.Reply) > 0 {
		hops = t.Reply
	}
	ns := in.Netns(t.Where.Netns)
	if ns == nil || !ns.Class.Ours() || len(hops) == 0 {
		return nil
	}
	var out []suspect
	for k := range ns.Routes {
		if r := &ns.Routes[k]; r.Type == "throw" && r.Dst.Contains(hops[len(hops)-1].Dst.Addr()) {
			out = append(out, suspect{snap.RefItem(ns.ID, "route", k), []fixups.Op{fixups.NewRouteDel(in.Snap, ns.ID, *r)}})
		}
	}
	return out
}

// defaults counts the IPv4 default routes of the main table.
func defaults(ns *snap.Netns) int {
	n := 0
	for _, r := range ns.Routes {
		if r.Family == snap.IPv4 && r.Table == snap.TableMain && r.Dst.Bits() == 0 && r.Type == "unicast" {
			n++
		}
	}
	return n
}

// shadows says whether a route takes addresses of a container network away from its
// bridge.
func shadows(in *diag.Input, r *snap.Route) bool {
	if n := in.Graph.NetworkOfAddr(r.Dst.Addr()); n != nil {
		if br := in.Snap.HostNs().Link(n.Bridge); br != nil && br.Index == r.Oif {
			return false
		}
	}
	return inPool(in, r.Dst)
}

// inPool says whether all of a prefix is of one container network: what is for
// containers of this host has no way to elsewhere.
func inPool(in *diag.Input, dst netip.Prefix) bool {
	return dst.IsValid() && slices.ContainsFunc(in.Snap.Networks, func(n snap.Network) bool {
		return slices.ContainsFunc(n.Pools, func(p snap.Pool) bool {
			return p.Subnet.IsValid() && dst.Bits() >= p.Subnet.Bits() && p.Subnet.Contains(dst.Addr())
		})
	})
}

// fixND2205 takes the route or rule away. One of the host's that leads by an
// uplink or a tunnel belongs to somebody: it is left to advice, unless it leads
// onto a bridge of containers, where no way to elsewhere begins, to a next hop
// that the kernel itself asked for in vain, or makes addresses this host's own that
// no program here serves.
func fixND2205(in *diag.Input, f *diag.Finding) []fixups.Op {
	ref := snap.Ref(f.Subject.Name)
	v, err := in.Snap.At(ref)
	ns := in.Netns(f.Subject.Netns)
	if err != nil || ns == nil {
		return nil
	}
	switch x := v.(type) {
	case *snap.Route:
		l := ns.LinkAt(x.Oif)
		if l != nil && x.Dst.Bits() < 2 && diag.IsTunnel(l) {
			// A tunnel that is to take all: what goes past it tells the world what it should not.
			f.Advice = "what is to go past the tunnel, such as answers to published ports, needs a rule and a table of its own: ip rule add from ADDRESS lookup TABLE"
			return nil
		}
		if p, _ := leadsInto(ns, x); p != nil && ns.ID == in.Snap.Host.Netns {
			if ops := pastRule(in, f, ns, p); ops != nil {
				return ops
			}
		}
		if ns.ID == in.Snap.Host.Netns && (l == nil || in.Graph.NetworkOfBridge(l.Name) == nil && !nobodyAt(in, f, ns, x) && !(x.Type == "local" && !servedAt(ns, x.Dst))) {
			return byRouter(in, f, ns, x)
		}
		return []fixups.Op{fixups.NewRouteDel(in.Snap, ns.ID, *x)}
	case *snap.PolicyRule:
		if ns.ID != in.Snap.Host.Netns || inPool(in, x.Dst) {
			return []fixups.Op{&fixups.PolicyRuleDel{Where: at(in, ns.ID), Rule: *x}}
		}
		if ops := pastRule(in, f, ns, x); ops != nil {
			f.Advice = "make it last where the other rule comes from: it does not know of the networks behind this host's bridges"
			return ops
		}
		if died(in, f) {
			return []fixups.Op{&fixups.PolicyRuleDel{Where: at(in, ns.ID), Rule: *x}}
		}
	}
	return nil
}

// nobodyAt says whether a route's gateway is dead: its neighbour entry has failed,
// or all that went there was seen to die for want of a neighbour.
func nobodyAt(in *diag.Input, f *diag.Finding, ns *snap.Netns, r *snap.Route) bool {
	if !r.Gateway.IsValid() {
		return false
	}
	for _, n := range ns.Neighs {
		if n.Index == r.Oif && n.IP == r.Gateway {
			return n.State == "failed" || n.State == "incomplete"
		}
	}
	return died(in, f)
}

// askedInVain says whether DNS servers behind a route to a dead gateway were asked
// in vain for the names of a finding: no connection shows it then.
func askedInVain(in *diag.Input, at *sim.Where, r *snap.Route, asked []int) bool {
	return at != nil && at.Cause == sim.CauseNeighFailed && r.Gateway.IsValid() && slices.ContainsFunc(asked, func(i int) bool {
		return slices.ContainsFunc(in.Snap.Probes, func(p snap.Probe) bool {
			return p.Kind == "dns" && p.From == in.Names[i].Ask.Netns && r.Dst.Contains(p.Dst.Addr()) && p.Outcome == "timeout"
		})
	})
}

// died says whether a covered flow's packets were seen to end without a neighbour.
func died(in *diag.Input, f *diag.Finding) bool {
	return slices.ContainsFunc(f.Covers.Traces, func(i int) bool {
		x := &in.Flows[i]
		return x.Trace.Where != nil && x.Trace.Where.Cause == sim.CauseNeighFailed && diag.ProbeSays(x.Probe) == "dropped"
	})
}
