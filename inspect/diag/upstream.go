package diag

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// upstreams are the questions to name servers that this host itself stops, or sends
// out with a source that no answer comes back to, for names that do not resolve: a rule that drops them is named, and mended, like
// one that drops any other flow. Servers that fail by themselves are the
// names' own matter.
func (in *Input) upstreams() []FlowCase {
	var out []FlowCase
	seen := map[string]int{}
	for i := range in.Names {
		n := &in.Names[i]
		if n.Path == nil || !n.Bad() {
			continue
		}
		for _, s := range n.Path.Servers {
			if !s.Reach.Known || s.Reach.OK && (s.Probe == nil || s.Probe.Outcome != snap.TimedOut) {
				continue
			}
			proto := snap.UDP
			if n.Path.TCP {
				proto = snap.TCP
			}
			f := FlowCase{
				Kind: "upstream", From: in.Who(s.AskedFrom), To: s.Addr.String() + "/" + string(proto), Because: n.Because, Asked: n.Asked,
				Flow: sim.Flow{From: s.AskedFrom, Dst: s.Addr.Addr(), Dport: s.Addr.Port(), Proto: proto, StopOutside: !n.Asked},
			}
			if c := in.Graph.ContainerOfAddr(s.Addr.Addr()); c != nil {
				f.Target = c.Ref
			}
			if k, ok := seen[f.From+"|"+f.To]; ok {
				out[k].Asked = out[k].Asked || n.Asked
				continue
			}
			f.Trace = in.World.Trace(f.Flow)
			at := in.Snap.Ns(f.place())
			if !in.unmasked(&f) && (s.Reach.OK || !f.stoppedHere() || at != nil && !at.Class.Ours()) {
				continue
			}
			seen[f.From+"|"+f.To] = len(out)
			out = append(out, f)
		}
	}
	return append(out, in.byTCP()...)
}

// unasked adds to a finding's cover the names that nobody could ask for, because it
// explains why the question does not get to the server that they fail at. Another
// fault behind it may stop them, too: mending this one alone need not heal them.
func (in *Input) unasked(f *Finding) {
	for _, i := range f.Covers.Traces {
		q := &in.Flows[i]
		if q.Kind != "upstream" || !q.Broken() {
			continue
		}
		for k := range in.Names {
			p := in.Names[k].Path
			if p == nil || p.Problem == nil || p.Problem.Kind != names.Unreachable || !in.Names[k].Bad() || slices.Contains(f.Covers.Names, k) {
				continue
			}
			if server := netip.AddrPortFrom(q.Flow.Dst, q.Flow.Dport); p.Problem.Server == server && slices.ContainsFunc(p.Servers, func(s names.Server) bool {
				return s.Addr == server && s.AskedFrom == q.Flow.From && s.Reach.Known && !s.Reach.OK
			}) {
				f.Covers.Names = append(f.Covers.Names, k)
			}
		}
	}
}

// byTCP are the questions by TCP that this host stops while it lets those by
// UDP through: what is too big for UDP is lost then (RFC 7766 5: TCP is no
// option). That is looked for where an answer was cut short, and for names of
// the world where a rule singles DNS out: a host that lets nothing out by TCP
// means that.
func (in *Input) byTCP() []FlowCase {
	var out []FlowCase
	seen := map[string]bool{}
	for i := range in.Names {
		n := &in.Names[i]
		if n.Path == nil {
			continue
		}
		lost := n.Path.Problem != nil && n.Path.Problem.Kind == names.BigAnswersLost
		if !lost && !n.World || n.Listed {
			continue
		}
		for _, s := range n.Path.Servers {
			to := s.Addr.String() + "/tcp"
			if s.Addr.Addr().IsLoopback() || lost && n.Path.Problem.Server != s.Addr || seen[s.AskedFrom+"|"+to] {
				continue
			}
			seen[s.AskedFrom+"|"+to] = true
			if udp, tcp := in.reach(s.AskedFrom, s.Addr, snap.UDP), in.reach(s.AskedFrom, s.Addr, snap.TCP); !udp.OK || !tcp.Known || tcp.OK {
				continue
			}
			f := FlowCase{
				Kind: "upstream", From: in.Who(s.AskedFrom), To: to, Because: n.Because, Asked: n.Asked,
				Flow: sim.Flow{From: s.AskedFrom, Dst: s.Addr.Addr(), Dport: s.Addr.Port(), Proto: snap.TCP, StopOutside: !n.Asked},
			}
			f.Trace = in.World.Trace(f.Flow)
			if at := in.Snap.Ns(f.place()); !f.stoppedHere() || at != nil && !at.Class.Ours() {
				continue
			}
			if !lost {
				other := f.Flow
				other.Dport = 443
				if f.Trace.Where.Cause != sim.CauseRule || in.World.Trace(other).Verdict == sim.Dropped {
					continue
				}
			}
			out = append(out, f)
		}
	}
	return out
}

// stoppedHere says whether something between sender and server stops the flow,
// rather than the server itself.
func (f *FlowCase) stoppedHere() bool {
	if !f.Broken() || f.Trace.Where == nil {
		return false
	}
	switch f.Trace.Where.Cause {
	case sim.CauseNeighFailed, sim.CauseNoListener, sim.CauseNoAnswer, sim.CauseOutside, sim.CauseUnread, sim.CauseModel:
		return false
	}
	return true
}

// place is the namespace that decided, "" for none.
func (f *FlowCase) place() string {
	if f.Trace == nil || f.Trace.Where == nil {
		return ""
	}
	return f.Trace.Where.Netns
}
