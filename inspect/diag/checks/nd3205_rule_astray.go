package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd3205: a rule changes what becomes of a packet that would have arrived as it
// was.
//
// A rule need not drop a packet to lose it. A DNAT or REDIRECT rule that matches more
// than it was made for (a transparent proxy, a port forwarding without -d or -i, "all
// DNS to this server") sends the packet to somebody who does not take it; a SNAT rule
// gives it a source that no answer finds; one that accepts in a nat chain, or CT
// --notrack, keeps it from being masqueraded; a mark sends it to another routing
// table; a TTL is used up on the way. It then dies somewhere else: at another
// network's rules, at a closed port, on a bridge where nobody has the address. Without
// that rule, tried on the value, it would arrive.
//
// See it by hand:
//
//	iptables -t nat -S; nft list ruleset     which rule matches first; also raw, mangle
//	conntrack -L -d DST                      the answer's source is where it went
//
// False positives: a rule whose target is meant to be there, and is down.
//
// Sources: net/netfilter/nf_nat_core.c: nf_nat_setup_info, nf_nat_inet_fn; iptables-extensions(8)
func nd3205() diag.Check {
	return diag.Check{
		Code: "ND3205", Name: "rule-astray", Severity: diag.Error, Since: "0.1",
		Title:  "A rule leads packets astray that would arrive without it",
		After:  []diag.Code{"ND3201", "ND6101"},
		Detect: detectND3205,
		Fix:    fixND3205,
	}
}

func detectND3205(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, b := range without(in, suspectRules(in)) {
		if x := b.flow.Trace.Where; x != nil && killSwitch(in, x.Ref) { // whose mark it sets
			continue
		}
		w := rulePlace(in, b.ref)
		text, source := in.RuleLine(w)
		ends := ""
		if x := b.flow.Trace.Where; x != nil {
			ends = ": " + x.Detail
		} else if b.flow.Astray {
			ends = ": it ends at " + in.Who(b.flow.Trace.Arrived)
		}
		does, cause := "leads %s → %s astray", "the rule below matches the packet, which would arrive without it"
		if n := mappingAt(b.flow, b.ref); n != nil && n.Kind == "masquerade" {
			does, cause = "gives %s → %s a source that is not let in, "+n.AddrMin.String(), "the rule below matches the packet, which would arrive with the sender's own address"
		}
		if b.flow.Unmasked && spares(w.Rule) {
			does, cause = "keeps %s → %s from being masqueraded", "the rule below ends the chain before the one that masquerades, and answers to a private source have no way back"
		}
		out = append(out, diag.Finding{
			Summary:  fmt.Sprintf("%s (%s) in %s "+does+"%s", diag.ChainName(w), in.Owner(w), in.Who(w.Netns), b.flow.From, b.flow.To, ends),
			Cause:    cause,
			Subject:  diag.Subject{Kind: "rule", Name: string(b.ref), Netns: w.Netns},
			Evidence: []diag.Evidence{ev(source, text, b.ref)},
			Covers:   b.covers,
			Weight:   66,
		})
	}
	return out
}

// suspectRules are the rules that a flow met, but for the one that ends it, which
// is named as such, for those of programs, and for those that do what they are
// for: masquerading, and a published port's way to its container. A CNI plugin that
// failed leaves rules behind for an address that nobody has any more: those count.
func suspectRules(in *diag.Input) func(*diag.FlowCase) []suspect {
	return func(f *diag.FlowCase) []suspect {
		var out []suspect
		add := func(ref snap.Ref, orphan bool) {
			w := rulePlace(in, ref)
			if w == nil || slices.Contains(managed, in.Owner(w)) && !(orphan && in.Owner(w) == cniPlugin) || f.Trace.Where != nil && f.Trace.Where.Ref == ref {
				return
			}
			p := w.Rule
			if op := deleteRule(in, w.Netns, p.System, p.Family, p.Table, p.Chain, p.Num); op != nil {
				out = append(out, suspect{ref, []fixups.Op{op}})
			}
		}
		for x := f.Trace; x != nil; x = x.Proxy {
			for _, n := range x.NATed {
				if ops := untranslated(in, f, &n); ops != nil && slices.Contains(managed, in.Owner(rulePlace(in, n.Place.Ref))) {
					out = append(out, suspect{n.Place.Ref, ops})
				}
				if n.Kind != "masquerade" && !(f.Port != nil && in.Graph.ContainerOfAddr(n.AddrMin) == in.Snap.Container(f.Target)) {
					add(n.Place.Ref, !n.Src && n.AddrMin.IsValid() && len(in.Graph.Owners(n.AddrMin)) == 0)
				}
			}
		}
		for _, ref := range met(f.Trace) {
			if w := rulePlace(in, ref); w != nil && !passesOn(w.Rule) {
				add(ref, false)
			}
		}
		return out
	}
}

// passesOn says whether a rule only lets the packet pass, or hands it to another
// chain: it is what comes there that counts. To be accepted in a nat chain is to
// be left as it is, which is another matter.
func passesOn(p *rules.Place) bool { return verdict(p) != "" && !spares(p) }

// spares says whether a rule has a nat chain leave packets as they are.
func spares(p *rules.Place) bool {
	code := verdict(p)
	return (code == "accept" || code == "return") && (p.Table == "nat" || p.ChainP.Type == "nat")
}

// verdict is the code of a rule's own verdict; "" none.
func verdict(p *rules.Place) string {
	for _, e := range p.Rule.Exprs {
		if i, ok := e.(*snap.Immediate); ok && i.Verdict != nil {
			return i.Verdict.Code
		}
	}
	return ""
}

// rulePlace is the place of a rule of a namespace of ours; nil for any other line.
func rulePlace(in *diag.Input, ref snap.Ref) *sim.Where {
	ns := in.Netns(ref.Netns())
	v, err := in.Snap.At(ref)
	r, ok := v.(*snap.Rule)
	if err != nil || !ok || ns == nil || !ns.Class.Ours() {
		return nil
	}
	p := placeOfRule(ns, r)
	if p == nil {
		return nil
	}
	p.Ref = ref
	return &sim.Where{Netns: ns.ID, Rule: p, Ref: ref}
}

// fixND3205 deletes the rule: without returns none of a program's own.
func fixND3205(in *diag.Input, f *diag.Finding) []fixups.Op {
	w := rulePlace(in, snap.Ref(f.Subject.Name))
	if w == nil {
		return nil
	}
	if standing(in, f, w) {
		return nil
	}
	if len(f.Covers.Traces) > 0 && slices.Contains(managed, in.Owner(w)) {
		flow := &in.Flows[f.Covers.Traces[0]]
		if n := mappingAt(flow, w.Ref); n != nil && n.Src {
			f.Advice = in.Owner(w) + " writes its rules anew when it starts, with those that leave its own networks out; they are seen with the addresses that they have then"
			return untranslated(in, flow, n)
		}
	}
	if ops := pastForward(in, f, w); ops != nil {
		f.Advice = "the forwarding stays for what is sent to this host; -d ADDRESS or -i DEVICE in the rule itself does the same"
		return ops
	}
	f.Advice = "the rule may be there for a reason: one that names its destination or its device does less"
	if op := deleteRule(in, w.Netns, w.Rule.System, w.Rule.Family, w.Rule.Table, w.Rule.Chain, w.Rule.Num); op != nil {
		return []fixups.Op{op}
	}
	return nil
}

// placeOfRule is where a rule of a namespace stands; nil when it is not there.
func placeOfRule(ns *snap.Netns, r *snap.Rule) *rules.Place {
	if ns == nil {
		return nil
	}
	t, c, _ := ns.Ruleset.Find(func(_ *snap.Table, _ *snap.Chain, x *snap.Rule) bool { return x == r })
	if t == nil {
		return nil
	}
	return &rules.Place{System: t.System, Family: t.Family, Table: t.Name, Chain: c.Name, Handle: r.Handle, Num: r.Num, Rule: r, ChainP: c, TableP: t}
}
