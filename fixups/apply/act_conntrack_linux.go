package apply

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// conntrack deletes one entry by its original tuple (CTA_*,
// include/uapi/linux/netfilter/nfnetlink_conntrack.h).
func (m *machine) conntrack(ctx context.Context, o *fixups.ConntrackDelete) error {
	c := o.Conn
	v6 := c.Family == snap.IPv6
	src, dst := uint16(1), uint16(2) // CTA_IP_V4_SRC, _DST
	if v6 {
		src, dst = 3, 4
	}
	var a attrs
	a.nested(1, func(t *attrs) { // CTA_TUPLE_ORIG
		t.nested(1, func(ip *attrs) { // CTA_TUPLE_IP
			ip.bytes(src, c.Orig.Src.Addr().AsSlice())
			ip.bytes(dst, c.Orig.Dst.Addr().AsSlice())
		})
		t.nested(2, func(p *attrs) { // CTA_TUPLE_PROTO
			p.u8(1, c.Proto)
			switch c.Proto {
			case unix.IPPROTO_ICMP:
				p.be16(4, c.Orig.Src.Port())
				p.u8(5, uint8(c.Orig.Dst.Port()>>8))
				p.u8(6, uint8(c.Orig.Dst.Port()))
			case unix.IPPROTO_ICMPV6:
				p.be16(7, c.Orig.Src.Port())
				p.u8(8, uint8(c.Orig.Dst.Port()>>8))
				p.u8(9, uint8(c.Orig.Dst.Port()))
			default:
				p.be16(2, c.Orig.Src.Port())
				p.be16(3, c.Orig.Dst.Port())
			}
		})
	})
	if c.Zone != 0 {
		const ctaZone = 18
		a.be16(ctaZone, c.Zone)
	}
	h, err := m.handle(ctx, o.Where)
	if err != nil {
		return err
	}
	s, err := dial(h, unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	defer s.close()
	const ctDelete = unix.NFNL_SUBSYS_CTNETLINK<<8 | 2 // IPCTNL_MSG_CT_DELETE
	fam := uint8(unix.AF_INET)
	if v6 {
		fam = unix.AF_INET6
	}
	return kernel.NetlinkError("forgetting a connection", s.do(ctDelete, 0, append(nfgen(fam, 0), a...)))
}
