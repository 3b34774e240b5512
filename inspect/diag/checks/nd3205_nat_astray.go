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

// nd3205: a NAT rule rewrites a packet that would have arrived as it was.
func nd3205() diag.Check {
	return diag.Check{
		Code: "ND3205", Name: "nat-astray", Severity: diag.Error, Since: "0.1",
		Title: "A NAT rule rewrites packets that would arrive without it",
		Doc: `A DNAT or REDIRECT rule that matches more than it was made for (a transparent
proxy, a port forwarding without -d or -i, "all DNS to this server") sends the
packet to somebody who does not take it; a SNAT rule gives it a source that no
answer finds. It then dies somewhere else: at another network's rules, at a closed
port, on a bridge where nobody has the address.

See it by hand:
    iptables -t nat -S; nft list ruleset     which rule matches first
    conntrack -L -d DST                      the answer's source is where it went

False positives: a rule whose target is meant to be there, and is down.

Sources: net/netfilter/nf_nat_core.c: nf_nat_setup_info; iptables-extensions(8)`,
		After:  []diag.Code{"ND3201", "ND6101"},
		Detect: detectND3205,
		Fix:    fixND3205,
	}
}

func detectND3205(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, b := range without(in, rewrites(in)) {
		w := natPlace(in, b.ref, b.flow.Trace)
		if w == nil {
			continue
		}
		text, source := in.RuleLine(w)
		ends := ""
		if x := b.flow.Trace.Where; x != nil {
			ends = "; " + x.Detail
		}
		out = append(out, diag.Finding{
			Summary:  fmt.Sprintf("%s (%s) in %s rewrites %s → %s, which would arrive without it: %s%s", diag.ChainName(w), in.Owner(w), in.Who(w.Netns), b.flow.From, b.flow.To, text, ends),
			Cause:    fmt.Sprintf("the rule %q of %s matches the packet", text, diag.ChainName(w)),
			Subject:  diag.Subject{Kind: "rule", Name: string(b.ref), Netns: w.Netns},
			Evidence: []diag.Evidence{ev(source, text, b.ref)},
			Covers:   b.covers,
			Weight:   66,
		})
	}
	return out
}

// rewrites are the NAT rules that a flow met, but for those that do what they
// are for: masquerading, and a published port's way to its container.
func rewrites(in *diag.Input) func(*diag.FlowCase) []suspect {
	return func(f *diag.FlowCase) []suspect {
		var out []suspect
		for x := f.Trace; x != nil; x = x.Proxy {
			for _, n := range x.NATed {
				p := n.Place
				ns := in.Netns(p.Ref.Netns())
				if p.Policy || ns == nil || !ns.Class.Ours() || n.Kind == "masquerade" || f.Port != nil && in.Graph.ContainerOfAddr(n.AddrMin) == in.Snap.Container(f.Target) {
					continue
				}
				if op := deleteRule(in, ns.ID, p.System, p.Family, p.Table, p.Chain, p.Num); op != nil {
					out = append(out, suspect{p.Ref, []fixups.Op{op}})
				}
			}
		}
		return out
	}
}

// natPlace is the place of a NAT rule on a flow's way.
func natPlace(in *diag.Input, ref snap.Ref, t *sim.Trace) *sim.Where {
	for x := t; x != nil; x = x.Proxy {
		for i := range x.NATed {
			if p := x.NATed[i].Place; p.Ref == ref {
				place := *p
				return &sim.Where{Netns: ref.Netns(), Rule: &place, Ref: ref}
			}
		}
	}
	return nil
}

// fixND3205 deletes a rule that nobody's program manages.
func fixND3205(in *diag.Input, f *diag.Finding) []fixups.Op {
	v, err := in.Snap.At(snap.Ref(f.Subject.Name))
	r, ok := v.(*snap.Rule)
	if err != nil || !ok {
		return nil
	}
	p := placeOfRule(in.Netns(f.Subject.Netns), r)
	if p == nil {
		return nil
	}
	if o := in.Owner(&sim.Where{Netns: f.Subject.Netns, Rule: p}); slices.Contains(managed, o) {
		f.Advice = ownerAdvice(o)
		return nil
	}
	f.Advice = "the rule may be there for a reason: one that names its destination or its device does less"
	if op := deleteRule(in, f.Subject.Netns, p.System, p.Family, p.Table, p.Chain, p.Num); op != nil {
		return []fixups.Op{op}
	}
	return nil
}

// placeOfRule is where a rule of a namespace stands; nil when it is not there.
func placeOfRule(ns *snap.Netns, r *snap.Rule) *rules.Place {
	if ns == nil {
		return nil
	}
	for i := range ns.Ruleset.Tables {
		t := &ns.Ruleset.Tables[i]
		for j := range t.Chains {
			c := &t.Chains[j]
			for k := range c.Rules {
				if &c.Rules[k] == r {
					return &rules.Place{System: t.System, Family: t.Family, Table: t.Name, Chain: c.Name, Handle: r.Handle, Num: r.Num, Rule: r, ChainP: c, TableP: t}
				}
			}
		}
	}
	return nil
}
