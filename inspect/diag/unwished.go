package diag

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// unwished says of a plain namespace's way to the world that nothing on this host speaks
// for it. The policy at the forward hook stops it, and were it open, the packets would
// leave with a private source that nobody translates; or it is open, they do leave so, and
// nobody there tries. A default route alone, which every member of an overlay or a routed
// network has, is no wish to get out. An address that is translated is one, and so is
// somebody who asks the world and gets no answer.
func (in *Input) unwished(f *FlowCase) bool {
	from := in.Snap.Ns(f.Flow.From)
	if f.Kind != "egress" || from == nil || from.Class != snap.ClassAttached || len(from.Containers) > 0 {
		return false
	}
	if f.Unmasked && !f.Broken() {
		return !in.asksInVain(from)
	}
	w := f.Trace.Where
	if w == nil || w.Netns != in.Snap.Host.Netns || w.Reply || w.Cause != sim.CausePolicy || w.Rule == nil || w.Rule.ChainP == nil || w.Rule.ChainP.Hook != "forward" {
		return false
	}
	x := *f
	x.Trace = in.ifOpen(f.Flow)
	return in.unmasked(&x)
}

// asksInVain says whether somebody in a namespace has asked a machine beyond this host of
// late, and has no answer: a socket that tries, or what conntrack has of it on the host.
func (in *Input) asksInVain(ns *snap.Netns) bool {
	beyond := func(a netip.Addr) bool {
		return len(in.Graph.Owners(a.Unmap())) == 0 && !a.IsMulticast() && !a.IsLoopback()
	}
	if slices.ContainsFunc(ns.Trying, func(s snap.Socket) bool { return beyond(s.Remote.Addr()) && !OwnPort(s.Local.Port()) }) {
		return true
	}
	host := in.Snap.HostNs()
	return host != nil && slices.ContainsFunc(host.Conntrack, func(c snap.Conn) bool {
		_, its := ns.HasAddr(c.Orig.Src.Addr())
		return its && !slices.Contains(c.Status, "seen-reply") && !OwnPort(c.Orig.Src.Port()) && beyond(c.Orig.Dst.Addr())
	})
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
