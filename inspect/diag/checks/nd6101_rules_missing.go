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
//
// An engine writes its rules when it starts and when a network or container comes
// up, and believes from then on that they are there. A firewall reload (ufw,
// firewalld, iptables-restore, a flush in a script) takes them away: then nothing is
// masqueraded, published or accepted, and "docker run -p" fails with "No
// chain/target/match by that name". netdoctor knows what the engine wants from its
// networks and containers, and puts back exactly that; restarting the daemon would
// do so, too.
//
// See it by hand:
//
//	iptables -S; iptables -t nat -S          against docker network inspect …
//	journalctl -u docker                     "Firewalld reloaded", iptables errors
//
// Sources: moby drivers/bridge/setup_ip_tables.go; moby#12294, moby#15254
func nd6101() diag.Check {
	return diag.Check{
		Code: "ND6101", Name: "engine-rules-missing", Severity: diag.Warning, Since: "0.1",
		Title:  "Firewall rules that the engine needs are missing or changed",
		Needs:  []string{"ruleset", "docker"},
		Detect: detectND6101,
		Fix:    fixDrift,
	}
}

func detectND6101(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, g := range drifted(in) {
		out = append(out, incomplete(in, g))
	}
	return out
}

// drifted are the drifts that matter, those of one engine in one namespace
// together: it has a set of rules for each family.
func drifted(in *diag.Input) [][]intent.Drift {
	var out [][]intent.Drift
	for _, set := range wantedRules(in) {
		d := intent.Diff(in.Snap, set)
		if !d.Broken() && len(staleTargets(&d)) == 0 {
			continue
		}
		i := slices.IndexFunc(out, func(g []intent.Drift) bool { return g[0].Set.Engine == set.Engine && g[0].Set.Netns == set.Netns })
		if i < 0 {
			out = append(out, nil)
			i = len(out) - 1
		}
		out[i] = append(out[i], d)
	}
	return out
}

// incomplete is the finding of one engine's drifts in one namespace.
func incomplete(in *diag.Input, g []intent.Drift) diag.Finding {
	set, host := &g[0].Set, g[0].Set.At(in.Snap)
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
	gone, idle, whys := false, true, []string{}
	for i := range g {
		d := &g[i]
		said, lost := driftWords(host, d, len(g) == 1)
		parts, gone = append(parts, said...), gone || lost
		f.Evidence = append(f.Evidence, driftEvidence(in, d)...)
		if lost || slices.ContainsFunc(d.Chains, func(c intent.Chain) bool { return !ownersOnly(c.Table, c.Name) }) {
			f.Severity = diag.Error // docker run -p fails from now on
		}
		why := doneWithout(in, host, d)
		idle = idle && (why != "" || shortCuts(d))
		if why != "" && !shortCuts(d) && !slices.Contains(whys, why) {
			whys = append(whys, why)
		}
	}
	if f.Severity == "" && idle {
		f.Severity = diag.Info
		f.Cause = strings.Join(append([]string{f.Cause}, whys...), "; ")
	}
	f.Summary = fmt.Sprintf("%s's firewall rules%s are incomplete: %s", title(set.Engine), at, strings.Join(parts, "; "))
	f.Advice = "restarting the daemon writes them again; keep the firewall from flushing what it does not own"
	switch {
	case set.Engine == ownEngine:
		f.Advice = "netdoctor setup writes them again, too; keep the firewall from flushing what it does not own"
	case set.Engine == "podman":
		f.Advice = "podman network reload --all writes all of them again, those that keep networks apart (isolate), too, which the fix does not; keep the firewall from flushing what it does not own"
	case gone:
		f.Advice = "restarting the daemon writes all of it again, too; let /etc/nftables.conf delete its own tables instead of flush ruleset"
		if e := in.Snap.Engine(set.Engine); e != nil && !e.Fences {
			f.Advice = "restarting the daemon writes all of it again, and what keeps the host's neighbours from container addresses (raw-PREROUTING), which the fix does not; let /etc/nftables.conf delete its own tables instead of flush ruleset"
		}
	}
	return f
}

// shortCuts says that nothing is missing but short cuts: what they spare is done
// by what follows.
func shortCuts(d *intent.Drift) bool {
	return len(d.Chains)+len(d.Jumps)+len(d.Members)+len(staleTargets(d)) == 0 && !slices.ContainsFunc(d.Missing, func(m intent.Insert) bool { return !strings.HasSuffix(m.Text, "-j RETURN") })
}

// driftWords says what of one family is missing; gone is that a whole table is.
// The one rule that is missing alone is told in full.
func driftWords(host *snap.Netns, d *intent.Drift, alone bool) (parts []string, gone bool) {
	set := &d.Set
	if is := missingTable(host, set, d); is != "" {
		return append([]string{is}, staleWords(d)...), true // else with the table all that was in it
	}
	family := ""
	if set.Family == snap.IPv6 && set.System != snap.NFT {
		family = "IPv6 "
	}
	stale := staleTargets(d)
	if alone && len(d.Missing) == 1 && len(d.Jumps)+len(d.Chains)+len(d.Members) == 0 {
		m := d.Missing[0]
		if len(stale) == 1 && stale[0].Instead != nil {
			return []string{fmt.Sprintf("%s%s %s has %q instead of %q", family, stale[0].Table, stale[0].Chain, stale[0].Text, stale[0].Instead.Text)}, false
		}
		return []string{fmt.Sprintf("%s%s %s lacks %q (%s)", family, m.Table, m.Chain, m.Text, m.For)}, false
	}
	parts = goneChains(d, family)
	for _, j := range d.Jumps {
		parts = append(parts, fmt.Sprintf("map %s lacks %s", j.Map, j.Text()))
	}
	for _, m := range d.Sets {
		parts = append(parts, fmt.Sprintf("set %s %s has lost elements", m.Table, m.Set.Name))
	}
	if n := len(d.Members); n == 1 {
		parts = append(parts, fmt.Sprintf("ipset %s lacks %s", d.Members[0].Set, d.Members[0].Net))
	} else if n > 1 { // of one set: a family has no other
		parts = append(parts, fmt.Sprintf("ipset %s lacks %s", d.Members[0].Set, diag.Count(n, "network")))
	}
	per, order := map[string]int{}, []string{}
	for _, m := range d.Missing {
		if slices.ContainsFunc(d.Chains, func(c intent.Chain) bool { return c.Table == m.Table && c.Name == m.Chain }) {
			continue // with the chain
		}
		k := family + m.Table + " " + m.Chain
		if per[k] == 0 {
			order = append(order, k)
		}
		per[k]++
	}
	parts = append(parts, lacking(order, per)...)
	return append(parts, staleWords(d)...), false
}

func staleWords(d *intent.Drift) []string {
	var out []string
	for _, e := range staleTargets(d) {
		out = append(out, fmt.Sprintf("%s %s has a stale one: %s", e.Table, e.Chain, e.Text))
	}
	return out
}

// driftEvidence are the lines that are missing, the first dozen, and the stale ones.
func driftEvidence(in *diag.Input, d *intent.Drift) []diag.Evidence {
	var out []diag.Evidence
	place := d.Set.At(in.Snap).ID
	for _, j := range d.Jumps {
		out = append(out, ev(in.IPCommand(place, "nft list map "+d.Set.Family.NFT()+" "+j.Table+" "+j.Map), "missing: "+j.Text(), ""))
	}
	for _, m := range d.Members {
		out = append(out, ev(in.IPCommand(place, "ipset list "+m.Set), "missing: "+m.Net.String(), ""))
	}
	for _, m := range d.Missing {
		if len(out) < 12 {
			out = append(out, ev(in.IPCommand(place, listChain(&d.Set, m.Table, m.Chain)), "missing: "+m.Text, ""))
		}
	}
	for _, e := range staleTargets(d) {
		out = append(out, ev(in.IPCommand(place, listChain(&d.Set, e.Table, e.Chain)), e.Text, e.Ref))
	}
	return out
}

// goneChains names the chains that are not there, table by table.
func goneChains(d *intent.Drift, family string) []string {
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
		out = append(out, fmt.Sprintf(is, family+t, commas(names[t])))
	}
	return out
}

// lacking says how many rules each chain lacks: the first few, the others as one.
func lacking(chains []string, per map[string]int) []string {
	var out []string
	rest := 0
	for i, k := range chains {
		if i < 4 || len(chains) == 5 {
			out = append(out, fmt.Sprintf("%s lacks %s", k, diag.Count(per[k], "rule")))
			continue
		}
		rest += per[k]
	}
	if rest > 0 {
		out = append(out, fmt.Sprintf("other chains lack %s", diag.Count(rest, "rule")))
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
	tool := "iptables"
	if set.Family == snap.IPv6 {
		tool = "ip6tables"
	}
	return fmt.Sprintf("%s -t %s -S %s", tool, table, chain)
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
