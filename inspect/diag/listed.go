package diag

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxSiblings bounds the members of a network that are tried in a sender's place.
const maxSiblings = 32

// Listed is a member of the sender's network whose packets pass where the sender's are
// stopped by the last word of a person's chain, a rule that asks for no more than a
// device: who may pass is a list of senders there, and the sender is not on it. nil when
// there is none. Whoever wrote such a list meant all others to be kept in.
func (in *Input) Listed(f *FlowCase) *snap.Container {
	w := RulePlace(f.Trace.Where)
	if !f.Broken() || w == nil || w.Reply || w.Cause != sim.CauseRule || w.Rule == nil || w.Rule.Policy || w.Netns != in.Snap.Host.Netns || !lastWord(w.Rule) || f.Flow.Iif != "" {
		return nil
	}
	return in.passes(f)
}

// passes is a member of a network of the sender's whose packets to the same port pass;
// nil: there is none, or too many would have to be tried.
func (in *Input) passes(f *FlowCase) *snap.Container {
	of := in.Graph.ContainersOf(f.Flow.From)
	if len(of) == 0 {
		return nil
	}
	me, tried := of[0], 0
	for i := range in.Snap.Containers {
		c := &in.Snap.Containers[i]
		if c.Netns == me.Netns || !c.Running() || len(Shared(c, me)) == 0 || in.has(c, f.Flow.Dst) {
			continue
		}
		if tried++; tried > maxSiblings {
			return nil
		}
		x := FlowCase{Flow: f.Flow}
		x.Flow.From, x.Flow.Src = c.Netns, netip.Addr{}
		if x.Trace = in.World.Trace(x.Flow); x.Works() {
			return c
		}
	}
	return nil
}

// has says whether an address is a container's own.
func (in *Input) has(c *snap.Container, a netip.Addr) bool {
	ns := in.Snap.Ns(c.Netns)
	if ns == nil {
		return false
	}
	_, mine := ns.HasAddr(a)
	return mine
}

// Shared are the networks that two containers are both on.
func Shared(a, b *snap.Container) []string {
	var out []string
	for _, x := range a.Endpoints {
		if slices.ContainsFunc(b.Endpoints, func(y snap.Endpoint) bool { return x.Network == y.Network && a.Engine == b.Engine }) {
			out = append(out, x.Network)
		}
	}
	return out
}

// shutOut excuses what a container that is on no such list was to send, and leaves out
// the names that it can't ask for.
func (in *Input) shutOut() {
	out := map[string]bool{} // by namespace
	for i := range in.Flows {
		if f := &in.Flows[i]; (f.Kind == "egress" || f.Kind == "upstream") && !f.Asked && !f.Excused && in.Listed(f) != nil {
			f.Excused, out[f.Flow.From] = true, true
		}
	}
	for i := range in.Names {
		if n := &in.Names[i]; out[n.Ask.Netns] && !n.Asked && n.Bad() && n.Path.Problem.Kind == names.Unreachable {
			n.Path = nil
		}
	}
}
