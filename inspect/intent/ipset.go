package intent

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Member is a network that an engine wants in a set of ipset(8).
type Member struct {
	Set string
	Net netip.Prefix
	// Network says whose it is.
	Network string
}

// extBridges names the set of all networks that are not internal, which two rules of
// Docker 28.0.0 ask (moby libnetwork/drivers/bridge/setup_ip_tables_linux.go at v28.0.0:
// ipsetExtBridges4).
func extBridges(family snap.Family) string {
	if family == snap.IPv6 {
		return "docker-ext-bridges-v6"
	}
	return "docker-ext-bridges-v4"
}

// ipset is a set by its name; nil where it is not there, was not read, or has no number
// that a rule could name it by.
func ipset(ns *snap.Netns, name string) *snap.IPSet {
	if ns == nil {
		return nil
	}
	i := slices.IndexFunc(ns.IPSets, func(x snap.IPSet) bool { return x.Name == name && x.Index >= 0 })
	if i < 0 {
		return nil
	}
	return &ns.IPSets[i]
}

// members finds those that are missing.
func (d *Drift) members(host *snap.Netns) {
	for _, m := range d.Set.Members {
		x := ipset(host, m.Set)
		if x != nil && !x.Truncated && !slices.ContainsFunc(x.Entries, func(e snap.IPSetEntry) bool { return e.IP == m.Net }) {
			d.Members = append(d.Members, m)
		}
	}
}
