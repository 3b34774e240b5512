package checks

import (
	"fmt"
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
	host := in.Snap.HostNs()
	var out []diag.Finding
	for _, set := range intent.Of(in.Snap) {
		d := intent.Diff(in.Snap, set)
		if !d.Broken() && len(staleTargets(&d)) == 0 {
			continue
		}
		f := diag.Finding{
			Cause:   fmt.Sprintf("rules that %s wrote for its networks and containers were removed or changed behind its back", set.Engine),
			Subject: diag.Subject{Kind: "engine", Name: set.Engine, Netns: host.ID},
			Weight:  92,
		}
		var parts []string
		for _, c := range d.Chains {
			parts = append(parts, fmt.Sprintf("chain %s %s is gone", c.Table, c.Name))
			f.Severity = diag.Error // docker run -p fails from now on
		}
		per, order := map[string]int{}, []string{}
		for _, m := range d.Missing {
			k := m.Table + " " + m.Chain
			if per[k] == 0 {
				order = append(order, k)
			}
			per[k]++
			if len(f.Evidence) < 12 {
				f.Evidence = append(f.Evidence, ev(fmt.Sprintf("iptables -t %s -S %s", m.Table, m.Chain), "missing: "+m.Text, ""))
			}
		}
		for _, k := range order {
			parts = append(parts, fmt.Sprintf("%s lacks %s", k, count(per[k], "rule")))
		}
		for _, e := range staleTargets(&d) {
			parts = append(parts, fmt.Sprintf("%s %s has a stale one: %s", e.Table, e.Chain, e.Text))
			f.Evidence = append(f.Evidence, ev(fmt.Sprintf("iptables -t %s -S %s", e.Table, e.Chain), e.Text, e.Ref))
		}
		if len(d.Missing) == 1 {
			parts = []string{fmt.Sprintf("%s %s lacks %q (%s)", d.Missing[0].Table, d.Missing[0].Chain, d.Missing[0].Text, d.Missing[0].For)}
			if s := staleTargets(&d); len(s) == 1 && s[0].Instead != nil {
				parts[0] = fmt.Sprintf("%s %s has %q instead of %q", s[0].Table, s[0].Chain, s[0].Text, s[0].Instead.Text)
			}
		}
		f.Summary = fmt.Sprintf("%s's firewall rules are incomplete: %s", title(set.Engine), strings.Join(parts, "; "))
		f.Advice = "restarting the daemon writes them again; keep the firewall from flushing what it does not own"
		out = append(out, f)
	}
	return append(out, missingTables(in)...)
}

// missingTables finds what Docker's nftables backend made and what is gone as a
// whole: its table, or the chains of a network (moby
// daemon/libnetwork/drivers/bridge/internal/nftabler). Its maps can't be put
// back piece by piece; the daemon makes all anew when it starts.
func missingTables(in *diag.Input) []diag.Finding {
	host := in.Snap.HostNs()
	var out []diag.Finding
	for i := range in.Snap.Engines {
		e := &in.Snap.Engines[i]
		if e.Name != "docker" || e.Rules != "docker-nft" || e.Remote || e.Rootless {
			continue
		}
		t := host.Ruleset.Table(snap.NFT, snap.IPv4, "docker-bridges")
		var gone []string
		for k := range in.Snap.Networks {
			n := &in.Snap.Networks[k]
			if n.Engine != e.Name || n.Driver != "bridge" || n.Bridge == "" || !inUse(in, n) {
				continue
			}
			for _, c := range []string{"filter-forward-in__" + n.Bridge, "filter-forward-out__" + n.Bridge} {
				if t != nil && t.Chain(c) == nil {
					gone = append(gone, "chain "+c+" of network "+n.Name)
				} else if t == nil && len(gone) == 0 {
					gone = append(gone, "table ip docker-bridges with all its chains")
				}
			}
		}
		if len(gone) == 0 {
			continue
		}
		out = append(out, diag.Finding{
			Severity: diag.Error,
			Summary:  "Docker's nftables rules are gone: " + strings.Join(gone, ", "),
			Cause:    "a flush of the whole rule set (nft flush ruleset, the start of nftables.service) took what Docker made with it",
			Subject:  diag.Subject{Kind: "engine", Name: e.Name, Netns: host.ID},
			Evidence: []diag.Evidence{ev("nft list table ip docker-bridges", "missing: "+strings.Join(gone, ", "), snap.RefNetns(host.ID))},
			Advice:   "systemctl restart docker: it makes its tables anew when it starts; then let /etc/nftables.conf delete its own tables instead of flush ruleset",
			Covers:   unmaskedFlows(in),
			Weight:   92,
		})
	}
	return out
}

// unmaskedFlows are those that leave with an address that nobody can answer.
func unmaskedFlows(in *diag.Input) diag.Cover {
	var c diag.Cover
	for i := range in.Flows {
		if f := &in.Flows[i]; f.Unmasked && !f.Excused {
			c.Traces = append(c.Traces, i)
		}
	}
	return c
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
