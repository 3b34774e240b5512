package apply

import (
	"context"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Numbers of linux/xfrm.h.
const (
	xfrmNewPolicy = 0x13 // XFRM_MSG_NEWPOLICY: struct xfrm_userpolicy_info, 168 bytes
	xfrmDelPolicy = 0x14 // XFRM_MSG_DELPOLICY: struct xfrm_userpolicy_id, 64 bytes
	xfrmaMark     = 21   // XFRMA_MARK
	xfrmaIfID     = 31   // XFRMA_IF_ID
)

// xfrm makes or deletes a policy of IPsec that has no templates.
func (m *machine) xfrm(ctx context.Context, w fixups.Where, add bool, p *snap.XfrmPolicy) error {
	dir, ok := map[string]uint8{"in": 0, "out": 1, "fwd": 2}[p.Dir]
	if !ok || len(p.Templates) > 0 {
		return fmt.Errorf("an IPsec policy with templates or direction %q: %w", p.Dir, snap.ErrUnsupported)
	}
	c, err := m.conn(ctx, w, unix.NETLINK_XFRM)
	if err != nil {
		return err
	}
	size, typ, flags := 64, uint16(xfrmDelPolicy), uint16(0)
	if add {
		size, typ, flags = 168, xfrmNewPolicy, unix.NLM_F_CREATE|unix.NLM_F_EXCL
	}
	b := make(attrs, size)
	copy(b, p.Dst.Addr().AsSlice())
	copy(b[16:], p.Src.Addr().AsSlice())
	for i, v := range []uint16{p.Dport[0], p.Dport[1], p.Sport[0], p.Sport[1]} {
		binary.BigEndian.PutUint16(b[32+2*i:], v)
	}
	binary.NativeEndian.PutUint16(b[40:], uint16(family(p.Family == snap.IPv6)))
	b[42], b[43], b[44] = uint8(p.Dst.Bits()), uint8(p.Src.Bits()), p.Proto
	binary.NativeEndian.PutUint32(b[48:], uint32(p.Oif))
	if add {
		for i := 56; i < 88; i++ {
			b[i] = 0xff // no limits: XFRM_INF
		}
		binary.NativeEndian.PutUint32(b[152:], p.Priority)
		b[160] = dir
		if p.Block {
			b[161] = 1
		}
	} else {
		b[60] = dir
	}
	if p.Mask != 0 {
		b.bytes(xfrmaMark, u32s(p.Mark, p.Mask))
	}
	if p.IfID != 0 {
		b.u32(xfrmaIfID, p.IfID)
	}
	return kernel.NetlinkError("changing IPsec of "+w.ID, c.do(typ, flags, b))
}
