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

// lockdowns are findings about tables that close their own namespace's way out: one for
// each, whichever of its chains stop what. Their owner opens them, nobody else.
func lockdowns(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, g := range in.Groups(sim.CauseRule, sim.CausePolicy) {
		if !in.Lockdown(g.Where) {
			continue
		}
		p := g.Where.Rule
		subject := diag.Subject{Kind: "table", Name: p.Table, Netns: g.Where.Netns}
		text, source := in.RuleLine(g.Where)
		line := ev(source, text, g.Where.Ref)
		if i := sameSubject(out, subject); i >= 0 {
			f := &out[i]
			f.Covers.Traces = append(f.Covers.Traces, g.Flows...)
			f.Evidence = append(f.Evidence, line)
			f.Cure = append(f.Cure, unlock(in, g.Where)...)
			continue
		}
		first, self := &in.Flows[g.Flows[0]], ""
		if g.Where.Netns == in.Snap.Host.Netns {
			self = "for this host as well, "
		}
		way, advice := "out", "leave it as it is: bring the VPN up whose device it names, or add what is missing where these rules come from"
		if ch := p.ChainP; ch != nil && (ch.Hook == "input" || first.Outside) {
			way, advice = "in", "leave it as it is: have the port let in where these rules come from (gluetun: FIREWALL_INPUT_PORTS)"
		}
		out = append(out, diag.Finding{
			Summary:  fmt.Sprintf("%s (%s) in %s closes the way %s, %sbut for what it names: %s → %s%s", tableName(p), in.Owner(g.Where), in.Who(g.Where.Netns), way, self, first.From, first.To, more(g)),
			Cause:    "a VPN's kill switch, or a list of what may be reached, is written like this: it lets through what it names, such as a tunnel, and nothing else",
			Subject:  subject,
			Evidence: []diag.Evidence{line},
			Covers:   diag.Cover{Traces: g.Flows},
			Advice:   advice,
			Cure:     unlock(in, g.Where),
			Weight:   60,
		})
	}
	for i := range out {
		slices.Sort(out[i].Covers.Traces)
	}
	return out
}

// tableName is a table in words.
func tableName(p *rules.Place) string {
	if p.System == snap.NFT {
		return fmt.Sprintf("table %s %s", p.Family, p.Table)
	}
	return "table " + p.Table + " of iptables"
}

// unlock is what would open a place of a lockdown: its rule and its chain's policy.
func unlock(in *diag.Input, w *sim.Where) []fixups.Op {
	p := w.Rule
	ops := []fixups.Op{&fixups.ChainPolicy{ChainRef: fixups.ChainAt(in.Snap, w.Netns, p.TableP, p.Chain), Policy: "accept"}}
	if p.ChainP != nil && !p.ChainP.Base() {
		ops = nil
	}
	if op := deleteRule(in, w.Netns, p.System, p.Family, p.Table, p.Chain, p.Num); op != nil && !p.Policy {
		ops = append(ops, op)
	}
	return ops
}
