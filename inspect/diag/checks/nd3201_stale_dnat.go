package checks

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/intent"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/inspect/walk"
)

// nd3201: a published port is sent to an address that is not its container's.
//
// A published port is a DNAT rule to the container's address. Rules that outlive
// their container (an engine that died, iptables-persistent putting old rules
// back) send the packets to an address that is free, or by now somebody else's.
//
// See it by hand:
//
//	iptables -t nat -S DOCKER                --to-destination ADDRESS:PORT
//	docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' NAME
//
// Sources: moby drivers/bridge/port_mapping_linux.go; moby#8795
func nd3201() diag.Check {
	return diag.Check{
		Code: "ND3201", Name: "dnat-wrong-target", Severity: diag.Error, Since: "0.1",
		Title:  "A DNAT rule sends a published port somewhere else than to its container",
		Detect: detectND3201,
		Fix:    fixND3201,
	}
}

func detectND3201(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Flows {
		f := &in.Flows[i]
		if !f.Broken() || f.Excused {
			continue
		}
		for k := range f.Trace.NATed {
			m := &f.Trace.NATed[k]
			if m.Src || !m.AddrMin.IsValid() || !elsewhere(in, f, m.AddrMin) {
				continue
			}
			key := diag.Subject{Kind: "rule", Name: string(m.Place.Ref), Netns: in.Snap.Host.Netns}
			if at := slices.IndexFunc(out, func(x diag.Finding) bool { return x.Subject == key }); at >= 0 {
				out[at].Covers.Traces = append(out[at].Covers.Traces, i)
				continue
			}
			text, source := ruleText(in, in.Snap.Host.Netns, m.Place)
			want := ""
			if c := in.Snap.Container(f.Target); c != nil {
				want = fmt.Sprintf("; %s is %s", c.Name, addresses(c))
			} else if c := publisher(in, f.Flow.Dport, f.Flow.Proto); c != nil {
				want = fmt.Sprintf("; port %d is published by %s, which is %s", f.Flow.Dport, c.Name, addresses(c))
			}
			if h := in.Heir(f); h.IsValid() {
				want = fmt.Sprintf("; %s is %s", in.Who(in.Graph.Owners(h)[0].Netns.ID), h)
			}
			whose, seen := whoHas(in, f, m.AddrMin)
			out = append(out, diag.Finding{
				Summary:  fmt.Sprintf("port %d is sent to %s, %s, by %s %s rule %d%s", f.Flow.Dport, m.AddrMin, whose, m.Place.Table, m.Place.Chain, m.Place.Num, want),
				Cause:    fmt.Sprintf("%s %s rule %d sends the port to %s, %s", m.Place.Table, m.Place.Chain, m.Place.Num, m.AddrMin, whose),
				Subject:  key,
				Evidence: append([]diag.Evidence{ev(source, text, m.Place.Ref)}, seen...),
				Covers:   diag.Cover{Traces: []int{i}},
				Advice:   "restart the container, so that its engine writes the rule anew; a rule that nobody owns is deleted by hand",
				Weight:   86,
			})
			break
		}
	}
	for k := range out {
		w := rulePlace(in, snap.Ref(out[k].Subject.Name))
		if w == nil || slices.Contains(managed, in.Owner(w)) || diag.TableOwner(w.Rule.Table) != "" {
			continue
		}
		if in.Heir(&in.Flows[out[k].Covers.Traces[0]]).IsValid() {
			out[k].Advice = "what wrote it may do so again: see why the address is another now"
			continue
		}
		out[k].Advice = "the rule is of no engine: where it is meant for other traffic, give it that traffic's addresses or device"
		if ops := deleteSubject(in, &out[k]); len(ops) == 1 && fixND3201(in, &out[k]) == nil { // something else stands in the way
			out[k].Advice += "; where it is left over: " + shellOf(ops[0])
		}
	}
	return out
}

// cniPlugin is the owner of rules that CNI's plugins have written.
const cniPlugin = "a CNI plugin"

// fixND3201 deletes a rule of no engine without which the port leads to its container.
// An engine's own stale ones are put right with the rest of its rules; a CNI plugin is
// gone when it has written its own, which nobody mends then: one that leads to an
// address that nobody has is deleted, too, or led on to its container.
func fixND3201(in *diag.Input, f *diag.Finding) []fixups.Op {
	w := rulePlace(in, snap.Ref(f.Subject.Name))
	if w == nil {
		return nil
	}
	flow := &in.Flows[f.Covers.Traces[0]]
	m := flow.Trace.NATed[slices.IndexFunc(flow.Trace.NATed, func(m rules.NAT) bool { return m.Place.Ref == w.Ref })]
	cni := in.Owner(w) == cniPlugin && len(in.Graph.Owners(m.AddrMin)) == 0
	if !cni && slices.Contains(managed, in.Owner(w)) {
		return nil
	}
	leads := func(ops []fixups.Op) bool { // the first flow may be one that goes by another way then, such as a proxy's
		return slices.ContainsFunc(f.Covers.Traces, func(i int) bool {
			f := tried(in, i, ops)
			return f != nil && f.Works() && (!cni || slices.ContainsFunc(f.Trace.NATed, func(m rules.NAT) bool { // the engine's own socket on the port leads nowhere
				return !m.Src && m.AddrMin.IsValid() && !elsewhere(in, f, m.AddrMin)
			}))
		})
	}
	ops := deleteSubject(in, f)
	if p := in.Neighbour(m.AddrMin); in.SentBeyond(flow).IsValid() && in.Owner(w) == "hand-made" && (p == nil || p.Outcome == snap.Answered) { // it may be of use to others
		f.Advice = "the rule is for another machine, and stays: of its ports this one is the container's; narrow it, or publish another port"
		for _, x := range ledFirst(in, flow, w) {
			if leads(x) {
				return x
			}
		}
		return nil
	}
	if leads(ops) {
		return ops
	}
	to, c := in.Heir(flow), in.Snap.Container(flow.Target)
	switch {
	case len(ops) != 1:
		return nil
	case to.IsValid():
		if x := releadElements(in, f, w); len(x) > 0 {
			return x
		}
	case !cni || c == nil || len(c.Endpoints) != 1:
		return nil
	case m.AddrMin.Is4():
		to = c.Endpoints[0].IPv4.Addr()
	default:
		to = c.Endpoints[0].IPv6.Addr()
	}
	del := ops[0].(*fixups.RuleDelete)
	right := strings.NewReplacer(m.AddrMin.String(), to.String())
	add := &fixups.RuleInsert{ChainRef: del.ChainRef, Position: w.Rule.Num, Text: right.Replace(del.Text)}
	for _, a := range del.Args {
		add.Args = append(add.Args, right.Replace(a))
	}
	if ops = append(ops, add); to.IsValid() && leads(ops) {
		return ops
	}
	return nil
}

// whoHas says whose an address is that a rule sends a published port to, and shows what
// was heard of it.
func whoHas(in *diag.Input, f *diag.FlowCase, a netip.Addr) (string, []diag.Evidence) {
	if o := in.Graph.Owners(a); len(o) > 0 {
		return "an address of " + in.Who(o[0].Netns.ID), nil
	}
	if !in.SentBeyond(f).IsValid() {
		return "an address that nobody has", nil
	}
	p := in.Neighbour(a)
	if p == nil {
		return "an address beyond this host", nil
	}
	whose, seen := "an address that answers no ARP", fmt.Sprintf("(%s does not answer)", a)
	if p.Outcome == snap.Answered {
		whose, seen = "a machine beyond this host", fmt.Sprintf("%s is at %s", a, p.MAC)
	}
	return whose, []diag.Evidence{ev("arping -c 1 "+a.String(), seen, snap.RefProbe(p.ID))}
}

// ledFirst are ways to lead a published port to its container before a rule that sends it
// elsewhere: the jump that stands behind it, for this port alone; or, where another chain
// of the hook has the container's rule, the end of this one.
func ledFirst(in *diag.Input, flow *diag.FlowCase, w *sim.Where) [][]fixups.Op {
	p, ns := w.Rule, in.Netns(w.Netns)
	ref := fixups.ChainAt(in.Snap, w.Netns, p.TableP, p.Chain)
	proto := string(flow.Flow.Proto)
	if p.System == snap.NFT {
		return [][]fixups.Op{{&fixups.RuleInsert{ChainRef: ref, Position: p.Num, Text: fmt.Sprintf("%s dport %d accept", proto, flow.Flow.Dport)}}}
	}
	var out [][]fixups.Op
	for k := p.Num; k < len(p.ChainP.Rules); k++ {
		words := intent.Args(firewall.RuleText(ns, p.TableP, p.ChainP, &p.ChainP.Rules[k]))
		at := slices.Index(words, "-j")
		if at < 0 || slices.Contains(words, "--dport") || slices.Contains(words, "-p") || at+1 >= len(words) || p.TableP.Chain(words[at+1]) == nil {
			continue
		}
		args := append([]string{"-p", proto, "-m", proto, "--dport", fmt.Sprint(flow.Flow.Dport)}, words...)
		out = append(out, []fixups.Op{&fixups.RuleInsert{ChainRef: ref, Position: p.Num, Args: args}})
	}
	return out
}

// releadElements has the elements of a rule's maps lead a finding's flows to where their
// machine is now; nil where the rule looks none up, or that helps nobody.
func releadElements(in *diag.Input, f *diag.Finding, w *sim.Where) []fixups.Op {
	var ops []fixups.Op
	for _, i := range f.Covers.Traces {
		flow := &in.Flows[i]
		to := in.Heir(flow)
		if len(ops) > 0 && heals(in, i, ops) || !to.IsValid() {
			continue
		}
		for k, e := range w.Rule.Rule.Exprs {
			l, ok := e.(*snap.Lookup)
			if !ok {
				continue
			}
			set := w.Rule.TableP.Set(l.Set)
			if set == nil || !set.Map || set.Constant {
				continue
			}
			key := keyOf(w.Rule.Rule.Exprs[:k], l.Sreg, set, &flow.Trace.Forward[0])
			at := slices.IndexFunc(set.Elements, func(x snap.Element) bool { return bytes.Equal(x.Key, key) })
			if at < 0 || len(set.Elements[at].Data) < len(to.AsSlice()) {
				continue
			}
			del := &fixups.SetElementDel{ChainRef: fixups.ChainAt(in.Snap, w.Netns, w.Rule.TableP, w.Rule.Chain), Set: set.Name, Fields: set.Fields, Elements: set.Elements[at : at+1]}
			add := fixups.SetElementAdd(*del)
			add.Elements = slices.Clone(add.Elements)
			add.Elements[0].Data = append(to.AsSlice(), add.Elements[0].Data[len(to.AsSlice()):]...)
			ops = append(ops, del, &add)
		}
		if !heals(in, i, ops) {
			return nil
		}
	}
	return ops
}

// elsewhere says whether a flow is sent to an address that it is not meant for:
// one in a container network that nobody has, or, when a published port says who
// is meant, any that is not that container's; one that it has lost is its own still.
func elsewhere(in *diag.Input, f *diag.FlowCase, to netip.Addr) bool {
	owners := in.Graph.Owners(to)
	c := in.Snap.Container(f.Target)
	if f.Port == nil || c == nil || c.Netns == "" {
		return len(owners) == 0 && (in.Graph.NetworkOfAddr(to) != nil || in.Heir(f).IsValid())
	}
	its := slices.ContainsFunc(c.Endpoints, func(e snap.Endpoint) bool {
		return e.IPv4.IsValid() && e.IPv4.Addr() == to || e.IPv6.IsValid() && e.IPv6.Addr() == to
	})
	return !its && !slices.ContainsFunc(owners, func(o walk.End) bool { return o.Netns.ID == c.Netns })
}

// addresses are a container's, in words.
func addresses(c *snap.Container) string {
	var out []string
	for _, e := range c.Endpoints {
		for _, p := range []netip.Prefix{e.IPv4, e.IPv6} {
			if p.IsValid() {
				out = append(out, p.Addr().String())
			}
		}
	}
	if len(out) == 0 {
		return "without address"
	}
	return strings.Join(out, ", ")
}

// publisher is the container that publishes a port of the host; nil none.
func publisher(in *diag.Input, port uint16, proto snap.Proto) *snap.Container {
	for i := range in.Snap.Containers {
		c := &in.Snap.Containers[i]
		for _, p := range c.Ports {
			if c.Running() && p.HostPort == port && p.Proto == proto {
				return c
			}
		}
	}
	return nil
}
