package checks

import (
	"fmt"
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// sayLed says of packets that get no answer from beyond this host that a rule of this
// host's sends them to another destination than they were meant for: a service's
// address, behind which chance chooses (kube-proxy), or a port forwarding. It is that
// destination which does not answer, and the rule that may be stale.
func sayLed(in *diag.Input, f *diag.FlowCase, x *diag.Finding) {
	m, to := ledBeyond(in, f)
	if m == nil {
		return
	}
	w := rulePlace(in, m.Place.Ref)
	if w == nil {
		return
	}
	text, source := in.RuleLine(w)
	place := fmt.Sprintf("%s rule %d", diag.ChainName(w), w.Rule.Num)
	what := "no answer returns"
	if p := f.Probe; p != nil && p.Outcome == snap.Rejected {
		what = "a router's or firewall's error returns"
	}
	x.Summary = fmt.Sprintf("packets of %s to %s are sent to %s by %s (%s) in %s and leave %s, but %s: they are lost beyond this host",
		f.From, f.To, to, place, in.Owner(w), in.Who(w.Netns), f.Trace.LeftHost, what)
	x.Cause = fmt.Sprintf("it is %s that does not answer: the rule leads to it", to)
	if len(f.Trace.MayNAT) > 0 {
		x.Cause += fmt.Sprintf("; it is one of several ways, so that other packets to %s may be answered", f.To)
	}
	x.Subject = diag.Subject{Kind: "address", Name: to.Addr().String()}
	x.Evidence = append(x.Evidence, ev(source, text, m.Place.Ref))
	x.Advice = fmt.Sprintf("see whether %s is there; if it is gone for good, the rule is stale: have the program that wrote it (%s) write its rules anew", to, in.Owner(w))
}

// ledBeyond is the mapping by which a flow left this host for another destination than
// it was meant for; nil when there is none, or chance chose and nobody saw which.
func ledBeyond(in *diag.Input, f *diag.FlowCase) (*rules.NAT, netip.AddrPort) {
	host, to := in.Snap.Host.Netns, netip.AddrPort{}
	for _, t := range in.TrackedOf(f.Probe) {
		if t.Netns == host && t.Conn.Reply.Src != t.Conn.Orig.Dst {
			to = t.Conn.Reply.Src
		}
	}
	if !to.IsValid() && len(f.Trace.MayNAT) == 0 && f.Trace.ExitDst.Addr() != f.Flow.Dst {
		to = f.Trace.ExitDst
	}
	for _, list := range [][]rules.NAT{f.Trace.NATed, f.Trace.MayNAT} {
		for i := range list {
			if m := &list[i]; to.IsValid() && !m.Src && m.AddrMin == to.Addr() && m.Place != nil && m.Place.Rule != nil {
				return m, to
			}
		}
	}
	return nil, to
}
