package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd4206: a NAT rule takes questions to where no good answer comes from.
//
// A DNAT or REDIRECT rule for port 53 takes every question that passes, whomever it
// was meant for: a filter (Pi-hole, a transparent proxy, a VPN client) that is gone
// or that does not know the containers' names. Port 53 published on all addresses
// is such a rule, too: it catches what podman's containers ask of their gateway,
// and aardvark-dns is never asked.
//
// See it by hand:
//
//	iptables -t nat -S | grep -e 53          a DNAT or REDIRECT of port 53
//	conntrack -L -p udp --dport 53           the reply's source is another server
//
// False positives: none while answers come: a diversion that works is left alone.
//
// Sources: iptables-extensions(8), DNAT and REDIRECT; containers/netavark#1470,
// containers/aardvark-dns#13
func nd4206() diag.Check {
	return diag.Check{
		Code: "ND4206", Name: "dns-diverted", Severity: diag.Error, Since: "0.2",
		Title:  "A NAT rule sends DNS questions to another server, which does not answer them",
		After:  []diag.Code{"ND3205"},
		Detect: detectND4206,
		Fix:    fixDiverted,
	}
}

func detectND4206(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, g := range nameGroups(in, names.Diverted) {
		f := g.finding(in)
		w := divertedAt(g.problem)
		text, source := in.RuleLine(w)
		f.Summary = fmt.Sprintf("%s cannot resolve names: %s", in.Who(g.first.Ask.Netns), g.problem.Detail)
		f.Cause = fmt.Sprintf("the rule %q of %s (%s) takes questions meant for %s", text, diag.ChainName(w), in.Owner(w), g.problem.Server)
		f.Subject = diag.Subject{Kind: "rule", Name: diag.ChainName(w), Netns: w.Netns}
		f.Evidence = []diag.Evidence{ev(source, text, w.Ref)}
		f.Advice = "let the rule leave this server alone, or make the one it leads to answer"
		if c := in.Snap.Container(g.problem.Container); c != nil && publishes53(c) {
			f.Advice = fmt.Sprintf("make %s again with its port 53 published on one address of the host only (-p ADDRESS:53:53/udp), so that the rule leaves %s alone", c.Name, g.problem.Server.Addr())
		}
		f.Weight = 66
		out = append(out, f)
	}
	return out
}

func divertedAt(p *names.Problem) *sim.Where {
	return &sim.Where{Netns: p.By.Ref.Netns(), Layer: "netfilter", Cause: sim.CauseRule, Rule: p.By, Ref: p.By.Ref}
}

func publishes53(c *snap.Container) bool {
	return slices.ContainsFunc(c.Ports, func(p snap.Port) bool { return p.HostPort == 53 })
}

// fixDiverted deletes the rule where no program owns it.
func fixDiverted(in *diag.Input, f *diag.Finding) []fixups.Op {
	p := in.Names[f.Covers.Names[0]].Path.Problem
	w := divertedAt(p)
	owner := in.Owner(w)
	if c := in.Snap.Container(p.Container); c != nil && publishes53(c) || slices.Contains(managed, owner) || !owned(in, w.Netns) {
		return nil
	}
	if op := deleteRule(in, w.Netns, p.By.System, p.By.Family, p.By.Table, p.By.Chain, p.By.Num); op != nil {
		f.Advice = "the rule may be there for a reason: look at it before it goes"
		return append([]fixups.Op{op}, tidy(in, w.Netns, p.By)...)
	}
	return nil
}
