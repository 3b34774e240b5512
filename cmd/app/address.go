package app

import (
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/inspect/walk"
)

// Family restricts addresses: 4, 6, or 0 for IPv4 first.
type Family int

// familyOf is the family of an address.
func familyOf(a netip.Addr) Family {
	if a.Is4() {
		return 4
	}
	return 6
}

// allows says whether an address is of the family.
func (f Family) allows(a netip.Addr) bool {
	switch f {
	case 4:
		return a.Is4()
	case 6:
		return a.Is6() && !a.Is4In6()
	}
	return a.IsValid()
}

// order is the order in which families are looked at.
func (f Family) order() []Family {
	if f == 0 {
		return []Family{4, 6}
	}
	return []Family{f}
}

// shared is the address of a container on a network that the sender's
// container is on, too; invalid when they share none.
func shared(s *snap.Snapshot, dst *snap.Container, srcNetns string, f Family) netip.Addr {
	for _, fam := range f.order() {
		for i := range dst.Endpoints {
			e := &dst.Endpoints[i]
			a := endpointAddr(e, fam)
			if !a.IsValid() {
				continue
			}
			for j := range s.Containers {
				c := &s.Containers[j]
				if c.Netns == "" || c.Netns != srcNetns || c.Engine != dst.Engine {
					continue
				}
				for k := range c.Endpoints {
					if o := &c.Endpoints[k]; e.NetworkID != "" && o.NetworkID == e.NetworkID || e.NetworkID == "" && o.Network == e.Network {
						return a
					}
				}
			}
		}
	}
	return netip.Addr{}
}

// endpointAddr is an endpoint's address of a family; invalid when it has none.
func endpointAddr(e *snap.Endpoint, f Family) netip.Addr {
	if f == 6 {
		if e.IPv6.IsValid() {
			return e.IPv6.Addr()
		}
		return netip.Addr{}
	}
	if e.IPv4.IsValid() {
		return e.IPv4.Addr()
	}
	return netip.Addr{}
}

// containerAddr is the address by which a sender reaches a container: on a
// shared network, else the first one it was given, else one that its namespace
// holds; invalid when it has none.
func containerAddr(s *snap.Snapshot, dst *snap.Container, srcNetns string, f Family) netip.Addr {
	if dst.Netns != "" && dst.Netns == srcNetns {
		return loopback(f)
	}
	if a := shared(s, dst, srcNetns, f); a.IsValid() {
		return a
	}
	for _, fam := range f.order() {
		for i := range dst.Endpoints {
			if a := endpointAddr(&dst.Endpoints[i], fam); a.IsValid() {
				return a
			}
		}
	}
	if dst.Netns == "" {
		return netip.Addr{}
	}
	return netnsAddr(s, dst.Netns, srcNetns, f)
}

func loopback(f Family) netip.Addr {
	if f == 6 {
		return netip.IPv6Loopback()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// netnsAddr is the address by which a sender reaches a namespace: on a subnet
// that it shares with the sender, else its first global one; invalid when it
// holds none.
func netnsAddr(s *snap.Snapshot, dst, src string, f Family) netip.Addr {
	if dst == src {
		return loopback(f)
	}
	d, from := s.Ns(dst), s.Ns(src)
	if d == nil {
		return netip.Addr{}
	}
	for _, fam := range f.order() {
		var first netip.Addr
		for _, a := range d.Addrs {
			ip := a.Prefix.Addr()
			if !fam.allows(ip) || ip.IsLoopback() || ip.IsLinkLocalUnicast() {
				continue
			}
			if l := d.LinkAt(a.Index); l != nil && l.Loopback {
				continue
			}
			if !first.IsValid() {
				first = ip
			}
			if from == nil {
				continue
			}
			for _, b := range from.Addrs {
				if b.Prefix.Masked() == a.Prefix.Masked() && b.Prefix.Addr() != ip {
					return ip
				}
			}
		}
		if first.IsValid() {
			if gw := gateway(from, fam); gw.IsValid() {
				if _, ok := d.HasAddr(gw); ok {
					return gw
				}
			}
			return first
		}
	}
	return netip.Addr{}
}

// gateway is the gateway of a namespace's default route with the smallest
// metric in the main table; invalid when it has none.
func gateway(ns *snap.Netns, f Family) netip.Addr {
	var best netip.Addr
	var metric uint32
	if ns == nil {
		return best
	}
	for _, r := range ns.Routes {
		if r.Table != snap.TableMain || r.Dst.Bits() != 0 || r.Type != "unicast" || !r.Gateway.IsValid() || !f.allows(r.Gateway) {
			continue
		}
		if !best.IsValid() || r.Metric < metric {
			best, metric = r.Gateway, r.Metric
		}
	}
	return best
}

// internet is an address that stands for the internet when no other is given:
// Cloudflare's public resolver, which answers on 443/tcp.
func internet(f Family) netip.Addr {
	if f == 6 {
		return netip.MustParseAddr("2606:4700:4700::1111")
	}
	return netip.AddrFrom4([4]byte{1, 1, 1, 1})
}

// owner is the namespace of ours that holds an address; "" when none does, or
// several do.
func owner(g *walk.Graph, a netip.Addr) string {
	id := ""
	for _, e := range g.Owners(a) {
		if e.Netns.Light {
			continue // it has no part in this host's network: the same address elsewhere
		}
		if id != "" && id != e.Netns.ID {
			return ""
		}
		id = e.Netns.ID
	}
	return id
}

// arrival is the device of the host on which a packet from outside comes in:
// the one that holds the destination when that is an uplink with its own
// subnet, or that a container with the destination sits on (macvlan, ipvlan: no
// routing leads to it), else the one that routes back to the source. "" when neither is known.
func arrival(s *snap.Snapshot, src, dst netip.Addr, back func(netip.Addr) string) string {
	host := s.HostNs()
	if host == nil {
		return ""
	}
	dev := back(src)
	if l, ok := host.HasAddr(dst); ok && l != nil && l.Name != dev && uplink(l) {
		for _, a := range host.AddrsOf(l.Index) {
			if a.Prefix.Addr() == dst && a.Prefix.Bits() < dst.BitLen() {
				return l.Name
			}
		}
	}
	if p := parentOf(s, dst); host.Link(p) != nil {
		return p
	}
	return dev
}

// parentOf is the device that the macvlan or ipvlan network of an address's
// container has as its parent; "" when the address is no such container's.
func parentOf(s *snap.Snapshot, a netip.Addr) string {
	for i := range s.Containers {
		c := &s.Containers[i]
		for k := range c.Endpoints {
			ep := &c.Endpoints[k]
			if !c.Running() || ep.IPv4.Addr() != a && ep.IPv6.Addr() != a {
				continue
			}
			if n := s.NetworkOf(c.Engine, ep); n != nil && (n.Driver == "macvlan" || n.Driver == "ipvlan") {
				return n.Parent
			}
		}
	}
	return ""
}

// uplink says whether a device can lead out of the host by itself: it is
// neither loopback nor a bridge nor a bridge's port.
func uplink(l *snap.Link) bool {
	return !l.Loopback && l.Kind != "bridge" && l.Kind != "dummy" && l.Master == 0
}
