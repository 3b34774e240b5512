package diag

import (
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// EndsList says whether a rule is the last word of a list: rules before it in its chain
// name what may pass, by an address, a port, a kind of packet, and it stops the rest. To
// delete it would open all that the list is there to close. iptables' own chains are no
// such list: the rules in there are anybody's, and an engine's among them.
func (in *Input) EndsList(w *sim.Where) bool {
	if w == nil || w.Rule == nil || w.Rule.Policy || w.Rule.Rule == nil || w.Rule.ChainP == nil || !lastWord(w.Rule) {
		return false
	}
	p := w.Rule
	ns := in.Snap.Ns(w.Netns)
	if ns == nil || p.ChainP.Base() && p.System != snap.NFT {
		return false
	}
	before := p.ChainP.Rules[:min(p.Num-1, len(p.ChainP.Rules))]
	return slices.ContainsFunc(before, func(r snap.Rule) bool {
		return lets(&r) && chosen(firewall.RuleText(ns, p.TableP, p.ChainP, &r))
	})
}

// lets says whether a rule lets packets pass, or sorts them by a map of verdicts.
func lets(r *snap.Rule) bool {
	return slices.ContainsFunc(r.Exprs, func(e snap.Expr) bool {
		switch x := e.(type) {
		case *snap.Immediate:
			return x.Verdict != nil && (x.Verdict.Code == "accept" || x.Verdict.Code == "return")
		case *snap.Lookup:
			return x.Dreg == snap.VerdictReg
		case *snap.Xt:
			return x.Target && (x.Name == "ACCEPT" || x.Name == "RETURN")
		}
		return false
	})
}

// chosen says whether a rule asks for something that somebody chose: more than a device or
// the state of a connection.
func chosen(text string) bool {
	asks := []string{"-s", "-d", "--dport", "--dports", "--sport", "--match-set", "--icmp-type", "--icmpv6-type", "--mac-source", "--src-range", "--dst-range", "saddr", "daddr", "dport", "type", "vmap"}
	return slices.ContainsFunc(strings.Fields(text), func(w string) bool { return slices.Contains(asks, w) })
}
