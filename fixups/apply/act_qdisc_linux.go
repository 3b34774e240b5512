package apply

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// tcmsg is struct tcmsg.
func tcmsg(index int, handle, parent uint32) attrs {
	b := make(attrs, 20)
	copy(b[4:], u32s(uint32(index), handle, parent))
	return b
}

// qdiscRaw is the kernel's own description of a discipline: RTM_NEWQDISC.
func (m *machine) qdiscRaw(ctx context.Context, o *fixups.QdiscDel, now *snap.Snapshot) ([]byte, error) {
	l, err := linkIn(now, o.Where, o.Dev)
	if err != nil {
		return nil, err
	}
	h, err := m.handle(ctx, o.Where)
	if err != nil {
		return nil, err
	}
	c, err := dial(h, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer c.close()
	var raw []byte
	err = c.dump(unix.RTM_GETQDISC, tcmsg(l.Index, 0, 0), func(b []byte) {
		if len(b) >= 20 && int(int32(binary.NativeEndian.Uint32(b[4:]))) == l.Index &&
			binary.NativeEndian.Uint32(b[8:]) == o.Qdisc.Handle && binary.NativeEndian.Uint32(b[12:]) == o.Qdisc.Parent {
			raw = bytes.Clone(b)
		}
	})
	if err != nil {
		return nil, kernel.NetlinkError("reading the disciplines of "+o.Dev, err)
	}
	if raw == nil {
		return nil, fmt.Errorf("discipline %s of %s: %w", o.Qdisc.Kind, o.Dev, snap.ErrVanished)
	}
	return raw, nil
}

func (m *machine) qdiscDel(ctx context.Context, o *fixups.QdiscDel, now *snap.Snapshot) error {
	l, err := linkIn(now, o.Where, o.Dev)
	if err != nil {
		return err
	}
	return m.route(ctx, o.Where, unix.RTM_DELQDISC, 0, tcmsg(l.Index, o.Qdisc.Handle, o.Qdisc.Parent))
}

// qdiscAdd gives the kernel its own description back: kind and options.
func (m *machine) qdiscAdd(ctx context.Context, o *fixups.QdiscAdd, now *snap.Snapshot) error {
	l, err := linkIn(now, o.Where, o.Dev)
	if err != nil {
		return err
	}
	if len(o.Raw) < 20 {
		return fmt.Errorf("discipline %s: its settings were not kept: %w", o.Qdisc.Kind, snap.ErrUnsupported)
	}
	b := tcmsg(l.Index, binary.NativeEndian.Uint32(o.Raw[8:]), binary.NativeEndian.Uint32(o.Raw[12:]))
	for a := o.Raw[20:]; len(a) >= 4; {
		n, typ := int(binary.NativeEndian.Uint16(a)), binary.NativeEndian.Uint16(a[2:])
		if n < 4 || n > len(a) {
			break
		}
		if t := typ & 0x3fff; t == unix.TCA_KIND || t == unix.TCA_OPTIONS {
			b.bytes(typ, a[4:n])
		}
		a = a[min(len(a), (n+3)&^3):]
	}
	return m.route(ctx, o.Where, unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_EXCL, b)
}
