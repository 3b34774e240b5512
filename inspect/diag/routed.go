package diag

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Routed is a namespace that hangs on this host by a veth pair on no bridge: the host
// routes to its one address, and answers for its gateway. Calico, CNI's plugin ptp and
// the networks of clouds do so.
type Routed struct {
	NS      *snap.Netns
	Link    *snap.Link // inside
	Host    *snap.Link // the host's end
	Addr    netip.Addr
	Gateway netip.Addr
}

// Routed are all of them whose packets go the kernel's own way: no program or filter
// at either end of the pair hands them on.
func (in *Input) Routed() []Routed {
	host := in.Snap.HostNs()
	if host == nil || host.Light {
		return nil
	}
	var out []Routed
	for i := range in.Snap.Netns {
		ns := &in.Snap.Netns[i]
		if ns == host || ns.Light || ns.Class != snap.ClassAttached && ns.Class != snap.ClassContainer {
			continue
		}
		for _, r := range ns.Routes {
			l := ns.LinkAt(r.Oif)
			if r.Family != snap.IPv4 || r.Table != snap.TableMain || r.Type != "unicast" || r.Dst.Bits() != 0 || !r.Gateway.IsValid() ||
				l == nil || l.Kind != "veth" || l.PeerNetns != host.ID {
				continue
			}
			x := Routed{NS: ns, Link: l, Host: host.LinkAt(l.Peer), Gateway: r.Gateway}
			if x.Host == nil || x.Host.Master != 0 || Programmed(l) || Programmed(x.Host) {
				continue
			}
			if x.Addr = x.own(host); x.Addr.IsValid() {
				out = append(out, x)
			}
			break
		}
	}
	return out
}

// Programmed says whether packets of the device may be taken off its way.
func Programmed(l *snap.Link) bool { return l.XDP != nil || len(l.Filters) > 0 }

// own is the address that the host must route to; invalid where the pair is a piece of
// a subnet: a bridge's, whose port it may have been, or one that the host's end has an
// address of.
func (x *Routed) own(host *snap.Netns) netip.Addr {
	_, held := host.HasAddr(x.Gateway)
	near := slices.ContainsFunc(host.AddrsOf(x.Host.Index), func(a snap.Addr) bool { return a.Prefix.Addr() == x.Gateway })
	if held && !near {
		return netip.Addr{}
	}
	onLink := slices.ContainsFunc(x.NS.Routes, func(r snap.Route) bool {
		return r.Family == snap.IPv4 && r.Dst.IsSingleIP() && r.Dst.Addr() == x.Gateway && r.Oif == x.Link.Index && !r.Gateway.IsValid()
	})
	for _, a := range x.NS.AddrsOf(x.Link.Index) {
		p := a.Prefix
		switch {
		case !p.Addr().Is4() || p.Addr() == x.Gateway || a.Peer.IsValid():
		case !p.IsSingleIP() && !onLink && !near:
		case slices.ContainsFunc(host.AddrsOf(x.Host.Index), func(h snap.Addr) bool { return h.Prefix.Contains(p.Addr()) || h.Peer.IsValid() }):
		default:
			return p.Addr()
		}
	}
	return netip.Addr{}
}
