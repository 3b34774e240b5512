package diag

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// EndsList says whether a rule is the last word of a list: rules before it in its chain
// name what may pass, by an address, a port, a kind of packet, and it stops the rest. To
// delete it would open all that the list is there to close. iptables' own chains but INPUT are
// no such list: the rules in there are anybody's, and an engine's among them.
func (in *Input) EndsList(w *sim.Where) bool {
	if w == nil || w.Rule == nil || w.Rule.Policy || w.Rule.Rule == nil || w.Rule.ChainP == nil || !lastWord(toAny(w.Rule)) {
		return false
	}
	p := w.Rule
	ns := in.Snap.Ns(w.Netns)
	if ns == nil || p.ChainP.Base() && p.System != snap.NFT && p.ChainP.Hook != "input" {
		return false
	}
	before := p.ChainP.Rules[:min(p.Num-1, len(p.ChainP.Rules))]
	return slices.ContainsFunc(before, func(r snap.Rule) bool {
		return lets(&r) && chosen(firewall.RuleText(ns, p.TableP, p.ChainP, &r))
	})
}

// toAny is a place whose rule does not ask for the network that packets go to: a list of what
// may go to all containers has its last word for all of them, 172.16.0.0/12 for short.
func toAny(p *rules.Place) *rules.Place {
	const at = 16 // of the destination in an IPv4 header (RFC 791)
	q, r := *p, *p.Rule
	r.Exprs = nil
	for i := 0; i < len(p.Rule.Exprs); i++ {
		switch x := p.Rule.Exprs[i].(type) {
		case *snap.Meta:
			if x.Key == "nfproto" && x.Dreg != snap.NoReg && i+1 < len(p.Rule.Exprs) {
				i++
				continue // which addresses of this kind ask for
			}
		case *snap.Payload:
			if x.Base != "nh" || x.Offset != at || x.Dreg == snap.NoReg {
				break
			}
			k := i + 1
			if k < len(p.Rule.Exprs) {
				if b, ok := p.Rule.Exprs[k].(*snap.Bitwise); ok && b.Sreg == x.Dreg {
					k++
				}
			}
			if k < len(p.Rule.Exprs) && (k > i+1 || x.Len < 4) {
				if c, ok := p.Rule.Exprs[k].(*snap.Cmp); ok && c.Sreg == x.Dreg && c.Op == "==" {
					i = k
					continue
				}
			}
		case *snap.XtEntry:
			if x.Dst.IsValid() && !x.Dst.IsSingleIP() && !slices.Contains(x.Inv, "dst") {
				y := *x
				y.Dst, y.DstMask = netip.Prefix{}, nil
				r.Exprs = append(r.Exprs, &y)
				continue
			}
		}
		r.Exprs = append(r.Exprs, p.Rule.Exprs[i])
	}
	q.Rule = &r
	return &q
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
