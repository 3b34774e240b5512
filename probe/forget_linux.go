package probe

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Forget takes away the neighbour entries that questions led to, in the namespaces
// of their senders and of those who were asked: entries for one of their addresses
// that were not there when the namespaces were read. The kernel has room for few
// of them in all its namespaces together (net/core/neighbour.c: neigh_alloc), and
// keeps them for minutes; somebody who uses one asks again, in microseconds.
func (p *Prober) Forget(s *snap.Snapshot, qs []Question) error {
	addrs := map[netip.Addr]bool{}
	where := map[*snap.Netns]bool{}
	for i := range qs {
		where[qs[i].From] = true
		addrs[qs[i].Dst.Addr().Unmap()] = true
		for _, a := range qs[i].From.Addrs {
			addrs[a.Prefix.Addr()] = true
		}
	}
	for i := range s.Netns {
		n := &s.Netns[i]
		for _, a := range n.Addrs {
			if n.Class.Ours() && !n.Light && addrs[a.Prefix.Addr()] && !a.Prefix.Addr().IsLoopback() {
				where[n] = true
			}
		}
	}
	var errs []error
	for n := range where {
		errs = append(errs, p.forgetIn(n, addrs))
	}
	return errors.Join(errs...)
}

func (p *Prober) forgetIn(n *snap.Netns, addrs map[netip.Addr]bool) error {
	type entry struct {
		index int
		ip    netip.Addr
	}
	had := map[entry]bool{}
	for i := range n.Neighs {
		had[entry{n.Neighs[i].Index, n.Neighs[i].IP}] = true
	}
	h, err := open(n)
	switch {
	case errors.Is(err, snap.ErrVanished), errors.Is(err, snap.ErrNotFound):
		return nil // and its entries with it
	case err != nil:
		return err
	}
	defer h.Close() //nolint:errcheck // only entered
	err = h.Do(func() error {
		kernel, err := netlink.NewHandle()
		if err != nil {
			return err
		}
		defer kernel.Close()
		list, err := kernel.NeighList(0, 0)
		if err != nil {
			return err
		}
		for i := range list {
			e := &list[i]
			ip, ok := netip.AddrFromSlice(e.IP)
			ip = ip.Unmap()
			if !ok || !addrs[ip] || had[entry{e.LinkIndex, ip}] || e.State&(netlink.NUD_PERMANENT|netlink.NUD_NOARP) != 0 {
				continue
			}
			_ = kernel.NeighDel(e) // it may be gone by itself
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("taking away neighbours of %s: %w", n.ID, err)
	}
	return nil
}

// unlearn gives what makes the kernel forget an IPv6 path's MTU that it learns by a
// router's word until then: any ICMPv6 error about an echo teaches it (net/ipv6/icmp.c:
// icmpv6_err), whatever the socket says; for IPv4 see unlearned. What was known when the
// namespace was read stays. A path that can't be looked at, or is gone, is left.
func (p *Prober) unlearn(n *snap.Netns, dst netip.Addr) func() {
	dst = dst.Unmap()
	if n == nil || !dst.Is6() || slices.ContainsFunc(n.Learned, func(e snap.RouteException) bool { return e.Dst == dst }) {
		return func() {}
	}
	return func() {
		h, err := open(n)
		if err != nil {
			return
		}
		defer h.Close() //nolint:errcheck // only entered
		_ = h.Do(func() error {
			req := nl.NewNetlinkRequest(unix.RTM_DELROUTE, unix.NLM_F_ACK)
			m := nl.NewRtDelMsg()
			m.Family, m.Dst_len, m.Table, m.Flags = unix.AF_INET6, 128, unix.RT_TABLE_MAIN, unix.RTM_F_CLONED // the exception, not the route
			req.AddData(m)
			req.AddData(nl.NewRtAttr(unix.RTA_DST, dst.WithZone("").AsSlice()))
			_, err := req.Execute(unix.NETLINK_ROUTE, 0)
			return err // there is none, mostly
		})
	}
}
