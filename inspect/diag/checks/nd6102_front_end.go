package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd6102: a firewall that runs has none of its rules in the kernel, or nothing
// leads to them.
//
// firewalld and ufw write their rules when they start, and believe from then on that
// they are there. A flush ("nft flush ruleset", "iptables -F"), an iptables-restore
// of a saved file or another program's reload takes them away: the host is open, and
// "firewall-cmd --state" still says running. Of ufw's the chains stay, since a flush
// empties them or takes the jumps to them from INPUT.
//
// See it by hand:
//
//	firewall-cmd --state; nft list table inet firewalld
//	ufw status; iptables -S INPUT | grep ufw
//
// Sources: firewalld src/firewall/core/nftables.py: TABLE_NAME; ufw src/backend_iptables.py; docs.docker.com: Docker and firewalld
func nd6102() diag.Check {
	return diag.Check{
		Code: "ND6102", Name: "front-end-unhooked", Severity: diag.Warning, Since: "0.1", Audit: true,
		Title: "The host's firewall is on, and its rules are not in force",
		Needs: []string{"ruleset"},
		Detect: func(in *diag.Input) []diag.Finding {
			host := in.Snap.HostNs()
			if host == nil {
				return nil
			}
			var out []diag.Finding
			if pid := in.Snap.Host.Services["firewalld"]; pid > 0 && !anyChain(host, func(t *snap.Table, c *snap.Chain) bool {
				return t.Name == "firewalld" || strings.HasPrefix(c.Name, "INPUT_ZONES") || strings.HasPrefix(c.Name, "INPUT_direct")
			}) {
				out = append(out, diag.Finding{
					Summary:  fmt.Sprintf("firewalld runs (pid %d), and none of its rules are in the kernel: the host is open", pid),
					Cause:    "something flushed the rule set after firewalld had written it",
					Subject:  diag.Subject{Kind: "engine", Name: "firewalld", Netns: host.ID},
					Evidence: []diag.Evidence{ev("nft list tables", "no table inet firewalld, no chain INPUT_ZONES", "")},
					Advice:   "firewall-cmd --reload, then see that the engine's rules are there (netdoctor check); find what flushes: nftables.service with flush ruleset in /etc/nftables.conf is the usual one",
					Weight:   45,
				})
			}
			for i := range host.Ruleset.Tables {
				t := &host.Ruleset.Tables[i]
				ufw := t.Chain("ufw-before-input")
				if ufw == nil {
					ufw = t.Chain("ufw6-before-input")
				}
				if ufw == nil || t.Name != "filter" || jumpedTo(t, ufw.Name) {
					continue
				}
				out = append(out, diag.Finding{
					Summary:  fmt.Sprintf("ufw's chains are there, and nothing leads to %s: what ufw allows and denies is not asked", ufw.Name),
					Cause:    "INPUT was flushed or restored after ufw had put its jumps there",
					Subject:  diag.Subject{Kind: "engine", Name: "ufw/" + string(t.Family), Netns: host.ID},
					Evidence: []diag.Evidence{ev("iptables -S INPUT", "no -j "+ufw.Name, snap.RefChain(host.ID, t, ufw.Name))},
					Advice:   "ufw reload (if ufw is on at all: ufw status), then see that the engine's rules are there (netdoctor check)",
					Weight:   45,
				})
			}
			return out
		},
	}
}

// anyChain says whether a chain of the namespace is one of those.
func anyChain(ns *snap.Netns, is func(*snap.Table, *snap.Chain) bool) bool {
	for i := range ns.Ruleset.Tables {
		t := &ns.Ruleset.Tables[i]
		for j := range t.Chains {
			if is(t, &t.Chains[j]) {
				return true
			}
		}
	}
	return false
}

// jumpedTo says whether a rule of the table leads to the chain.
func jumpedTo(t *snap.Table, chain string) bool {
	leads := func(x snap.Expr) bool {
		i, ok := x.(*snap.Immediate)
		return ok && i.Verdict != nil && i.Verdict.Chain == chain
	}
	for i := range t.Chains {
		if slices.ContainsFunc(t.Chains[i].Rules, func(r snap.Rule) bool { return slices.ContainsFunc(r.Exprs, leads) }) {
			return true
		}
	}
	return false
}
