package apply

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

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

// tcDump hands on what the kernel says of one device's objects of traffic control.
func (m *machine) tcDump(ctx context.Context, o *fixups.QdiscDel, now *snap.Snapshot, ask uint16, parent uint32, each func(b []byte, handle, parent uint32)) error {
	l, err := linkIn(now, o.Where, o.Dev)
	if err != nil {
		return err
	}
	h, err := m.handle(ctx, o.Where)
	if err != nil {
		return err
	}
	c, err := dial(h, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer c.close()
	err = c.dump(ask, tcmsg(l.Index, 0, parent), func(b []byte) {
		if len(b) >= 20 && int(int32(binary.NativeEndian.Uint32(b[4:]))) == l.Index {
			each(bytes.Clone(b), binary.NativeEndian.Uint32(b[8:]), binary.NativeEndian.Uint32(b[12:]))
		}
	})
	if err != nil {
		return kernel.NetlinkError("reading the disciplines of "+o.Dev, err)
	}
	return nil
}

// qdiscRaw is the kernel's own description of a discipline: RTM_NEWQDISC.
func (m *machine) qdiscRaw(ctx context.Context, o *fixups.QdiscDel, now *snap.Snapshot) ([]byte, error) {
	var raw []byte
	err := m.tcDump(ctx, o, now, unix.RTM_GETQDISC, 0, func(b []byte, handle, parent uint32) {
		if handle == o.Qdisc.Handle && parent == o.Qdisc.Parent {
			raw = b
		}
	})
	if err != nil {
		return nil, err
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

// qdiscUnder are what hangs under a discipline: its classes, parents first, the
// disciplines in them, and its filters.
func (m *machine) qdiscUnder(ctx context.Context, o *fixups.QdiscDel, now *snap.Snapshot) ([]fixups.TCObject, error) {
	if len(o.Qdisc.Classes) == 0 {
		return nil, nil
	}
	major := o.Qdisc.Handle >> 16
	var out []fixups.TCObject
	for _, x := range []struct {
		ask, is uint16
		parent  uint32
		part    func(b []byte, handle, parent uint32) bool
	}{
		{unix.RTM_GETTCLASS, unix.RTM_NEWTCLASS, 0, func(_ []byte, handle, _ uint32) bool { return handle>>16 == major }},
		{unix.RTM_GETQDISC, unix.RTM_NEWQDISC, 0, func(_ []byte, handle, parent uint32) bool {
			return handle != 0 && parent != tcRoot && parent>>16 == major
		}},
		{unix.RTM_GETTFILTER, unix.RTM_NEWTFILTER, o.Qdisc.Handle, func(b []byte, handle, _ uint32) bool { return handle != 0 && !hashTable(b) }},
	} {
		err := m.tcDump(ctx, o, now, x.ask, x.parent, func(b []byte, handle, parent uint32) {
			if x.part(b, handle, parent) {
				out = append(out, fixups.TCObject{Type: x.is, Raw: b})
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return parentsFirst(out), nil
}

// hashTable says whether a filter's message is of a table of u32, which is made with
// the first filter in it: its handle names no node (include/uapi/linux/pkt_cls.h: TC_U32_NODE).
func hashTable(b []byte) bool {
	const node = 0xfff
	if binary.NativeEndian.Uint32(b[8:])&node != 0 || len(b) < 24 {
		return false
	}
	n := int(binary.NativeEndian.Uint16(b[20:]))
	return n >= 4 && 20+n <= len(b) && binary.NativeEndian.Uint16(b[22:]) == unix.TCA_KIND && string(bytes.TrimRight(b[24:20+n], "\x00")) == "u32"
}

// tcRoot is TC_H_ROOT of linux/pkt_sched.h.
const tcRoot = 0xffffffff

// parentsFirst moves classes behind those that they are in.
func parentsFirst(list []fixups.TCObject) []fixups.TCObject {
	var out []fixups.TCObject
	made := map[uint32]bool{}
	for len(list) > 0 {
		var rest []fixups.TCObject
		for i, x := range list {
			id, parent := binary.NativeEndian.Uint32(x.Raw[8:]), binary.NativeEndian.Uint32(x.Raw[12:])
			waits := x.Type == unix.RTM_NEWTCLASS && !made[parent] && slices.ContainsFunc(list, func(y fixups.TCObject) bool {
				return y.Type == unix.RTM_NEWTCLASS && binary.NativeEndian.Uint32(y.Raw[8:]) == parent
			})
			if waits {
				rest = append(rest, list[i])
				continue
			}
			made[id] = true
			out = append(out, x)
		}
		if len(rest) == len(list) {
			return append(out, rest...) // a circle, which the kernel has not
		}
		list = rest
	}
	snap.Sort(out, func(a, b fixups.TCObject) int { return cmp.Compare(tcOrder(a.Type), tcOrder(b.Type)) })
	return out
}

func tcOrder(typ uint16) int {
	return slices.Index([]uint16{unix.RTM_NEWTCLASS, unix.RTM_NEWQDISC, unix.RTM_NEWTFILTER}, typ)
}

// qdiscAdd gives the kernel its own description back: kind and options, and those of
// what hung under it.
func (m *machine) qdiscAdd(ctx context.Context, o *fixups.QdiscAdd, now *snap.Snapshot) error {
	l, err := linkIn(now, o.Where, o.Dev)
	if err != nil {
		return err
	}
	if len(o.Raw) < 20 {
		return fmt.Errorf("discipline %s: its settings were not kept: %w", o.Qdisc.Kind, snap.ErrUnsupported)
	}
	for _, x := range append([]fixups.TCObject{{Type: unix.RTM_NEWQDISC, Raw: o.Raw}}, o.Under...) {
		if len(x.Raw) < 20 {
			return fmt.Errorf("what hung on %s was not kept: %w", o.Dev, snap.ErrUnsupported)
		}
		if err := m.route(ctx, o.Where, x.Type, unix.NLM_F_CREATE|unix.NLM_F_EXCL, tcAgain(l.Index, x)); err != nil {
			return err
		}
	}
	return nil
}

// tcAgain is a message that makes an object of traffic control again: where it is, its
// kind and options; counters and the like stay behind.
func tcAgain(index int, x fixups.TCObject) attrs {
	b := tcmsg(index, binary.NativeEndian.Uint32(x.Raw[8:]), binary.NativeEndian.Uint32(x.Raw[12:]))
	copy(b[16:20], x.Raw[16:20])
	kind := ""
	for a := x.Raw[20:]; len(a) >= 4; {
		n, typ := int(binary.NativeEndian.Uint16(a)), binary.NativeEndian.Uint16(a[2:])
		if n < 4 || n > len(a) {
			break
		}
		switch typ & 0x3fff {
		case unix.TCA_KIND: // comes first (net/sched/sch_api.c:tc_fill_qdisc, cls_api.c:tcf_fill_node)
			kind = string(bytes.TrimRight(a[4:n], "\x00"))
			b.bytes(typ, a[4:n])
		case unix.TCA_OPTIONS:
			options := bytes.Clone(a[4:n])
			switch {
			case x.Type == unix.RTM_NEWTFILTER:
				filterFlags(kind, options)
			case x.Type == unix.RTM_NEWQDISC && kind == "htb":
				htbVersion(options)
			}
			b.bytes(typ, options)
		}
		a = a[min(len(a), (n+3)&^3):]
	}
	return b
}

// filterFlags takes out of a filter's options what only the kernel says: whether
// hardware has it (include/net/pkt_cls.h:tc_flags_valid).
func filterFlags(kind string, options []byte) {
	const inHW, notInHW = 1 << 2, 1 << 3 // TCA_CLS_FLAGS_IN_HW, TCA_CLS_FLAGS_NOT_IN_HW
	at, ok := map[string]uint16{"u32": 11, "flower": 22, "matchall": 3, "bpf": 9}[kind]
	for a := options; ok && len(a) >= 8; {
		n := int(binary.NativeEndian.Uint16(a))
		if n < 4 || n > len(a) {
			return
		}
		if binary.NativeEndian.Uint16(a[2:]) == at && n == 8 {
			binary.NativeEndian.PutUint32(a[4:], binary.NativeEndian.Uint32(a[4:])&^(inHW|notInHW))
		}
		a = a[min(len(a), (n+3)&^3):]
	}
}

// htbVersion writes the version of an htb discipline as it is to be given: the kernel
// shows all of HTB_VER and takes its upper half alone (net/sched/sch_htb.c:htb_dump,
// htb_init).
func htbVersion(options []byte) {
	const init, shown, taken = 2, 0x30011, 3 // TCA_HTB_INIT, HTB_VER, HTB_VER >> 16
	if len(options) >= 8 && binary.NativeEndian.Uint16(options[2:]) == init && binary.NativeEndian.Uint32(options[4:]) == shown {
		binary.NativeEndian.PutUint32(options[4:], taken)
	}
}

// qdiscBurst gives a token bucket its settings again with another burst, or as they were.
func (m *machine) qdiscBurst(ctx context.Context, o *fixups.QdiscBurst, now *snap.Snapshot) error {
	l, err := linkIn(now, o.Where, o.Dev)
	if err != nil {
		return err
	}
	if len(o.Raw) < 20 {
		return fmt.Errorf("discipline %s: its settings were not kept: %w", o.Qdisc.Kind, snap.ErrUnsupported)
	}
	b := tcAgain(l.Index, fixups.TCObject{Type: unix.RTM_NEWQDISC, Raw: o.Raw})
	if !o.Back {
		b = withBurst(b, uint32(o.Qdisc.BurstBytes))
	}
	return m.route(ctx, o.Where, unix.RTM_NEWQDISC, 0, b)
}

// withBurst adds TCA_TBF_BURST to the options of a message, which goes before the ticks
// of TCA_TBF_PARMS (net/sched/sch_tbf.c:tbf_change).
func withBurst(msg attrs, burst uint32) attrs {
	const tbfBurst = 6 // TCA_TBF_BURST
	out := slices.Clone(msg[:20])
	for a := msg[20:]; len(a) >= 4; {
		n, typ := int(binary.NativeEndian.Uint16(a)), binary.NativeEndian.Uint16(a[2:])
		if n < 4 || n > len(a) {
			break
		}
		v := attrs(bytes.Clone(a[4:n]))
		if typ&0x3fff == unix.TCA_OPTIONS {
			v.u32(tbfBurst, burst)
		}
		out.bytes(typ, v)
		a = a[min(len(a), (n+3)&^3):]
	}
	return out
}
