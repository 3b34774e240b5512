package diag

import (
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// twins are the host's own tries at the destinations outside that somebody
// else on this host asks for or tries: when both fail alike, what fails lies
// beyond this host. They witness, and are never at fault themselves.
func (in *Input) twins() []FlowCase {
	host := in.Snap.HostNs()
	if host == nil {
		return nil
	}
	var out []FlowCase
	for i := range in.Flows {
		f := &in.Flows[i]
		if !f.Asked && f.Kind != "tried" || f.Outside || f.Flow.From == host.ID || f.Trace.LeftHost == "" || f.Broken() && in.ours(f.place()) || f.Flow.Proto == snap.UDP {
			continue
		}
		if in.Graph.ContainerOfAddr(f.Flow.Dst) != nil {
			continue // a macvlan container: never this host's to reach
		}
		t := FlowCase{Kind: "twin", From: "host", To: f.To, Flow: f.Flow}
		t.Flow.From, t.Flow.StopOutside = host.ID, true
		if !slices.ContainsFunc(out, func(o FlowCase) bool { return o.Flow == t.Flow }) {
			out = append(out, t)
		}
	}
	return out
}

// ours says whether a namespace is this host's to judge.
func (in *Input) ours(id string) bool {
	ns := in.Snap.Ns(id)
	return ns != nil && ns.Class.Ours()
}

// TwinSays is what the host itself heard from a flow's destination, as
// ProbeSays: "" when it was not asked.
func (in *Input) TwinSays(f *FlowCase) string {
	for i := range in.Flows {
		t := &in.Flows[i]
		if t.Kind == "twin" && t.Flow.Dst == f.Flow.Dst && t.Flow.Dport == f.Flow.Dport && t.Flow.Proto == f.Flow.Proto {
			return ProbeSays(t.Probe)
		}
	}
	return ""
}
