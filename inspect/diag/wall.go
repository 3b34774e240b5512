package diag

import (
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// walled says whether a flow between members of a network is stopped by a wall
// that the member it goes to has built for itself, a filter in its own namespace:
// one that keeps an echo out where nobody listens, or that lets some members in
// to the port and has nothing but its last word for the others.
func (in *Input) walled(f *FlowCase) bool {
	w := f.Trace.Where
	c := in.Snap.Container(f.Target)
	if f.Kind != "peer" || !f.Broken() || w == nil || w.Reply || w.Rule == nil || c == nil || w.Netns != c.Netns || w.Netns == in.Snap.Host.Netns {
		return false
	}
	if f.Flow.Proto == snap.ICMP {
		return true
	}
	if !w.Rule.Policy && !bare(w.Rule.Rule) {
		return false
	}
	for i := range in.Flows {
		if o := &in.Flows[i]; o.Kind == "peer" && o.Flow.Dst == f.Flow.Dst && o.Flow.Dport == f.Flow.Dport && o.Works() {
			return true
		}
	}
	return false
}

// bare says that a rule asks for nothing: it decides whatever comes.
func bare(r *snap.Rule) bool {
	if r == nil {
		return false
	}
	for _, e := range r.Exprs {
		switch x := e.(type) {
		case *snap.Counter, *snap.Log, *snap.Immediate, *snap.Reject:
		case *snap.Xt:
			if !x.Target {
				return false
			}
		default:
			return false
		}
	}
	return true
}
