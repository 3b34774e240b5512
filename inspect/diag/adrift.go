package diag

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Adrift is a namespace that somebody made by hand and put on a bridge of this host,
// with an address of the bridge's subnet but no default route by way of the bridge's
// address: none at all, or one that takes all the world for its neighbours.
type Adrift struct {
	NS     *snap.Netns
	Link   *snap.Link // inside
	Bridge *snap.Link
	Addr   netip.Prefix // as it is
	// Gateway is the bridge's address, with the subnet's prefix length.
	Gateway netip.Prefix
	// Onto is the index of the default route that has no gateway; -1 there is none.
	Onto int
}

// Adrift are all of them that are meant to reach the world: a default route says so,
// or this host, which translates the addresses of the subnet for whoever it lets out,
// where none on the bridge has a default route. (Where some have, the others may be kept
// in by will.)
func (in *Input) Adrift() []Adrift {
	host := in.Snap.HostNs()
	if host == nil || host.Light {
		return nil
	}
	plains := in.Plains()
	var out []Adrift
	for i := range in.Snap.Netns {
		ns := &in.Snap.Netns[i]
		if ns.Class != snap.ClassAttached || ns.Light || len(ns.Containers) > 0 || len(ns.Names) == 0 && len(ns.Pids) == 0 {
			continue
		}
		a, ok := adriftOf(host, ns)
		if !ok || a.Onto < 0 && slices.ContainsFunc(plains, func(p Plain) bool { return p.Bridge == a.Bridge }) {
			continue
		}
		t := in.World.Trace(sim.Flow{From: host.ID, Iif: a.Bridge.Name, Src: a.Addr.Addr(), Dst: netip.MustParseAddr(outsideWorld[0]), Proto: snap.TCP, Dport: 443, StopOutside: true})
		if a.Onto < 0 && (t.LeftHost == "" || t.ExitSrc.Addr() == a.Addr.Addr()) {
			continue
		}
		out = append(out, a)
	}
	return out
}

func adriftOf(host, ns *snap.Netns) (Adrift, bool) {
	a := Adrift{NS: ns, Onto: -1}
	if len(ns.Rules) > 0 && slices.ContainsFunc(ns.Rules, func(r snap.PolicyRule) bool { return r.Family == snap.IPv4 && r.Priority != 0 && r.Priority < 32766 }) {
		return a, false // other tables may have the way
	}
	for i := range ns.Links {
		l := &ns.Links[i]
		if l.Loopback {
			continue
		}
		if a.Link != nil || l.Kind != "veth" || l.PeerNetns != host.ID || !l.Up {
			return a, false // one leg, and that leads here
		}
		a.Link = l
	}
	if a.Link == nil {
		return a, false
	}
	if end := host.LinkAt(a.Link.Peer); end != nil {
		a.Bridge = host.LinkAt(end.Master)
	}
	if a.Bridge == nil || a.Bridge.Kind != "bridge" {
		return a, false
	}
	for _, x := range ns.AddrsOf(a.Link.Index) {
		if x.Prefix.Addr().Is4() {
			if a.Addr.IsValid() {
				return a, false
			}
			a.Addr = x.Prefix
		}
	}
	for _, x := range host.AddrsOf(a.Bridge.Index) {
		if p := x.Prefix; p.Addr().Is4() && a.Addr.IsValid() && p.Contains(a.Addr.Addr()) && p.Addr() != a.Addr.Addr() && !p.IsSingleIP() {
			if a.Gateway.IsValid() {
				return a, false
			}
			a.Gateway = p
		}
	}
	for i, r := range ns.Routes {
		if r.Family != snap.IPv4 || r.Table != snap.TableMain || r.Dst.Bits() > 1 {
			continue
		}
		if r.Dst.Bits() == 1 || r.Type != "unicast" || r.Gateway.IsValid() || r.Via.IsValid() || len(r.Nexthops) > 0 || r.Oif != a.Link.Index || a.Onto >= 0 {
			return a, false
		}
		a.Onto = i
	}
	return a, a.Gateway.IsValid()
}
