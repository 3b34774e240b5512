package apply

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Commands and attributes of include/uapi/linux/netfilter/ipset/ip_set.h.
const (
	ipsetCmdAdd = unix.NFNL_SUBSYS_IPSET<<8 | 9
	ipsetCmdDel = unix.NFNL_SUBSYS_IPSET<<8 | 10
	// ipsetVersion is the oldest protocol that every kernel of today takes.
	ipsetVersion = 6
)

// ipset adds an entry to a set of ipset(8), or deletes it.
func (m *machine) ipset(ctx context.Context, o *fixups.IPSetMember) error {
	e := o.Entry
	ip, kind, fam := e.IP.Addr(), uint16(1), uint8(unix.AF_INET) // IPSET_ATTR_IPADDR_IPV4
	if ip.Is6() {
		kind, fam = 2, unix.AF_INET6
	}
	cmd := uint16(ipsetCmdDel)
	if o.In {
		cmd = ipsetCmdAdd
	}
	var a attrs
	a.u8(1, ipsetVersion) // IPSET_ATTR_PROTOCOL
	a.str(2, o.Set)       // IPSET_ATTR_SETNAME
	a.nested(7, func(d *attrs) {
		d.nested(1, func(x *attrs) { x.bytes(kind|unix.NLA_F_NET_BYTEORDER, ip.AsSlice()) })
		if !e.IP.IsSingleIP() {
			d.u8(3, uint8(e.IP.Bits())) // IPSET_ATTR_CIDR
		}
		if o.In && e.TimeoutS > 0 {
			d.be32(6|unix.NLA_F_NET_BYTEORDER, e.TimeoutS) // IPSET_ATTR_TIMEOUT
		}
		if o.In && e.NoMatch {
			d.be32(8|unix.NLA_F_NET_BYTEORDER, 4) // IPSET_ATTR_CADT_FLAGS: IPSET_FLAG_NOMATCH
		}
	})
	h, err := m.handle(ctx, o.Where)
	if err != nil {
		return err
	}
	s, err := dial(h, unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	defer s.close()
	return kernel.NetlinkError("changing the ipset "+o.Set, s.do(cmd, 0, append(nfgen(fam, 0), a...)))
}

// lookIPSets reads the sets that there are now.
func (m *machine) lookIPSets(ctx context.Context, s *snap.Snapshot, w fixups.Where) error {
	h, err := m.handle(ctx, w)
	if err != nil {
		return err
	}
	sets, err := kernel.ReadIPSets(ctx, h)
	if err != nil {
		return err
	}
	for _, x := range []*snap.Snapshot{s, m.base} {
		if n := x.Ns(m.idOf(w)); n != nil {
			n.IPSets = sets
		}
	}
	return nil
}
