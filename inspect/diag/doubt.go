package diag

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxDoubts bounds what is asked once more: each waits for seconds, all at once.
const maxDoubts = 32

// Doubts are the probes to send once more, with more patience: nothing came back,
// nobody saw the packet die, and the model has no reason for it. A machine that is
// too busy, a neighbour that is slow, a first packet that was lost look like that.
// So does a neighbour that was asked for in vain shortly before it was there: what
// waits for it fails with the last of those questions (net/core/neighbour.c:
// neigh_timer_handler). And a rule with a rate drops of many probes at once what it
// would let through one by one.
func (in *Input) Doubts() []snap.Probe {
	var out []snap.Probe
	doubt := func(p *snap.Probe, q snap.Probe) {
		if len(out) < maxDoubts && !slices.ContainsFunc(out, func(x snap.Probe) bool { return x.ID == p.ID }) {
			q.ID = p.ID
			out = append(out, q)
		}
	}
	for i := range in.Flows {
		f := &in.Flows[i]
		p := f.Probe
		if p == nil || p.In != "" || f.Trace == nil {
			continue
		}
		late := p.Outcome == snap.TimedOut && p.Died == nil && p.Kind != "udp" || in.neighbourLate(p)
		if late && f.Trace.Verdict == sim.Delivered || f.Trace.Verdict == sim.Unknown && f.Trace.StateDependent && filtered(p) {
			if q, ok := in.Question(f); ok {
				doubt(p, q)
			}
		}
	}
	for i := range in.Snap.Probes { // who has a pinned address, where packets go astray
		p := &in.Snap.Probes[i]
		if (p.Kind == "arp" || p.Kind == "neigh") && p.Outcome == snap.TimedOut && !in.alone(p) && slices.ContainsFunc(in.Flows, func(f FlowCase) bool {
			return f.Flow.From == p.From && ProbeSays(f.Probe) == "dropped"
		}) {
			doubt(p, snap.Probe{Kind: p.Kind, From: p.From, Dst: p.Dst})
		}
	}
	slow := map[netip.AddrPort]bool{}
	for i := range in.Names {
		n := &in.Names[i]
		if n.Path == nil {
			continue
		}
		cut := cutOff(n.Path.Servers)
		for _, s := range n.Path.Servers {
			for _, p := range in.asked(&s) {
				// A server that is slow rather than dead. One that asks others is waited
				// for only where a person waits, too: the others are asked themselves.
				late := !cut && s.Reach.OK && (n.Asked || s.Role != "embedded" && s.Role != "aardvark") && p.Outcome == snap.TimedOut && p.Died == nil && !p.DNS.TCP && !p.DNS.EDNS && !slow[p.Dst]
				// Less than libc notices, and once: a machine that is busy, a neighbour just asked for.
				hasty := p.Outcome == snap.Answered && p.Sent == 1 && !SlowServer(p) && len(in.Slow(p)) > 0
				if late || hasty || in.neighbourLate(p) || !s.Reach.Known && filtered(p) {
					slow[p.Dst] = slow[p.Dst] || late
					d := snap.DNSProbe{Name: p.DNS.Name, Type: p.DNS.Type, TCP: p.DNS.TCP, EDNS: p.DNS.EDNS}
					doubt(p, snap.Probe{Kind: p.Kind, From: p.From, Dst: p.Dst, DNS: &d})
				}
			}
		}
	}
	return out
}

// filtered says that a rule was seen to drop the packet.
func filtered(p *snap.Probe) bool { return p.Died != nil && p.Died.Reason == netfilterDrop }

// asked are the questions that were put to a server which packets may reach.
func (in *Input) asked(s *names.Server) []*snap.Probe {
	if s.Reach.Known && !s.Reach.OK {
		return nil
	}
	var out []*snap.Probe
	for i := range in.Snap.Probes {
		if p := &in.Snap.Probes[i]; p.DNS != nil && p.From == s.AskedFrom && p.Dst == s.Addr {
			out = append(out, p)
		}
	}
	return out
}

// cutOff says that an engine's resolver has servers to ask and gets through to none:
// that it is silent, too, is no wonder.
func cutOff(servers []names.Server) bool {
	upstreams := false
	for _, s := range servers {
		if s.Role == "upstream" {
			if upstreams = true; s.Reach.OK {
				return false
			}
		}
	}
	return upstreams
}

// neighbourLate says that the packet, or the answer, was given up for want of a
// neighbour.
func (in *Input) neighbourLate(p *snap.Probe) bool {
	if p.Died != nil && p.Died.Reason == "NEIGH_FAILED" {
		return true
	}
	if p.Errno != "EHOSTUNREACH" || !p.By.IsValid() {
		return p.Errno == "EHOSTUNREACH" && p.Outcome == snap.Unroutable
	}
	n := in.Snap.Ns(p.From)
	if n == nil {
		return false
	}
	_, own := n.HasAddr(p.By)
	return own
}
