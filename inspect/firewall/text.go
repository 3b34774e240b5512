package firewall

import (
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// RuleText is a rule as its own tool prints it: "-A FORWARD -i br-app ! -o
// br-app -j ACCEPT" for iptables and ebtables, nft's syntax for nftables and for
// whatever iptables and ebtables have no words for. Counters are left out ("counter" stays). What this program does not know is written in
// brackets. ns gives the names of devices and ipsets; it may be nil. The text
// holds foreign strings (comments, names) as they are.
func RuleText(ns *snap.Netns, t *snap.Table, c *snap.Chain, r *snap.Rule) string {
	switch t.System {
	case snap.IPTablesNFT, snap.IPTablesLegacy:
		w := &line{ns: ns, v6: t.Family == snap.IPv6}
		if iptText(w, c, r) {
			return w.String()
		}
	case snap.EBTablesNFT, snap.EBTablesLegacy:
		w := &line{ns: ns}
		if ebText(w, t, c, r) {
			return w.String()
		}
	}
	return nftText(ns, t, r)
}
