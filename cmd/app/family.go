package app

import (
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// otherFamily is an address of the destination's family that stands for a
// sender of which only one of the other family is known: its own where a
// namespace or a neighbour entry tells, else one that is free on the link by
// which its packets come in. Invalid when there is none.
func otherFamily(s *snap.Snapshot, src, dst netip.Addr, back func(netip.Addr) string) netip.Addr {
	fits := func(a netip.Addr) bool {
		return a.Is4() == dst.Is4() && a.IsGlobalUnicast()
	}
	for i := range s.Netns {
		ns := &s.Netns[i]
		if _, ok := ns.HasAddr(src); !ok || ns.Class == snap.ClassForeign {
			continue
		}
		for _, a := range ns.Addrs {
			if fits(a.Prefix.Addr()) {
				return a.Prefix.Addr()
			}
		}
	}
	host := s.HostNs()
	if host == nil {
		return netip.Addr{}
	}
	for _, n := range host.Neighs {
		if n.IP != src || n.MAC == "" {
			continue
		}
		for _, m := range host.Neighs {
			if m.MAC == n.MAC && m.Index == n.Index && fits(m.IP) {
				return m.IP
			}
		}
	}
	l := host.Link(back(src))
	if l == nil {
		return netip.Addr{}
	}
	for _, a := range host.AddrsOf(l.Index) {
		if p := a.Prefix; fits(p.Addr()) && p.Bits() < p.Addr().BitLen()-1 {
			if f := free(host, p, dst); f.IsValid() {
				return f
			}
		}
	}
	return netip.Addr{}
}

// free is the lowest address of a prefix, from its second one on, that neither
// the host nor a neighbour nor the destination has; invalid when the first 256
// are all taken.
func free(host *snap.Netns, p netip.Prefix, dst netip.Addr) netip.Addr {
	a := p.Masked().Addr().Next().Next()
	for range 256 {
		if !p.Contains(a) || !p.Contains(a.Next()) {
			break
		}
		_, mine := host.HasAddr(a)
		taken := mine || a == dst
		for _, n := range host.Neighs {
			taken = taken || n.IP == a
		}
		for _, r := range host.Routes {
			taken = taken || r.Gateway == a
		}
		if !taken {
			return a
		}
		a = a.Next()
	}
	return netip.Addr{}
}
