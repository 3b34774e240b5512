package diag

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim"
)

// admits says so of a flow that nobody asked for: it is closed by will.
func (in *Input) admits(f *FlowCase) bool {
	if f.Kind != "published" && f.Kind != "ingress" || in.Near(f) != nil { // somebody meant to open it
		return false
	}
	return in.Admits(f) || in.forOthers(f)
}

// forOthers says whether a rule was meant to let others pass where a flow is stopped, and is
// misspelt (Near): who wrote it left this one's sender out.
func (in *Input) forOthers(f *FlowCase) bool {
	if !f.Broken() || in.Near(f) != nil {
		return false
	}
	for i := range in.Flows {
		o := &in.Flows[i]
		if o.Flow.Iif == f.Flow.Iif && o.Flow.Dst == f.Flow.Dst && o.Flow.Dport == f.Flow.Dport && o.Flow.Proto == f.Flow.Proto && samePlace(RulePlace(o.Trace.Where), RulePlace(f.Trace.Where)) && in.Near(o) != nil {
			return true
		}
	}
	return false
}

// Admits says whether what keeps a sender outside from a port of this host is the rest of a
// list of those who may come: the rule itself, one before it, or one before a jump to its
// chain names senders who get in by the same device. Docker's own documentation closes
// ports in this way (-i eth0 ! -s ADDRESS -j DROP in DOCKER-USER). What is said of
// policies and bare rules with allowlisted holds here, too.
func (in *Input) Admits(f *FlowCase) bool {
	w := RulePlace(f.Trace.Where)
	if f.Flow.Iif == "" || !f.Broken() || w == nil || w.Reply || w.Cause != sim.CauseRule || w.Rule == nil || w.Rule.Policy ||
		w.Rule.ChainP == nil || w.Rule.ChainP.Base() && bare(w.Rule.Rule) {
		return false
	}
	e := exceptions{in: in, x: f.Flow, source: true}
	if e.ns, e.t = in.Snap.Ns(w.Netns), w.Rule.TableP; e.ns == nil || e.t == nil {
		return false
	}
	if e.through(w.Rule.ChainP, w.Rule.Num, 2) {
		return true
	}
	for i := range e.t.Chains {
		c := &e.t.Chains[i]
		for k := range c.Rules {
			if jumps(firewall.RuleText(e.ns, e.t, c, &c.Rules[k]), w.Rule.Chain) && e.through(c, k+1, 1) {
				return true
			}
		}
	}
	return false
}

// jumps says whether a rule sends packets to a chain.
func jumps(text, chain string) bool {
	words := strings.Fields(text)
	at := slices.Index(words, chain)
	return at > 0 && slices.Contains([]string{"-j", "-g", "jump", "goto"}, words[at-1])
}

// comes says whether a packet of a sender outside gets to the port: whether he is there
// to take the answer is another matter.
func (e *exceptions) comes(from netip.Addr) bool {
	if from.Is4() != e.x.Dst.Is4() || from.IsUnspecified() || from.IsLoopback() || len(e.in.Graph.Owners(from)) > 0 || e.in.Graph.NetworkOfAddr(from) != nil || e.n >= maxListed {
		return false
	}
	e.n++
	x := e.x
	x.Src = from
	return e.in.follow(x).Arrived != ""
}
