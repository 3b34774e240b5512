package checks

import (
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/intent"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ownersOnly says that a chain is there for the host's owner alone: no rule of
// the engine's needs it, and it is made again with the next network (libnetwork
// firewall_linux.go:arrangeUserFilterRule).
func ownersOnly(table, chain string) bool { return table == "filter" && chain == "DOCKER-USER" }

// doneWithout says why nothing on this host waits for the rules that are
// missing; "" when something may.
func doneWithout(in *diag.Input, host *snap.Netns, d *intent.Drift) string {
	if len(d.Maps)+len(d.Jumps)+len(d.Sets)+len(d.Members)+len(staleTargets(d)) > 0 {
		return ""
	}
	var rest []intent.Insert
	for _, m := range d.Missing {
		if !ownersOnly(m.Table, m.Chain) && !strings.HasSuffix(m.Text, " -j DOCKER-USER") {
			rest = append(rest, m)
		}
	}
	switch {
	case slices.ContainsFunc(d.Chains, func(c intent.Chain) bool { return !ownersOnly(c.Table, c.Name) }):
		return ""
	case len(rest) == 0 && len(d.Chains) > 0:
		// The jump alone is another matter: with the chain still there, the rules in
		// it are passed by.
		return "the chain is for rules of this host's owner, and Docker makes it again with the next network"
	case len(d.Chains) > 0 || !standIns(in, host, d, rest):
		return ""
	}
	return "the rules of another firewall accept the same packets in their stead, and drop the others"
}

// standIns says whether a firewall that keeps to itself does what the missing
// rules did: the forward chain drops what nobody accepts, every network's own
// way out is among the missing, and its flows get through nevertheless. Where
// the chain accepts all, or one rule of many is gone, they get through by luck.
func standIns(in *diag.Input, host *snap.Netns, d *intent.Drift, missing []intent.Insert) bool {
	t := host.Ruleset.Table(d.Set.System, d.Set.Family, "filter")
	if t == nil || len(missing) == 0 {
		return false
	}
	if c := t.Chain("FORWARD"); c == nil || c.Policy != "drop" {
		return false
	}
	out := map[string]bool{} // networks whose way out is missing
	for _, m := range missing {
		if m.Table != "filter" || m.Network == "" || !strings.HasSuffix(m.Text, " -j ACCEPT") && !strings.HasSuffix(m.Text, " -j DOCKER") {
			return false
		}
		out[m.Network] = out[m.Network] || strings.HasSuffix(m.For, " to the world")
	}
	works := map[string]bool{}
	for i := range in.Flows {
		f := &in.Flows[i]
		if _, ok := out[f.Network]; !ok {
			continue
		}
		if f.Broken() {
			return false
		}
		works[f.Network] = works[f.Network] || f.Kind == "egress" && f.Works()
	}
	for n, lost := range out {
		if !lost || !works[n] {
			return false
		}
	}
	return true
}
