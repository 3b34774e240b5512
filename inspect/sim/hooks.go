package sim

import (
	"cmp"
	"fmt"
	"math"

	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Priorities of the kernel's own hooks (include/uapi/linux/netfilter_ipv4.h: NF_IP_PRI_*;
// netfilter_bridge.h: NF_BR_PRI_BRNF).
const (
	prioConntrack = -200
	prioNATDst    = -100
	prioNATSrc    = 100
	prioBRNF      = 0
)

// hookState is the kernel's nf_hook_state, with the hook's IP family.
type hookState struct {
	hook    string
	in, out int
}

// nf runs all users of one IP hook in order of priority: conntrack, every base
// chain of every table and system, and the NAT core; nil lets the packet on.
func (r *run) nf(n *netns, hook string, in, out int, k *skb) *fate {
	// ebtables-legacy can't be read without registering its tables; its gap, of
	// the kind "unsupported", does not concern the IP hooks.
	if why := n.gap("ruleset"); why != "" && n.gaps["ruleset"].Kind != "unsupported" {
		return r.unknown(n, n.links[max(in, out)], k, Where{Layer: "netfilter", Cause: CauseUnread, Detail: why})
	}
	k.Iif, k.Oif = in, out
	on := n.hooked(k.Family, hook)
	p := passage{r: r, n: n, h: hookState{hook: hook, in: in, out: out}, k: k, nats: on.nats, natPrio: prioNATDst, passed: math.MinInt32}
	p.tracked = hook != "prerouting" && hook != "output"
	p.mapped = hook == "forward"
	if hook == "postrouting" || hook == "input" {
		p.natPrio = prioNATSrc
	}
	for _, b := range on.chains {
		if f := p.upTo(b.Priority); f != nil {
			return f
		}
		k.Iif, k.Oif = in, out
		mark, tos, src, dst := k.Mark, k.TOS, k.Src, k.Dst
		if _, f := r.chain(n, &p.h, b, k); f != nil {
			return f
		}
		if hook == "output" && reroutes(b) && (k.Mark != mark || k.TOS != tos || k.Src != src || k.Dst != dst) {
			if f := r.reroute(n, k); f != nil {
				return f
			}
		}
	}
	if f := p.upTo(math.MaxInt32); f != nil {
		return f
	}
	k.Iif, k.Oif = in, out
	if hook == "input" || hook == "postrouting" {
		r.confirm(n, k)
	}
	return nil
}

// reroutes says whether a chain routes anew what it changes: nft's type route,
// and mangle OUTPUT of iptables.
func reroutes(b *rules.BaseChain) bool {
	return b.Type == "route" || b.Table.Name == "mangle" && (b.System == snap.IPTablesLegacy || b.System == snap.IPTablesNFT)
}

// chain runs one base chain and follows one of the ways out of it, which stays
// until the next chain is run. A fate ends the packet.
func (r *run) chain(n *netns, h *hookState, b *rules.BaseChain, k *skb) (*rules.Branch, *fate) {
	k.Assumed = r.assumed[n.n.ID]
	r.branches = b.RunInto(r.branches, &k.Packet, n)
	br := &r.branches[r.choose(len(r.branches))]
	if len(r.branches) > 1 || len(br.Packet.Assumed) > len(k.Assumed) {
		r.setAssumed(n.n.ID, br.Packet.Assumed)
	}
	dev := n.links[h.in]
	if dev == nil {
		dev = n.links[h.out]
	}
	k.Packet = br.Packet
	k.keepCT()
	if br.Notrack {
		k.CT.State = "untracked"
	}
	if br.Verdict == "accept" && !br.Tproxy.IsValid() {
		r.passed(n, dev, b, br, k)
		return br, nil
	}
	place := n.say(br.Place)
	if to := n.links[br.FwdTo]; br.Verdict == "stolen" && to != nil {
		return br, r.forwarded(n, dev, to, place, k)
	}
	w := Where{Layer: "netfilter", Rule: &place.place, Ref: place.place.Ref, Reason: "NETFILTER_DROP", Cause: CauseRule}
	if br.Place.Policy {
		w.Cause = CausePolicy
		w.Left = n.left(br)
	}
	switch br.Verdict {
	case "accept":
		w.Cause, w.Detail, w.Reason = CauseModel, place.name+" hands it to a transparent proxy", ""
		return br, r.unknown(n, dev, k, w)
	case "drop":
		w.Detail = place.name + cmp.Or(br.Why, " drops it")
	case "reject":
		w.Detail = place.name + " rejects it with " + rejectName(br.RejectWith)
	case "unknown":
		w.Cause, w.Reason, w.Detail = CauseModel, "", br.Unknown
		if b.Chain.Unread != "" {
			w.Cause = CauseUnread
		}
		return br, r.unknown(n, dev, k, w)
	default:
		w.Cause, w.Reason, w.Detail = CauseModel, "", place.name+" hands it to "+br.Verdict
		return br, r.unknown(n, dev, k, w)
	}
	if br.Verdict == "reject" {
		return br, r.end(fateDropped, "reject", n, dev, k, w)
	}
	return br, r.drop(n, dev, k, w)
}

// forwarded is nft's fwd at a device (net/netfilter/nf_dup_netdev.c:
// nf_fwd_netdev_egress): the frame leaves by another device as it is, and this stack
// sees nothing more of it.
func (r *run) forwarded(n *netns, dev, to *snap.Link, place *said, k *skb) *fate {
	how := place.name + " sends it out of " + to.Name
	r.hop(n, dev, place.chain, how, "ok", k, place.place.Ref).Rule = place.line
	f := r.xmit(n, to, k)
	if f != nil && (f.kind == fateDropped || f.kind == fateUnknown) && f.where.Rule == nil && f.where.Netns == n.n.ID {
		f.where.Detail = how + "; " + f.where.Detail
		f.where.Layer, f.where.Cause, f.where.Rule, f.where.Ref = "netfilter", CauseRule, &place.place, place.place.Ref
	}
	return f
}

// left is the rule of the base chain itself by which the packet came to the policy,
// past the rules behind it: a return, or a goto, whose chain's end is that of the base
// chain, too (net/netfilter/nf_tables_core.c:nft_do_chain, NFT_GOTO). Nil when it met
// them all.
func (n *netns) left(br *rules.Branch) *rules.Place {
	inside := false                          // the last step was in another chain
	for i := len(br.Path) - 1; i >= 0; i-- { // asked of each packet's nat chains: no iterator, which allocates
		p := &br.Path[i]
		if p.Policy {
			continue
		}
		if p.Maybe || p.Rule == nil {
			return nil
		}
		if p.ChainP != br.Place.ChainP {
			inside = true
			continue
		}
		for _, e := range p.Rule.Exprs {
			if x, ok := e.(*snap.Immediate); ok && x.Verdict != nil && (x.Verdict.Code == "goto" || x.Verdict.Code == "return" && !inside) {
				return &n.say(p.Place).place
			}
		}
		return nil
	}
	return nil
}

// passed records a chain that let the packet on, when a rule of it had a say.
func (r *run) passed(n *netns, dev *snap.Link, b *rules.BaseChain, br *rules.Branch, k *skb) {
	byRule := !br.Place.Policy && br.Place.Rule != nil
	if r.quiet > 0 || br.NAT != nil || !byRule && len(br.Path) == 0 {
		return
	}
	if b.Type == "nat" && !byRule { // told only of who is spared by a rule
		if left := n.left(br); left != nil {
			s := n.say(left)
			r.hop(n, dev, n.say(b.Policy()).stage, fmt.Sprintf("left as it is by rule %d", left.Num), "ok", k, s.place.Ref).Rule = s.line
		}
		return
	}
	place := n.say(br.Place)
	hop := r.hop(n, dev, n.say(b.Policy()).stage, place.accepted, "ok", k)
	for _, p := range br.Path {
		r.because(hop, n.say(p.Place).place.Ref)
	}
	hop.Rule = place.line
}

// rejectName is what iptables calls an answer of REJECT (iptables-extensions(8)).
func rejectName(with string) string {
	switch with {
	case "icmp:3/0":
		return "icmp-net-unreachable"
	case "icmp:3/1":
		return "icmp-host-unreachable"
	case "icmp:3/2":
		return "icmp-proto-unreachable"
	case "icmp:3/3":
		return "icmp-port-unreachable"
	case "icmp:3/9":
		return "icmp-net-prohibited"
	case "icmp:3/10":
		return "icmp-host-prohibited"
	case "icmp:3/13":
		return "icmp-admin-prohibited"
	case "icmp:1/0":
		return "icmp6-no-route"
	case "icmp:1/1":
		return "icmp6-adm-prohibited"
	case "icmp:1/3":
		return "icmp6-addr-unreachable"
	case "icmp:1/4":
		return "icmp6-port-unreachable"
	}
	return with
}
