package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// cutsOff says whether machines on a wire of this host have addresses of a
// container network's subnet, which lies inside the wire's own: what is for them,
// answers too, ends on the network's bridge. It completes the finding then.
func cutsOff(in *diag.Input, n *snap.Network, subnet netip.Prefix, wire *snap.Link, f *diag.Finding) bool {
	host := in.Snap.HostNs()
	var who []netip.Addr
	add := func(a netip.Addr) {
		if subnet.Contains(a) && !ownedHere(in, a) && !slices.Contains(who, a) {
			who = append(who, a)
		}
	}
	for i := range host.Neighs {
		if e := &host.Neighs[i]; e.Index == wire.Index && e.MAC != "" && !e.Proxy && slices.Contains([]string{"reachable", "stale", "delay", "probe", "permanent"}, e.State) {
			add(e.IP)
		}
	}
	for i := range in.Flows {
		x := &in.Flows[i]
		if !x.Asked || !x.Broken() {
			continue
		}
		end := x.Flow.Dst
		if x.Outside {
			end = x.Flow.Src
		}
		if before := len(who); subnet.Contains(end) {
			if add(end); len(who) > before || slices.Contains(who, end) {
				f.Covers.Traces = append(f.Covers.Traces, i)
			}
		}
	}
	if len(who) == 0 {
		return false
	}
	snap.Sort(who, netip.Addr.Compare)
	f.Summary = fmt.Sprintf("network %s (%s) covers %s, which is on the wire of %s: whatever this host sends there ends on %s", n.Name, subnet, who[0], wire.Name, n.Bridge)
	if len(who) > 1 {
		f.Summary = fmt.Sprintf("network %s (%s) covers %s and %s, which are on the wire of %s: whatever this host sends there ends on %s", n.Name, subnet, who[0], diag.Count(len(who)-1, "other neighbour"), wire.Name, n.Bridge)
	}
	f.Cause = fmt.Sprintf("the connected route of %s is more specific than that of %s and wins, for answers too", n.Bridge, wire.Name)
	f.Advice = fmt.Sprintf("make network %s anew with a subnet that is not part of the LAN", n.Name)
	return true
}

// ownedHere says whether a namespace of this host has an address.
func ownedHere(in *diag.Input, a netip.Addr) bool {
	for _, o := range in.Graph.Owners(a) {
		if o.Netns.Class.Ours() {
			return true
		}
	}
	return false
}
