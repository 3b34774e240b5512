package sim

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// selectAddr is inet_select_addr (net/ipv4/devinet.c): the primary address of
// the device, preferably on dst's subnet, whose scope is not narrower than
// scope; else one of another device.
func (n *netns) selectAddr(dev *snap.Link, dst netip.Addr, scope int) netip.Addr {
	limit := scopeNo("host")
	if dev != nil && n.confOr(dev, "route_localnet") {
		limit = scopeNo("link")
	}
	if dev != nil {
		var first netip.Addr
		for _, i := range n.addrOf[dev.Index] {
			a := &n.n.Addrs[i]
			if !a.Prefix.Addr().Is4() || a.Has("secondary") || min(scopeNo(a.Scope), limit) > scope {
				continue
			}
			if !dst.IsValid() || onSubnet(a, dst) {
				return a.Prefix.Addr()
			}
			if !first.IsValid() {
				first = a.Prefix.Addr()
			}
		}
		if first.IsValid() {
			return first
		}
	}
	vrf := n.vrfOf(dev)
	for i := range n.n.Links {
		l := &n.n.Links[i]
		if dev != nil && n.vrfOf(l) != vrf {
			continue
		}
		for _, k := range n.addrOf[l.Index] {
			a := &n.n.Addrs[k]
			if a.Prefix.Addr().Is4() && !a.Has("secondary") && a.Scope != "link" && scopeNo(a.Scope) <= scope {
				return a.Prefix.Addr()
			}
		}
	}
	return netip.Addr{}
}

// onSubnet is inet_ifa_match.
func onSubnet(a *snap.Addr, ip netip.Addr) bool {
	p := a.Prefix
	if a.Peer.IsValid() {
		p = a.Peer
	}
	return p.Masked().Contains(ip)
}

// addrScope is the scope of an IPv6 address as RFC 6724 section 3.1 counts.
func addrScope(a netip.Addr) int {
	switch {
	case a.IsLoopback(), a.IsLinkLocalUnicast():
		return 2
	case a.IsMulticast():
		return int(a.As16()[1] & 0xf)
	}
	return 14
}

// label6 is the default policy table of RFC 6724 section 2.1.
func label6(a netip.Addr) int {
	for _, e := range []struct {
		p     string
		label int
	}{{"::1/128", 0}, {"::ffff:0:0/96", 4}, {"2002::/16", 2}, {"2001::/32", 5}, {"fc00::/7", 13}, {"::/96", 3}, {"fec0::/10", 11}, {"3ffe::/16", 12}} {
		if netip.MustParsePrefix(e.p).Contains(a) {
			return e.label
		}
	}
	return 1
}

// selectAddr6 is ipv6_dev_get_saddr (net/ipv6/addrconf.c): RFC 6724 section 5
// without home addresses.
func (n *netns) selectAddr6(dev *snap.Link, dst netip.Addr) netip.Addr {
	var best *snap.Addr
	for i := range n.n.Addrs {
		a := &n.n.Addrs[i]
		ip := a.Prefix.Addr()
		if !ip.Is6() || !addrUsable(a) || ip.IsMulticast() {
			continue
		}
		if l := n.links[a.Index]; l == nil || !l.Up {
			continue
		}
		// A destination of the link or the node takes addresses of its own device only.
		if dev != nil && a.Index != dev.Index && (addrScope(dst) <= 2 || n.conf(snap.IPv6, dev, "use_oif_addrs_only") != 0) {
			continue
		}
		if dev != nil && n.vrfOf(n.links[a.Index]) != n.vrfOf(dev) {
			continue
		}
		if best == nil || n.better6(a, best, dev, dst) {
			best = a
		}
	}
	if best == nil {
		return netip.Addr{}
	}
	return best.Prefix.Addr()
}

// better6 compares two candidates by the rules of RFC 6724 section 5.
func (n *netns) better6(a, b *snap.Addr, dev *snap.Link, dst netip.Addr) bool {
	x, y := a.Prefix.Addr(), b.Prefix.Addr()
	if (x == dst) != (y == dst) {
		return x == dst
	}
	if sx, sy, sd := addrScope(x), addrScope(y), addrScope(dst); sx != sy {
		if sx < sy {
			return sx >= sd
		}
		return sy < sd
	}
	if dx, dy := avoided(a), avoided(b); dx != dy {
		return dy
	}
	if dev != nil && (a.Index == dev.Index) != (b.Index == dev.Index) {
		return a.Index == dev.Index
	}
	if lx, ly, ld := label6(x), label6(y), label6(dst); (lx == ld) != (ly == ld) {
		return lx == ld
	}
	if tx, ty := a.Has("temporary"), b.Has("temporary"); tx != ty {
		// Rule 7: use_tempaddr of 2 prefers temporary ones.
		l := n.links[a.Index]
		return tx == (l != nil && n.conf(snap.IPv6, l, "use_tempaddr") >= 2)
	}
	return min(common(x, dst), a.Prefix.Bits()) > min(common(y, dst), b.Prefix.Bits())
}

// avoided is rule 3, which spares some kinds whose time can't be over
// (ipv6_saddr_preferred, net/ipv6/addrconf.c).
func avoided(a *snap.Addr) bool {
	ip := a.Prefix.Addr()
	return a.Has("deprecated") && !ip.IsLoopback() && !ip.Is4In6() && !netip.MustParsePrefix("::/96").Contains(ip)
}

// common is the length of the common prefix in bits.
func common(a, b netip.Addr) int {
	x, y := a.As16(), b.As16()
	for i := range x {
		if d := x[i] ^ y[i]; d != 0 {
			k := 0
			for d&0x80 == 0 {
				d <<= 1
				k++
			}
			return i*8 + k
		}
	}
	return 128
}

// addrType is inet_addr_type (net/ipv4/fib_frontend.c): what the local table
// says of an address; with dev only addresses of that device are local.
func (n *netns) addrType(a netip.Addr, dev int) string {
	if a.Is4() {
		if a == netip.IPv4Unspecified() || a == bcast4 {
			return "broadcast"
		}
		if a.IsMulticast() {
			return "multicast"
		}
	} else if a.IsMulticast() {
		return "multicast"
	}
	fam := snap.FamilyOf(a)
	f := n.fib[fam]()
	tables := []uint32{snap.TableLocal}
	if vrf := n.vrfOf(n.links[dev]); vrf != nil {
		tables = []uint32{vrf.VRF.Table}
	}
	for _, id := range tables {
		t := f.tables[id]
		if t == nil {
			continue
		}
		if res, _, ok := t.search(f, &lookup{dst: a, linkdownOK: true}); ok && res.errno == "" {
			if dev == 0 || slices.ContainsFunc(res.ways, func(w way) bool { return w.oif == dev }) {
				return res.typ
			}
		} else if ok {
			return res.typ
		}
	}
	return "unicast"
}

var bcast4 = netip.AddrFrom4([4]byte{255, 255, 255, 255})
