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

// narrowing are the words of a rule that say whose packets it is for.
var narrowing = []string{"-i", "-d", "-s", "iif", "iifname", "saddr", "daddr", "fib", "mark", "--mark", "--dst-type", "--src-type", "--match-set", "--in-interface"}

// Narrow says whether a rule's text tells whose packets it is for.
func Narrow(text string) bool {
	return slices.ContainsFunc(strings.Fields(text), func(w string) bool { return slices.Contains(narrowing, w) })
}

// collected are the ports whose connections people gather on purpose, wherever they go
// to: names for a server that has others ask for it, and mail that is to be kept.
var collected = []uint16{25, 53, 465, 587, 853}

// turned says whether a flow arrives, at a container here that it was not sent to.
func (in *Input) turned(f *FlowCase) bool {
	return f.Trace.Verdict == sim.Delivered && in.turnedBy(f)
}

// turnedBy says whether a forwarding that was made for this host's own address, with neither
// device nor destination, turns what a container sends into the world to a container
// here. A proxy that takes everybody's connections gets its own through: where the target's
// come back to itself as well, the rule is none for that.
func (in *Input) turnedBy(f *FlowCase) bool {
	if slices.Contains(collected, f.Flow.Dport) || len(in.Graph.Owners(f.Flow.Dst)) > 0 || in.Graph.NetworkOfAddr(f.Flow.Dst) != nil {
		return false
	}
	if from := in.Snap.Ns(f.Flow.From); from == nil || from.Class != snap.ClassContainer && from.Class != snap.ClassAttached {
		return false
	}
	i := slices.IndexFunc(f.Trace.NATed, func(n rules.NAT) bool { return !n.Src })
	if i < 0 {
		return false
	}
	n := &f.Trace.NATed[i]
	to := in.Graph.Owners(n.AddrMin)
	if len(to) != 1 || to[0].Netns.Class != snap.ClassContainer || !in.forwardsAll(n.Place) {
		return false
	}
	own := in.World.Trace(sim.Flow{From: to[0].Netns.ID, Dst: f.Flow.Dst, Proto: f.Flow.Proto, Dport: f.Flow.Dport, StopOutside: true})
	return slices.ContainsFunc(own.NATed, func(m rules.NAT) bool { return m.Place != nil && m.Place.Ref == n.Place.Ref })
}

// forwardsAll says whether a place is a rule of a hand's on this host that turns what is
// sent to a port elsewhere, whoever sends it and whereto.
func (in *Input) forwardsAll(p *rules.Place) bool {
	if p == nil || p.Policy || p.Rule == nil || p.Ref.Netns() != in.Snap.Host.Netns {
		return false
	}
	w := &sim.Where{Netns: in.Snap.Host.Netns, Rule: p, Ref: p.Ref}
	text, _ := in.RuleLine(w)
	port, _ := portMatched(strings.Fields(text))
	return port != 0 && !Narrow(text) && in.Owner(w) == "hand-made"
}

// meddled: containers reach the world's web servers, which any of them may ask, past the
// rules of this host about their ports which nobody means to close these by: forwardings for
// this host's own addresses (turnedBy), and those that take packets out of connection
// tracking, and so out of NAT, or set a TTL that is used up. Who means to close a port drops
// what is sent there. Other ports are mostly of this host's own business, such as a tunnel's.
func (e *expecter) meddled() {
	n := 0
	e.host.Ruleset.Find(func(t *snap.Table, c *snap.Chain, r *snap.Rule) bool {
		if !diverts(r) && !firewall.Untracks(r) && !firewall.SetsTTL(r) {
			return false
		}
		port, proto := portMatched(strings.Fields(firewall.RuleText(e.host, t, c, r)))
		for i := range e.in.Snap.Netns {
			from := &e.in.Snap.Netns[i]
			if port != 80 && port != 443 || proto != snap.TCP || from.Class != snap.ClassContainer || from.Light || n >= maxDiverted {
				continue
			}
			n++
			f := e.try("turned", "internet:"+portText(proto, port), snap.RefRule(e.host.ID, t, c.Name, r.Num),
				sim.Flow{From: from.ID, Dst: netip.MustParseAddr(outsideWorld[0]), Proto: proto, Dport: port, StopOutside: true})
			w := f.Trace.Where
			if diverts(r) && (f.Broken() || f.Trace.Verdict == sim.Delivered) && e.in.turnedBy(f) || !diverts(r) && (e.in.unmasked(f) || w != nil && w.Cause == sim.CauseTTL) {
				e.add(*f)
			}
		}
		return n >= maxDiverted
	})
}

// try is a flow that is followed before it is known to be kept.
func (e *expecter) try(kind, to string, because snap.Ref, f sim.Flow) *FlowCase {
	return &FlowCase{Kind: kind, From: e.in.Who(f.From), To: to, Because: []snap.Ref{because}, Flow: f, Trace: e.in.follow(f)}
}
