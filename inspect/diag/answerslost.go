package diag

import (
	"slices"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// answersLost says of a flow to a published port that a route of the container itself
// throws its answers to all of the sender's subnet away. That others get in is no excuse, as
// it is with a firewall: who wants a subnet kept out says so on the way in.
func (in *Input) answersLost(f *FlowCase) bool {
	w, c, host := f.Trace.Where, in.Snap.Container(f.Target), in.Snap.HostNs()
	if f.Kind != "published" || w == nil || w.Cause != sim.CauseReject || !w.Reply || c == nil || c.Netns != w.Netns {
		return false
	}
	v, err := in.Snap.At(w.Ref)
	r, ok := v.(*snap.Route)
	up := host.Link(f.Flow.Iif)
	return err == nil && ok && up != nil && slices.ContainsFunc(host.AddrsOf(up.Index), func(a snap.Addr) bool {
		return r.Dst.Bits() <= a.Prefix.Bits() && r.Dst.Contains(f.Flow.Src) && a.Prefix.Contains(f.Flow.Src)
	})
}
