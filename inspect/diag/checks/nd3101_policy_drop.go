package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd3101: a base chain's policy drops, because no rule accepts.
//
// The packet went through all rules of a base chain, none of them decided, and
// the chain's policy is DROP. Docker sets the policy of FORWARD to DROP when it
// turns forwarding on; everything else that is routed through this host (other
// bridges, hand-made namespaces, virtual machines) then needs an accept rule of
// its own. INPUT with policy DROP keeps containers from services on their own
// host: what comes from a bridge is input, and "allow from eth0" does not cover it.
//
// See it by hand:
//
//	iptables -S FORWARD; iptables -S INPUT   the line -P … DROP
//	iptables-legacy -S                       rules of the other kind apply, too
//	nft list ruleset                         every base chain of the hook counts
//
// False positives: a policy that is meant to keep exactly this flow out.
//
// Sources: net/ipv4/netfilter/ip_tables.c; moby#39439, moby#49288, moby#46636
func nd3101() diag.Check {
	return diag.Check{
		Code: "ND3101", Name: "policy-drop", Severity: diag.Error, Since: "0.1",
		Title:  "A chain's policy drops the packet: no rule accepts it",
		After:  []diag.Code{"ND1107", "ND6101", "ND3205", "ND2203", "ND2205", "ND2209", "ND1106", "ND2110"},
		Detect: detectND3101,
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			if f.Subject.Kind == "rule" {
				if f.Advice != "" {
					return nil // the chain that it leads to is somebody's: see leftEarly
				}
				return deleteSubject(in, f)
			}
			if ops := asMeant(in, f); len(ops) > 0 {
				return ops
			}
			ops := fixAccept(in, f)
			if vain(in, f.Covers.Traces, ops) {
				f.Advice = "no rule that belongs there would match it as it goes now: see first which way it goes"
				return nil
			}
			return ops
		},
	}
}

func detectND3101(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, g := range in.Groups(sim.CausePolicy) {
		if !owned(in, g.Where.Netns) || in.Lockdown(g.Where) {
			continue // of a table that closes this host, too, ND3102 tells
		}
		first := &in.Flows[g.Flows[0]]
		text, source := in.RuleLine(g.Where)
		way, subject := "", diag.ChainName(g.Where)
		if g.Where.Reply {
			way = "the answers of "
			subject += ", answers" // another fault than a new connection that is stopped there
		}
		if x := leftEarly(in, g); x != nil {
			out = append(out, *x)
			continue
		}
		out = append(out, diag.Finding{
			Summary:  fmt.Sprintf("%s is DROP in %s and no rule accepts %s%s → %s%s", diag.ChainName(g.Where), in.Who(g.Where.Netns), way, first.From, first.To, more(g)),
			Cause:    fmt.Sprintf("no rule of %s accepts the packet, so the chain's policy drops it", strings.TrimSuffix(diag.ChainName(g.Where), " policy")),
			Subject:  diag.Subject{Kind: "chain", Name: subject, Netns: g.Where.Netns},
			Evidence: []diag.Evidence{ev(source, text, g.Where.Ref)},
			Covers:   diag.Cover{Traces: g.Flows},
			Weight:   60,
		})
		sayMeant(in, &out[len(out)-1])
	}
	return out
}

// vain says whether new rules leave each of some flows to die where it dies now.
func vain(in *diag.Input, flows []int, ops []fixups.Op) bool {
	for _, op := range ops {
		if _, ok := op.(*fixups.RuleInsert); !ok {
			return false
		}
	}
	if len(ops) == 0 {
		return false
	}
	then, err := in.WhatIf(ops)
	if err != nil {
		return false
	}
	for _, i := range flows {
		was, is := in.Flows[i].Trace.Where, then.Flows[i].Trace.Where
		if was == nil || is == nil || was.Netns != is.Netns || was.Ref != is.Ref {
			return false
		}
	}
	return true
}

// leftEarly is the finding where a RETURN or a goto in the base chain itself took the packet
// past the rules behind it, straight to the policy; nil when it met all of them.
func leftEarly(in *diag.Input, g diag.Group) *diag.Finding {
	first, p := &in.Flows[g.Flows[0]], g.Where.Left
	if p == nil {
		return nil
	}
	text, source := ruleText(in, g.Where.Netns, p)
	at := &sim.Where{Netns: g.Where.Netns, Rule: p}
	cause, advice := "RETURN in a base chain ends it: the chain's policy decides, and no rule behind it is asked", ""
	if to := goesTo(p.Rule); to != "" {
		if !empty(p, to) {
			advice = fmt.Sprintf("what should pass needs a rule in %s, which the packet goes through to its end", to)
		}
		cause = "a goto does not come back: at the end of the chain that it leads to the base chain's policy decides, and no rule behind it is asked"
	}
	return &diag.Finding{
		Summary: fmt.Sprintf("%s (%s) in %s takes %s → %s%s past the rules that accept, to the policy, which is DROP: %s",
			diag.ChainName(at), in.Owner(at), in.Who(g.Where.Netns), first.From, first.To, more(g), text),
		Cause:    cause,
		Subject:  diag.Subject{Kind: "rule", Name: string(p.Ref), Netns: g.Where.Netns},
		Evidence: []diag.Evidence{ev(source, text, p.Ref)},
		Covers:   diag.Cover{Traces: g.Flows},
		Advice:   advice,
		Weight:   72,
	}
}

// goesTo is the chain that a rule goes to for good; "" for any other rule.
func goesTo(r *snap.Rule) string {
	if r != nil {
		for _, e := range r.Exprs {
			if x, ok := e.(*snap.Immediate); ok && x.Verdict != nil && x.Verdict.Code == "goto" {
				return x.Verdict.Chain
			}
		}
	}
	return ""
}

// empty says whether the chain of that name in the table of a place has no rules.
func empty(p *rules.Place, name string) bool {
	return p.TableP != nil && slices.ContainsFunc(p.TableP.Chains, func(c snap.Chain) bool { return c.Name == name && len(c.Rules) == 0 })
}

// more counts the flows of a group beyond the first.
func more(g diag.Group) string {
	if n := len(g.Flows) - 1; n > 0 {
		return fmt.Sprintf(" (and %s)", diag.Count(n, "other flow"))
	}
	return ""
}

// ruleFinding is a finding about a rule that drops or rejects a group of flows.
func ruleFinding(in *diag.Input, g diag.Group) diag.Finding {
	first := &in.Flows[g.Flows[0]]
	text, source := in.RuleLine(g.Where)
	does := "drops"
	if p := g.Where.Rule; p != nil && rejects(p.Rule) {
		does = "rejects"
	}
	what := first.From + " → " + first.To
	if g.Where.Reply {
		what = "the answers of " + what
	}
	what += more(g)
	switch t := first.Trace; t.Later {
	case sim.LaterData:
		what = "the data of " + what
	case sim.LaterFull:
		what = "the full packets of " + what
	case sim.LaterMuch:
		what += fmt.Sprintf(" once the connection has carried about %d bytes each way", t.Size)
	}
	cause := ruleCause(g.Where)
	if in.EndsList(g.Where) {
		cause = "rules before it in that chain name what may pass, and none of them takes this"
	}
	if b := first.Trace.Where; b.Behind != nil && b.Behind.Rule == g.Where.Rule {
		cause = b.Detail // the question for a neighbour
	}
	if strings.Contains(g.Where.Detail, " hands it to ") {
		cause = g.Where.Detail // a program that is not there
	}
	if p := g.Where.Rule; p != nil && metered(p.Rule) {
		does, cause = "holds back", "the sender is over the limit that the rule has: it lets pass who sends less, and the same sender later"
	}
	if diag.Spent(g.Where) {
		does, cause = "has no port left for", g.Where.Detail
	}
	if strings.Contains(g.Where.Detail, " sends it out of ") { // nft's fwd
		does, cause = "sends away", g.Where.Detail
	}
	f := diag.Finding{
		Summary:  fmt.Sprintf("%s (%s) in %s %s %s: %s", diag.ChainName(g.Where), in.Owner(g.Where), in.Who(g.Where.Netns), does, what, text),
		Cause:    cause,
		Subject:  diag.Subject{Kind: "rule", Name: diag.ChainName(g.Where), Netns: g.Where.Netns},
		Evidence: append([]diag.Evidence{ev(source, text, g.Where.Ref)}, bannedLines(in, first)...),
		Covers:   diag.Cover{Traces: g.Flows, Names: tooBig(in, g)},
		Weight:   60,
	}
	saySpent(in, &f, g.Where, first.Flow)
	sayMeant(in, &f)
	return f
}

// tooBig are the names whose answers do not fit into UDP, where it is the question by TCP
// that is stopped.
func tooBig(in *diag.Input, g diag.Group) []int {
	return coverNames(in, func(n *diag.NameCase) bool {
		p := n.Path.Problem
		return p != nil && p.Kind == names.BigAnswersLost && slices.ContainsFunc(g.Flows, func(i int) bool {
			f := &in.Flows[i].Flow
			return f.Proto == snap.TCP && netip.AddrPortFrom(f.Dst, f.Dport) == p.Server
		})
	})
}

// ruleCause says why that rule decides, rather than one that accepts.
func ruleCause(w *sim.Where) string {
	p := w.Rule
	switch {
	case p != nil && p.Chain == "DOCKER-USER":
		return "Docker asks DOCKER-USER before its own rules: what that chain drops never gets to the rule that would accept it"
	case p != nil && p.ChainP != nil && p.ChainP.Hook != "" && p.System == snap.NFT:
		what := "drop"
		if rejects(p.Rule) {
			what = "reject"
		}
		return fmt.Sprintf("the chain is asked of every packet at %s, priority %d, and a %s is final: no other table can accept it again", p.ChainP.Hook, p.ChainP.Priority, what)
	}
	return "it is the first rule that decides about the packet: what stands behind it is not asked"
}

// rejects says whether a rule answers with an error instead of staying silent.
func rejects(r *snap.Rule) bool {
	if r == nil {
		return false
	}
	for _, e := range r.Exprs {
		switch x := e.(type) {
		case *snap.Reject:
			return true
		case *snap.Xt:
			if x.Target && x.Name == "REJECT" {
				return true
			}
		}
	}
	return false
}
