package diag

import (
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// upstreams are the questions to name servers that this host itself stops, for
// names that do not resolve: a rule that drops them is named, and mended, like
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
			if !s.Reach.Known || s.Reach.OK {
				continue
			}
			f := FlowCase{
				Kind: "upstream", From: in.Who(s.AskedFrom), To: s.Addr.String() + "/udp", Because: n.Because, Asked: n.Asked,
				Flow: sim.Flow{From: s.AskedFrom, Dst: s.Addr.Addr(), Dport: s.Addr.Port(), Proto: snap.UDP, StopOutside: !n.Asked},
			}
			if c := in.Graph.ContainerOfAddr(s.Addr.Addr()); c != nil {
				f.Target = c.Ref
			}
			if k, ok := seen[f.From+"|"+f.To]; ok {
				out[k].Asked = out[k].Asked || n.Asked
				continue
			}
			f.Trace = in.World.Trace(f.Flow)
			if at := in.Snap.Ns(f.place()); !f.stoppedHere() || at != nil && !at.Class.Ours() {
				continue
			}
			seen[f.From+"|"+f.To] = len(out)
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
