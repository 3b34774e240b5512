package diag

import (
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// unwished says of a plain namespace's way to the world that nothing on this host speaks
// for it: the policy at the forward hook stops it, and were it open, the packets would
// leave with a private source that nobody translates. A default route alone, which every
// member of an overlay or a routed network has, is no wish to get out. One of the two is:
// a policy or a rule that lets it pass, or an address that is translated.
func (in *Input) unwished(f *FlowCase) bool {
	w := f.Trace.Where
	if f.Kind != "egress" || w == nil || w.Netns != in.Snap.Host.Netns || w.Reply || w.Cause != sim.CausePolicy || w.Rule == nil || w.Rule.ChainP == nil || w.Rule.ChainP.Hook != "forward" {
		return false
	}
	if from := in.Snap.Ns(f.Flow.From); from == nil || from.Class != snap.ClassAttached || len(from.Containers) > 0 {
		return false
	}
	x := *f
	x.Trace = in.ifOpen(f.Flow)
	return in.unmasked(&x)
}

// ifOpen follows a flow as if no policy were at the forward hooks.
func (in *Input) ifOpen(f sim.Flow) *sim.Trace {
	if in.opened == nil {
		in.opened = sim.New(openForward(in.Snap))
	}
	return in.opened.Trace(f)
}

// openForward is the host with every policy at its forward hooks on accept.
func openForward(s *snap.Snapshot) *snap.Snapshot {
	out := s.Clone()
	host := out.HostNs()
	for i := range host.Ruleset.Tables {
		for k := range host.Ruleset.Tables[i].Chains {
			if c := &host.Ruleset.Tables[i].Chains[k]; c.Hook == "forward" {
				c.Policy = "accept"
			}
		}
	}
	return out
}
