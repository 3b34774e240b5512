package diag

import (
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// tested says whether an IPv6 flow fails while an address on its way is still being tested
// for a twin (RFC 4862, section 5.4): whoever asks for it gets no answer for a second or two
// after a network or a container was made. A device without carrier tests nothing.
func (in *Input) tested(f *FlowCase) bool {
	if !f.Flow.Dst.Is6() || !f.Broken() {
		return false
	}
	on := []string{f.Flow.From, in.Snap.Host.Netns, f.place()}
	for _, o := range in.Graph.Owners(f.Flow.Dst) {
		on = append(on, o.Netns.ID)
	}
	for _, id := range on {
		ns := in.Snap.Ns(id)
		if ns != nil && slices.ContainsFunc(ns.Addrs, func(a snap.Addr) bool {
			l := ns.LinkAt(a.Index)
			return a.Has("tentative") && !a.Has("dadfailed") && a.Scope == "global" && l != nil && l.LowerUp
		}) {
			return true
		}
	}
	return false
}
