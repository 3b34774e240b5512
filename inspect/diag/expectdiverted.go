package diag

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

const maxDiverted = 32 // flows that are followed for such rules

// diverted: a rule takes what goes to some port of the world, and hands it to a
// program of its own namespace (REDIRECT, DNAT to an address of its own, TPROXY, or a
// mark that routing leads there).
// Nobody wants such a rule where that program is gone: who means to forbid the port
// drops it. Only rules that packets met count, and only flows that end there.
func (e *expecter) diverted() {
	n := 0
	for i := range e.in.Snap.Netns {
		ns := &e.in.Snap.Netns[i]
		if !ns.Class.Ours() || ns.Light {
			continue
		}
		ns.Ruleset.Find(func(t *snap.Table, c *snap.Chain, r *snap.Rule) bool {
			n += e.divertedBy(ns, t, c, r, maxDiverted-n)
			return n >= maxDiverted
		})
	}
}

// divertedBy adds the flows of one rule, at most so many, and says how many were followed.
func (e *expecter) divertedBy(ns *snap.Netns, t *snap.Table, c *snap.Chain, r *snap.Rule, most int) int {
	if r.Packets == 0 || !diverts(r) && !(marks(r) && ledHome(ns)) {
		return 0
	}
	words := strings.Fields(firewall.RuleText(ns, t, c, r))
	port, proto := portMatched(words)
	if port == 0 {
		return 0 // a rule about all ports is met by what must work anyway
	}
	to, dst := netip.MustParseAddr(outsideWorld[0]), "internet"
	if p := dstMatched(words); p.IsValid() {
		to = someOf(p)
	}
	if to != netip.MustParseAddr(outsideWorld[0]) {
		dst = to.String()
	}
	if to.IsLoopback() {
		return 0 // an engine's resolver: names tell of it
	}
	ref, followed := snap.RefRule(ns.ID, t, c.Name, r.Num), 0
	for i := range e.in.Snap.Netns {
		from := &e.in.Snap.Netns[i]
		if from != ns && (ns != e.host || from.Class != snap.ClassContainer && from.Class != snap.ClassAttached) || followed >= most {
			continue
		}
		followed++
		f := e.try("diverted", dst+":"+portText(proto, port), ref, sim.Flow{From: from.ID, Dst: to, Proto: proto, Dport: port, StopOutside: true})
		w := f.Trace.Where
		dropped := w != nil && w.Cause == sim.CauseRule && w.Ref == ref || marks(r) && w != nil && w.Netns == ns.ID && (w.Cause == sim.CauseNoListener || w.Cause == sim.CauseSelfSource) // the refusal itself can't be sent
		refused := w != nil && w.Cause == sim.CauseNoListener && w.Netns == ns.ID && slices.ContainsFunc(f.Trace.NATed, func(m rules.NAT) bool { return m.Place != nil && m.Place.Ref == ref })
		if _, own := ns.HasAddr(to); f.Broken() && !own && (dropped || refused) && (r.Packets > 0 || e.met(ns, port, proto)) {
			e.add(*f)
		}
	}
	return followed
}

// diverts says whether a rule sends packets to where they were not meant for.
func diverts(r *snap.Rule) bool {
	return slices.ContainsFunc(r.Exprs, func(x snap.Expr) bool {
		switch x := x.(type) {
		case *snap.Nat:
			return x.Type == "dnat"
		case *snap.Redir, *snap.Tproxy:
			return true
		case *snap.Xt:
			return x.Target && (x.Name == "REDIRECT" || x.Name == "DNAT" || x.Name == "TPROXY")
		}
		return false
	})
}

// marks says whether a rule marks packets.
func marks(r *snap.Rule) bool {
	return slices.ContainsFunc(r.Exprs, func(x snap.Expr) bool {
		switch x := x.(type) {
		case *snap.Meta:
			return x.Key == "mark" && x.Sreg != snap.NoReg
		case *snap.Xt:
			return x.Target && x.Name == "MARK"
		}
		return false
	})
}

// ledHome says whether routing rules lead what has a mark to the namespace itself, as a
// transparent proxy wants it (Documentation/networking/tproxy.rst).
func ledHome(ns *snap.Netns) bool {
	return slices.ContainsFunc(ns.Rules, func(p snap.PolicyRule) bool {
		return p.Mark != 0 && slices.ContainsFunc(ns.Routes, func(r snap.Route) bool { return r.Table == p.Table && r.Type == "local" && r.Dst.Bits() == 0 })
	})
}

// met says whether conntrack has a connection for a port of somebody else's that ended
// at this namespace itself: of a rule that has no counter.
func (e *expecter) met(ns *snap.Netns, port uint16, proto snap.Proto) bool {
	return slices.ContainsFunc(ns.Conntrack, func(c snap.Conn) bool {
		_, here := ns.HasAddr(c.Reply.Src.Addr())
		return here && c.Orig.Dst.Port() == port && c.Proto == proto.Number() && c.Orig.Dst.Addr() != c.Reply.Src.Addr()
	})
}

// portMatched is the first destination port that a rule's words ask for, 0 none.
func portMatched(words []string) (uint16, snap.Proto) {
	proto := snap.TCP
	if slices.Contains(words, "udp") {
		proto = snap.UDP
	}
	for i, w := range words {
		if w != "--dport" && w != "--dports" && w != "dport" || i > 0 && words[i-1] == "!" {
			continue
		}
		for _, v := range words[i+1:] {
			if v == "{" {
				continue
			}
			v, _, _ = strings.Cut(v, ",")
			v, _, _ = strings.Cut(v, ":")
			v, _, _ = strings.Cut(v, "-")
			n, _ := strconv.ParseUint(v, 10, 16)
			return uint16(n), proto
		}
	}
	return 0, proto
}
