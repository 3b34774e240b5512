package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2201: a route or a routing rule throws packets away.
//
// Routes of the types blackhole, unreachable and prohibit, and routing rules with
// those actions, drop what they match, although the default route looks right: the
// longest prefix wins, and rules are asked before tables. They come from scripts,
// VPN clients and "kill switches", and are forgotten there.
//
// See it by hand:
//
//	ip route show table all type blackhole   also: type unreachable, type prohibit
//	ip rule                                  a rule that ends in prohibit
//	ip route get DST                         RTNETLINK answers: …
//
// False positives: routes that keep private ranges from leaving on purpose. A default
// route of these types in a table that only marked packets are led to is a kill switch,
// and no fix takes it away: it would let out what should go by a VPN alone.
//
// Sources: net/ipv4/fib_semantics.c: fib_props; ip-route(8), ip-rule(8)
func nd2201() diag.Check {
	return diag.Check{
		Code: "ND2201", Name: "reject-route", Severity: diag.Error, Since: "0.1",
		Title:  "A route or routing rule throws the packet away",
		Detect: detectND2201,
		Fix:    fixUnroute,
	}
}

func detectND2201(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, g := range in.Groups(sim.CauseReject, sim.CauseRejectRule) {
		w := g.Where
		if !owned(in, w.Netns) {
			continue
		}
		line, source := routeLine(in, w.Netns, w.Ref)
		if line == "" {
			continue
		}
		if k := slices.IndexFunc(out, func(o diag.Finding) bool { return o.Subject.Name == string(w.Ref) && killSwitch(in, w.Ref) }); k >= 0 {
			out[k].Covers.Traces = append(out[k].Covers.Traces, g.Flows...) // requests and answers die there
			continue
		}
		first := &in.Flows[g.Flows[0]]
		f := diag.Finding{
			Summary:  fmt.Sprintf("%s in %s throws away %s → %s%s", line, in.Who(w.Netns), first.From, first.To, more(g)),
			Cause:    fmt.Sprintf("%q of %s matches before the default route", line, in.Who(w.Netns)),
			Subject:  diag.Subject{Kind: "route", Name: string(w.Ref), Netns: w.Netns},
			Evidence: []diag.Evidence{ev(source, line, w.Ref)},
			Covers:   diag.Cover{Traces: g.Flows},
			Advice:   "find out who added it: it comes back with that program or script",
			Weight:   72,
		}
		if r := otherwise(in, first.Trace, w); r.Text != "" {
			f.Cause = fmt.Sprintf("%q of %s matches before %q", line, in.Who(w.Netns), r.Text)
			f.Evidence = append(f.Evidence, ev(ipIn(in, w.Netns, "route show table all"), r.Text, ""))
		}
		ops, lines := ledThere(in, &f, w.Ref)
		var gone []string
		for _, op := range ops {
			gone = append(gone, strings.Join(op.Shell(), "; "))
		}
		if !killSwitch(in, w.Ref) {
			for k, line := range lines {
				f.Advice += fmt.Sprintf("; %q led into its table and stays: if it is not meant either, %s", line, gone[k])
			}
		} else {
			f.Covers.Names = coverSenders(in, g.Flows)
			f.Cure = ops
			f.Cause = fmt.Sprintf("%q of %s is the last word of a table that only some packets are led to: a kill switch, which keeps them from going round a VPN", line, in.Who(w.Netns))
			f.Advice = fmt.Sprintf("is the VPN whose packets they are meant to be up? Then bring it up. Is it gone for good? Then %s", strings.Join(append(gone, "find the script or unit that adds this"), "; "))
		}
		out = append(out, f)
	}
	return append(out, idleRejects(in, out)...)
}

// otherwise is the route that a packet would take where the one that throws it away, or the
// rule that does, were not there.
func otherwise(in *diag.Input, t *sim.Trace, w *sim.Where) sim.RouteResult {
	hops := t.Forward
	if w.Reply {
		hops = t.Reply
	}
	ops := unrouteAt(in, w.Ref, w.Netns)
	if len(hops) == 0 || len(ops) == 0 {
		return sim.RouteResult{}
	}
	world := worldWith(in, ops)
	if world == nil {
		return sim.RouteResult{}
	}
	return world.Route(w.Netns, sim.RouteQuery{Dst: hops[len(hops)-1].Dst.Addr()})
}

// failClosed says whether a default route that throws packets away stands behind another
// one in a table of somebody's own: it has a metric (IPv6 gives 1024 by itself:
// net/ipv6/route.c, IP6_RT_PRIO_USER), or there is a tunnel that may have been that.
func failClosed(ns *snap.Netns, r *snap.Route) bool {
	p, _ := leadsInto(ns, r)
	usual := uint32(0)
	if r.Family == snap.IPv6 {
		usual = 1024
	}
	return p != nil && rejecting(r.Type) && r.Dst.Bits() == 0 && (r.Metric > usual || slices.ContainsFunc(ns.Links, func(l snap.Link) bool { return !l.Loopback && diag.IsTunnel(&l) }))
}

// ledThere are the routing rules that lead into the table of a route, where it
// is a table of somebody's own, and what takes each away: whoever takes the route
// away may want those gone, too. They are evidence.
func ledThere(in *diag.Input, f *diag.Finding, route snap.Ref) (ops []fixups.Op, lines []string) {
	v, err := in.Snap.At(route)
	r, ok := v.(*snap.Route)
	ns := in.Netns(route.Netns())
	if ok && r.NHID != 0 {
		f.Evidence = append(f.Evidence, ev(ipIn(in, route.Netns(), fmt.Sprintf("nexthop show id %d", r.NHID)), fmt.Sprintf("id %d %s", r.NHID, r.Type), route))
	}
	if err != nil || !ok || ns == nil || r.Table == snap.TableMain || r.Table == snap.TableLocal || r.Table == snap.TableDefault {
		return nil, nil
	}
	for i := range ns.Rules {
		p := &ns.Rules[i]
		if p.Table != r.Table || p.Family != r.Family {
			continue
		}
		ref := snap.RefItem(ns.ID, "iprule", i)
		line, source := routeLine(in, ns.ID, ref)
		f.Evidence = append(f.Evidence, ev(source, line, ref))
		ops, lines = append(ops, &fixups.PolicyRuleDel{Where: at(in, ns.ID), Rule: *p}), append(lines, line)
	}
	return ops, lines
}

// killSwitch says whether a route or rule throws away all of the packets that somebody
// marked, and no others, or is left of a tunnel's table: what should go by a tunnel, and
// by nothing else when that is down (wg-quick(8), VPN clients). It is named, and stays.
func killSwitch(in *diag.Input, ref snap.Ref) bool {
	v, err := in.Snap.At(ref)
	ns := in.Netns(ref.Netns())
	if err != nil || ns == nil {
		return false
	}
	switch x := v.(type) {
	case *snap.PolicyRule:
		return x.Mark != 0 && rejecting(x.Action)
	case *snap.Route:
		if failClosed(ns, x) {
			return true
		}
		led := 0
		for _, p := range ns.Rules {
			if p.Table != x.Table || p.Family != x.Family || p.Action != "table" {
				continue
			}
			if p.Mark == 0 {
				return false
			}
			led++
		}
		return rejecting(x.Type) && x.Dst.Bits() == 0 && led > 0
	}
	return false
}

// idleRejects are such routes in containers that no flow of this run met.
// Engines never make any; in the host's own tables they are common and meant, and
// routing daemons (a node of a cluster in a container) keep some of their own.
func idleRejects(in *diag.Input, told []diag.Finding) []diag.Finding {
	var out []diag.Finding
	for i := range in.Snap.Netns {
		ns := &in.Snap.Netns[i]
		if ns.Class != snap.ClassContainer || ns.ID == in.Snap.Host.Netns {
			continue
		}
		add := func(ref snap.Ref, severity diag.Severity) {
			if slices.ContainsFunc(told, func(f diag.Finding) bool { return f.Subject.Name == string(ref) }) {
				return
			}
			line, source := routeLine(in, ns.ID, ref)
			out = append(out, diag.Finding{
				Severity: severity,
				Summary:  fmt.Sprintf("%s in %s throws packets away", line, in.Who(ns.ID)),
				Cause:    "no engine makes such routes: a script or program in the container did",
				Subject:  diag.Subject{Kind: "route", Name: string(ref), Netns: ns.ID},
				Evidence: []diag.Evidence{ev(source, line, ref)},
				Advice:   "remove it if it is not meant",
				Weight:   20,
			})
		}
		for k, r := range ns.Routes {
			if byHand := r.Protocol == "boot" || r.Protocol == "static"; byHand && rejecting(r.Type) && r.Family == snap.IPv4 {
				add(snap.RefItem(ns.ID, "route", k), diag.Warning)
			}
		}
		for k, r := range ns.Rules {
			if !rejecting(r.Action) {
				continue
			}
			severity := diag.Warning
			if r.Mark != 0 || r.UID != nil || r.Priority > 32766 {
				severity = diag.Info // for packets that somebody chose, or that the main table has no route for
			}
			add(snap.RefItem(ns.ID, "iprule", k), severity)
		}
	}
	return out
}

func rejecting(kind string) bool {
	return kind == "blackhole" || kind == "unreachable" || kind == "prohibit"
}

// routeLine is the route or routing rule behind a reference, as ip(8) prints
// it, and the command that shows it; "" when it is neither.
func routeLine(in *diag.Input, netns string, ref snap.Ref) (line, source string) {
	v, err := in.Snap.At(ref)
	if err != nil {
		return "", ""
	}
	switch x := v.(type) {
	case *snap.Route:
		op := fixups.NewRouteDel(in.Snap, netns, *x)
		return lastArgs(op.Shell(), " route del "), ipIn(in, netns, "route show table all")
	case *snap.PolicyRule:
		op := &fixups.PolicyRuleDel{Where: at(in, netns), Rule: *x}
		return "ip rule " + lastArgs(op.Shell(), " rule del "), ipIn(in, netns, "rule")
	}
	return "", ""
}

// lastArgs is what follows a verb in the last of some shell lines.
func lastArgs(lines []string, verb string) string {
	if len(lines) == 0 {
		return ""
	}
	_, args, _ := strings.Cut(lines[len(lines)-1], verb)
	return strings.TrimSpace(args)
}

// fixUnroute takes away the route or routing rule without which the flow would
// work: of those that its packet met, from the deciding one back. It is tried on
// the value first. On the host only those that throw packets away are looked
// at: others lead somewhere, and somebody wants them.
func fixUnroute(in *diag.Input, f *diag.Finding) []fixups.Op {
	if len(f.Covers.Traces) == 0 {
		return unrouteAt(in, snap.Ref(f.Subject.Name), f.Subject.Netns)
	}
	t := in.Flows[f.Covers.Traces[0]].Trace
	var refs []snap.Ref
	if t.Where != nil {
		refs = append(refs, t.Where.Ref)
	}
	for _, hops := range [][]sim.Hop{t.Reply, t.Forward} {
		for i := len(hops) - 1; i >= 0; i-- {
			refs = append(refs, hops[i].Because...)
		}
	}
	for _, r := range refs {
		ops := unrouteAt(in, r, r.Netns())
		if len(ops) > 0 && heals(in, f.Covers.Traces[0], ops) {
			return ops
		}
	}
	return nil
}

// unrouteAt deletes the route or rule at a reference if it is one that a hand
// may delete; nil otherwise.
func unrouteAt(in *diag.Input, ref snap.Ref, netns string) []fixups.Op {
	v, err := in.Snap.At(ref)
	ns := in.Netns(netns)
	if err != nil || ns == nil || !ns.Class.Ours() || killSwitch(in, ref) {
		return nil
	}
	host := netns == in.Snap.Host.Netns
	switch x := v.(type) {
	case *snap.Route:
		if host && !rejecting(x.Type) || x.Protocol != "boot" && x.Protocol != "static" || x.Dst.Bits() == 0 && !rejecting(x.Type) {
			return nil
		}
		return []fixups.Op{fixups.NewRouteDel(in.Snap, netns, *x)}
	case *snap.PolicyRule:
		// 0, 32766 and 32767 are the kernel's own (net/ipv4/fib_rules.c: fib_default_rules_init).
		if host && !rejecting(x.Action) || x.Priority == 0 || x.Priority >= 32766 || x.L3mdev {
			return nil
		}
		return []fixups.Op{&fixups.PolicyRuleDel{Where: at(in, netns), Rule: *x}}
	}
	return nil
}

// heals tries operations on a copy of the value and says whether one flow
// works then.
func heals(in *diag.Input, flow int, ops []fixups.Op) bool {
	f := tried(in, flow, ops)
	return f != nil && f.Works()
}

// healAll says whether all of some flows work with operations.
func healAll(in *diag.Input, flows []int, ops []fixups.Op) bool {
	w := worldWith(in, ops)
	return w != nil && !slices.ContainsFunc(flows, func(i int) bool {
		return !in.Along(w, in.Flows[i]).Works()
	})
}

// tried is a flow after operations on a copy of the state; nil when they can't be made.
func tried(in *diag.Input, flow int, ops []fixups.Op) *diag.FlowCase {
	w := worldWith(in, ops)
	if w == nil {
		return nil
	}
	return in.Along(w, in.Flows[flow])
}

// releases says whether operations take away the firm stop of a flow to somewhere beyond
// this host, of which no more is known than that it did not answer until now.
func releases(in *diag.Input, flow int, ops []fixups.Op) bool {
	f := in.Flows[flow]
	if len(in.Graph.Owners(f.Flow.Dst)) > 0 || f.Trace.Verdict != sim.Dropped {
		return false
	}
	after := tried(in, flow, ops)
	return after != nil && after.Trace.Verdict == sim.Unknown && after.Trace.IfAnswered != sim.Dropped
}
