package diag

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Plain is a namespace that somebody made by hand and connected to this host by a
// veth pair: what an engine would tell of it is told from its own settings.
type Plain struct {
	NS   *snap.Netns
	Link *snap.Link // inside
	Host *snap.Link // the host's end
	Addr netip.Prefix
	// Gateway is that of its default route over Link.
	Gateway netip.Addr
	// Bridge is the one that Host is a port of, else the one that holds Gateway or,
	// where nobody does, an address of Addr's subnet; nil when there is none, or
	// several are.
	Bridge *snap.Link
}

// Plains are all of them that have an address and a default route.
func (in *Input) Plains() []Plain {
	host := in.Snap.HostNs()
	if host == nil {
		return nil
	}
	var out []Plain
	for i := range in.Snap.Netns {
		ns := &in.Snap.Netns[i]
		gw := DefaultGateway(ns)
		if ns.Class != snap.ClassAttached || len(ns.Containers) > 0 || !gw.Is4() {
			continue
		}
		for j := range ns.Links {
			l := &ns.Links[j]
			if l.Kind != "veth" || l.PeerNetns != host.ID {
				continue
			}
			p := Plain{NS: ns, Link: l, Host: host.LinkAt(l.Peer), Gateway: gw}
			for _, a := range ns.AddrsOf(l.Index) {
				if a.Prefix.Addr().Is4() && a.Prefix.Contains(gw) && a.Prefix.Addr() != gw {
					p.Addr = a.Prefix
				}
			}
			if p.Host == nil || !p.Addr.IsValid() {
				continue
			}
			p.Bridge = bridgeOf(host, &p)
			out = append(out, p)
		}
	}
	return out
}

// bridgeOf is the bridge that a plain namespace belongs to.
func bridgeOf(host *snap.Netns, p *Plain) *snap.Link {
	if m := host.LinkAt(p.Host.Master); m != nil {
		if m.Kind != "bridge" {
			return nil
		}
		return m
	}
	for _, a := range host.AddrsOf(p.Host.Index) {
		if !a.Prefix.Addr().IsLinkLocalUnicast() {
			return nil // a routed veth: it needs no bridge
		}
	}
	var best *snap.Link
	for i := range host.Links {
		l := &host.Links[i]
		if l.Kind != "bridge" {
			continue
		}
		for _, a := range host.AddrsOf(l.Index) {
			if a.Prefix.Addr() != p.Gateway && !p.Addr.Masked().Contains(a.Prefix.Addr()) {
				continue
			}
			if best != nil && best != l {
				return nil
			}
			best = l
		}
	}
	return best
}

// Lost says whether nobody can have the namespace's gateway: no namespace of this
// host holds it, and all ports of its bridge are this host's own, so that no other
// machine is on it.
func (in *Input) Lost(p *Plain) bool {
	host := in.Snap.HostNs()
	if host == nil || p.Bridge == nil || len(in.Graph.Owners(p.Gateway)) > 0 {
		return false
	}
	ports := in.Graph.Ports(host, p.Bridge)
	if slices.ContainsFunc(ports, func(l *snap.Link) bool { return l.Kind != "veth" }) {
		return false
	}
	return !slices.ContainsFunc(ports, func(l *snap.Link) bool {
		peer := in.Snap.Ns(l.PeerNetns)
		return peer == nil || !peer.Class.Ours()
	})
}
