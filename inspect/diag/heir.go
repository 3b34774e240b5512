package diag

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
)

// Heir is the address that a rule should send a flow to, which it sends to one that nobody
// has: that of the only machine at the other end of a veth pair which has one of that
// subnet there. Invalid where several are, or none, or the wire is a bridge: the machine
// that is meant may then be one that is switched off.
func (in *Input) Heir(f *FlowCase) netip.Addr {
	w, host := f.Trace.Where, in.Snap.HostNs()
	k := slices.IndexFunc(f.Trace.NATed, func(n rules.NAT) bool { return !n.Src && n.AddrMin.IsValid() })
	if k < 0 || w == nil || w.Reply || w.Cause != sim.CauseNeighFailed || host == nil || w.Netns != host.ID {
		return netip.Addr{}
	}
	l := host.Link(w.Device)
	if l == nil || l.Kind != "veth" || l.Master != 0 || !in.ours(l.PeerNetns) {
		return netip.Addr{}
	}
	gone, heir := f.Trace.NATed[k].AddrMin, netip.Addr{}
	for _, a := range in.Snap.Ns(l.PeerNetns).AddrsOf(l.Peer) {
		if !a.Prefix.Contains(gone) {
			continue
		}
		if heir.IsValid() || a.Prefix.Addr() == gone {
			return netip.Addr{}
		}
		heir = a.Prefix.Addr()
	}
	return heir
}
