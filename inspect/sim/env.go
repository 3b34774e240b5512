package sim

import (
	"net/netip"
	"slices"
	"time"

	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// A namespace answers what its rules ask: it is their rules.Env.
var _ rules.Env = (*netns)(nil)

// Link is the device with that ifindex.
func (n *netns) Link(ifindex int) *snap.Link { return n.links[ifindex] }

// AddrType is inet_addr_type or inet_dev_addr_type.
func (n *netns) AddrType(a netip.Addr, dev int) string { return n.addrType(a, dev) }

// FIB answers nft's fib expression and xt_rpfilter
// (net/ipv4/netfilter/nft_fib_ipv4.c, ipt_rpfilter.c): the route for Dst. With
// Oif it is that device when the route has a nexthop there.
func (n *netns) FIB(q rules.FIBQuery) (int, string, bool) {
	l := lookup{dst: q.Dst, src: q.Src, iif: q.Iif, mark: q.Mark, tos: q.TOS, proto: q.Proto, sport: q.Sport, dport: q.Dport, linkdownOK: true}
	if l.iif == 0 {
		if lo := n.loopback(); lo != nil {
			l.iif = lo.Index
		}
	}
	if vrf := n.vrfOf(n.links[q.Iif]); vrf != nil {
		l.l3mdev = vrf.Index
	}
	res := n.fib[snap.FamilyOf(q.Dst)]().find(&l)
	if res.errno != "" {
		return 0, res.typ, false
	}
	for _, w := range res.ways {
		if q.Oif != 0 && w.oif == q.Oif {
			return w.oif, res.typ, true
		}
	}
	if len(res.ways) == 0 {
		return 0, res.typ, true
	}
	return res.ways[0].oif, res.typ, true
}

// IPSet is the ipset of that name.
func (n *netns) IPSet(name string) *snap.IPSet { return n.n.IPSet(name) }

// Recent is the list of xt_recent of that name.
func (n *netns) Recent(name string) *snap.RecentList { return n.n.RecentList(name) }

// HashLimit is the table of xt_hashlimit of that name.
func (n *netns) HashLimit(name string, fam snap.Family) *snap.HashLimit {
	return n.n.HashLimit(name, fam)
}

// Sysctl by key with slashes.
func (n *netns) Sysctl(key string) (string, bool) { return n.n.Sysctl(key) }

// Socket looks for a listening or bound socket that would take the packet;
// whether it is transparent is not in a snapshot.
func (n *netns) Socket(p *rules.Packet, transparent bool) (found, known bool) {
	if n.gap("sockets") != "" {
		return false, false
	}
	k := &skb{Packet: *p}
	s := n.socketFor(k, n.links[p.Iif])
	if s == nil {
		// An established connection's socket is not in the snapshot; a SYN has none.
		return false, p.Proto == snap.IPProtoTCP && p.TCPFlags&(rules.TCPSYN|rules.TCPACK) == rules.TCPSYN
	}
	return true, !transparent
}

// Connections counts entries of conntrack, as nf_conncount does: of TCP not those that are
// closed or wait for stray packets only (net/netfilter/nf_conncount.c: already_closed).
func (n *netns) Connections(a, mask netip.Addr, to bool) (uint32, bool) {
	if n.gap("conntrack") != "" || n.n.ConntrackCount > 0 && len(n.n.Conntrack) == 0 {
		return 0, false
	}
	if _, ok := n.n.Sysctl("net/netfilter/nf_conntrack_count"); !ok {
		return 0, false
	}
	var open uint32
	key := cut(a, mask)
	for i := range n.n.Conntrack {
		c := &n.n.Conntrack[i]
		if c.TCPState == "TIME_WAIT" || c.TCPState == "CLOSE" {
			continue
		}
		if !to && cut(c.Orig.Src.Addr(), mask) == key || to && (cut(c.Orig.Dst.Addr(), mask) == key || cut(c.Reply.Src.Addr(), mask) == key) {
			open++
		}
	}
	return open, true
}

// cut is an address under a mask; invalid where they are of two families.
func cut(a, mask netip.Addr) netip.Addr {
	b, m := a.Unmap().AsSlice(), mask.AsSlice()
	if len(b) != len(m) {
		return netip.Addr{}
	}
	for i := range b {
		b[i] &= m[i]
	}
	out, _ := netip.AddrFromSlice(b)
	return out
}

// Queued says whether a program reads from a netfilter queue.
func (n *netns) Queued(num uint16) (taken, known bool) {
	return slices.Contains(n.n.NFQueues, num), n.n.NFQueues != nil
}

// DeviceAddr is the first address of a device that is no secondary one.
func (n *netns) DeviceAddr(dev int, fam snap.Family) netip.Addr {
	for _, i := range n.addrOf[dev] {
		a := &n.n.Addrs[i]
		if snap.FamilyOf(a.Prefix.Addr()) == fam && !a.Has("secondary") && addrUsable(a) {
			return a.Prefix.Addr()
		}
	}
	return netip.Addr{}
}

// Now is when the snapshot was taken.
func (n *netns) Now() time.Time { return n.w.now }

// IPSetAt is the ipset with that kernel index.
func (n *netns) IPSetAt(index int) *snap.IPSet { return n.n.IPSetAt(index) }
