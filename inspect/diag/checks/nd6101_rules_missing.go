package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/intent"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd6101: rules that the engine wrote are no longer there.
func nd6101() diag.Check {
	return diag.Check{
		Code: "ND6101", Name: "engine-rules-missing", Severity: diag.Warning, Since: "0.1",
		Title: "Firewall rules that the engine needs are missing or changed",
		Doc: `An engine writes its rules when it starts and when a network or container comes
up, and believes from then on that they are there. A firewall reload (ufw,
firewalld, iptables-restore, a flush in a script) takes them away: then nothing is
masqueraded, published or accepted, and "docker run -p" fails with "No
chain/target/match by that name". netdoctor knows what the engine wants from its
networks and containers, and puts back exactly that; restarting the daemon would
do so, too.

See it by hand:
    iptables -S; iptables -t nat -S          against docker network inspect …
    journalctl -u docker                     "Firewalld reloaded", iptables errors

Sources: moby drivers/bridge/setup_ip_tables.go; moby#12294, moby#15254`,
		Needs:  []string{"ruleset", "docker"},
		Detect: detectND6101,
		Fix:    fixDrift,
	}
}

func detectND6101(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, set := range wantedRules(in) {
		d, host := intent.Diff(in.Snap, set), set.At(in.Snap)
		if !d.Broken() && len(staleTargets(&d)) == 0 {
			continue
		}
		f := diag.Finding{
			Cause:   fmt.Sprintf("rules that %s wrote for its networks and containers were removed or changed behind its back", set.Engine),
			Subject: diag.Subject{Kind: "engine", Name: set.Engine, Netns: host.ID},
			Weight:  92,
		}
		at := ""
		if set.Netns != "" && host.ID != in.Snap.Host.Netns {
			at = " in " + host.ID
		}
		var parts []string
		gone := missingTable(host, &set, &d)
		if gone != "" {
			parts, f.Severity = append(parts, gone), diag.Error
		}
		for _, c := range d.Chains {
			if !ownersOnly(c.Table, c.Name) {
				f.Severity = diag.Error // docker run -p fails from now on
			}
		}
		if gone == "" {
			parts = append(parts, goneChains(&d)...)
		}
		for _, j := range d.Jumps {
			if gone == "" {
				parts = append(parts, fmt.Sprintf("map %s lacks %s", j.Map, j.Text()))
			}
			f.Evidence = append(f.Evidence, ev("nft list map ip "+j.Table+" "+j.Map, "missing: "+j.Text(), ""))
		}
		for _, m := range d.Sets {
			if gone == "" {
				parts = append(parts, fmt.Sprintf("set %s %s has lost elements", m.Table, m.Set.Name))
			}
		}
		per, order := map[string]int{}, []string{}
		for _, m := range d.Missing {
			k := m.Table + " " + m.Chain
			if per[k] == 0 {
				order = append(order, k)
			}
			per[k]++
			if len(f.Evidence) < 12 {
				f.Evidence = append(f.Evidence, ev(listChain(&set, m.Table, m.Chain), "missing: "+m.Text, ""))
			}
		}
		if gone == "" { // else with the table all that was in it
			parts = append(parts, lacking(order, per)...)
		}
		for _, e := range staleTargets(&d) {
			parts = append(parts, fmt.Sprintf("%s %s has a stale one: %s", e.Table, e.Chain, e.Text))
			f.Evidence = append(f.Evidence, ev(listChain(&set, e.Table, e.Chain), e.Text, e.Ref))
		}
		if len(d.Missing) == 1 && len(d.Jumps)+len(d.Chains) == 0 {
			parts = []string{fmt.Sprintf("%s %s lacks %q (%s)", d.Missing[0].Table, d.Missing[0].Chain, d.Missing[0].Text, d.Missing[0].For)}
			if s := staleTargets(&d); len(s) == 1 && s[0].Instead != nil {
				parts[0] = fmt.Sprintf("%s %s has %q instead of %q", s[0].Table, s[0].Chain, s[0].Text, s[0].Instead.Text)
			}
		}
		if f.Severity == "" && len(d.Jumps) == 0 && len(staleTargets(&d)) == 0 && !slices.ContainsFunc(d.Missing, func(m intent.Insert) bool { return !strings.HasSuffix(m.Text, "-j RETURN") }) {
			f.Severity = diag.Info // a short cut alone: what it spares is done by what follows
		}
		if why := doneWithout(in, host, &d); f.Severity == "" && why != "" {
			f.Severity = diag.Info
			f.Cause += "; " + why
		}
		f.Summary = fmt.Sprintf("%s's firewall rules%s are incomplete: %s", title(set.Engine), at, strings.Join(parts, "; "))
		f.Advice = "restarting the daemon writes them again; keep the firewall from flushing what it does not own"
		if set.Engine == ownEngine {
			f.Advice = "netdoctor setup writes them again, too; keep the firewall from flushing what it does not own"
		} else if gone != "" {
			f.Advice = "restarting the daemon writes all of it again, and what keeps the host's neighbours from container addresses (raw-PREROUTING), which the fix does not; let /etc/nftables.conf delete its own tables instead of flush ruleset"
		}
		out = append(out, f)
	}
	return out
}

// goneChains names the chains that are not there, table by table.
func goneChains(d *intent.Drift) []string {
	var tables []string
	names := map[string][]string{}
	for _, c := range d.Chains {
		if names[c.Table] == nil {
			tables = append(tables, c.Table)
		}
		names[c.Table] = append(names[c.Table], c.Name)
	}
	var out []string
	for _, t := range tables {
		is := "chain %s %s is gone"
		if len(names[t]) > 1 {
			is = "chains %s %s are gone"
		}
		out = append(out, fmt.Sprintf(is, t, commas(names[t])))
	}
	return out
}

// lacking says how many rules each chain lacks: the first few, the others as one.
func lacking(chains []string, per map[string]int) []string {
	var out []string
	rest := 0
	for i, k := range chains {
		if i < 4 || len(chains) == 5 {
			out = append(out, fmt.Sprintf("%s lacks %s", k, count(per[k], "rule")))
			continue
		}
		rest += per[k]
	}
	if rest > 0 {
		out = append(out, fmt.Sprintf("other chains lack %s", count(rest, "rule")))
	}
	return out
}

// wantedRules are the rule sets of all engines, our own networks' with them.
func wantedRules(in *diag.Input) []intent.Set {
	return append(intent.Of(in.Snap), intent.OfOps(in.Snap, ownEngine, in.Own)...)
}

// ownEngine is the name of networks that this program set up.
const ownEngine = "netdoctor"

// listChain is the command that lists a chain of the engine's.
func listChain(set *intent.Set, table, chain string) string {
	if set.System == snap.NFT {
		return "nft list chain " + set.Family.NFT() + " " + table + " " + chain
	}
	return fmt.Sprintf("iptables -t %s -S %s", table, chain)
}

// missingTable says that a table of nftables is gone as a whole, which a flush
// of the whole rule set does; "" when it is there, or is iptables'.
func missingTable(host *snap.Netns, set *intent.Set, d *intent.Drift) string {
	if set.System != snap.NFT || len(d.Chains) == 0 || host.Ruleset.Table(set.System, set.Family, d.Chains[0].Table) != nil {
		return ""
	}
	return "table " + set.Family.NFT() + " " + d.Chains[0].Table + " is gone with all that was in it"
}

// staleTargets are the unwanted rules that stand in a wanted one's place.
func staleTargets(d *intent.Drift) []intent.Extra {
	var out []intent.Extra
	for _, e := range d.Extra {
		if e.Instead != nil {
			out = append(out, e)
		}
	}
	return out
}

func title(engine string) string {
	if engine == "" {
		return "The engine"
	}
	return strings.ToUpper(engine[:1]) + engine[1:]
}
