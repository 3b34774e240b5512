package apply

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ntfSticky is NTF_STICKY (include/uapi/linux/neighbour.h).
const ntfSticky = 1 << 6

// ndmsg is struct ndmsg.
func ndmsg(family uint8, index int, state uint16, flags uint8) attrs {
	b := make(attrs, unix.SizeofNdMsg)
	b[0] = family
	copy(b[4:], u32s(uint32(index)))
	binary.NativeEndian.PutUint16(b[8:], state)
	b[10] = flags
	return b
}

// nud is NUD_*.
func nud(state string) uint16 {
	switch state {
	case "permanent":
		return unix.NUD_PERMANENT
	case "reachable":
		return unix.NUD_REACHABLE
	case "noarp", "static":
		return unix.NUD_NOARP
	case "stale", "delay", "probe":
		return unix.NUD_STALE
	case "failed":
		return unix.NUD_FAILED
	}
	return unix.NUD_NONE
}

func (m *machine) neighSet(ctx context.Context, o *fixups.NeighSet, now *snap.Snapshot) error {
	l, err := linkIn(now, o.Where, o.Dev)
	if err != nil {
		return err
	}
	flags := uint8(0)
	if o.Neigh.Proxy {
		flags |= unix.NTF_PROXY
	}
	if o.Neigh.Router {
		flags |= unix.NTF_ROUTER
	}
	if o.Neigh.ExtLearn {
		flags |= unix.NTF_EXT_LEARNED
	}
	b := ndmsg(family(o.Neigh.IP.Is6()), l.Index, nud(o.Neigh.State), flags)
	b.bytes(unix.NDA_DST, o.Neigh.IP.AsSlice())
	if o.Neigh.MAC != "" && !o.Neigh.Proxy {
		mac, err := net.ParseMAC(o.Neigh.MAC)
		if err != nil {
			return fmt.Errorf("neighbour %s: %w", o.Neigh.IP, err)
		}
		b.bytes(unix.NDA_LLADDR, mac)
	}
	return m.route(ctx, o.Where, unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, b)
}

func (m *machine) neighDel(ctx context.Context, o *fixups.NeighDel, now *snap.Snapshot) error {
	l, err := linkIn(now, o.Where, o.Dev)
	if err != nil {
		return err
	}
	flags := uint8(0)
	if o.Proxy {
		flags = unix.NTF_PROXY
	}
	b := ndmsg(family(o.IP.Is6()), l.Index, 0, flags)
	b.bytes(unix.NDA_DST, o.IP.AsSlice())
	return m.route(ctx, o.Where, unix.RTM_DELNEIGH, 0, b)
}

// fdb writes or deletes a forwarding entry. One with a VTEP is appended: a MAC,
// above all the zero one, may have several.
func (m *machine) fdb(ctx context.Context, w fixups.Where, dev string, set bool, e snap.FDBEntry, now *snap.Snapshot) error {
	l, err := linkIn(now, w, dev)
	if err != nil {
		return err
	}
	mac, err := net.ParseMAC(e.MAC)
	if err != nil {
		return fmt.Errorf("forwarding entry: %w", err)
	}
	state := uint16(unix.NUD_REACHABLE)
	switch e.State {
	case "permanent":
		state = unix.NUD_PERMANENT
	case "static":
		state = unix.NUD_NOARP
	}
	flags := uint8(unix.NTF_MASTER)
	if e.OfDevice() {
		flags = unix.NTF_SELF
	}
	if e.ExtLearn {
		flags |= unix.NTF_EXT_LEARNED
	}
	if e.Sticky {
		flags |= ntfSticky
	}
	b := ndmsg(unix.AF_BRIDGE, l.Index, state, flags)
	b.bytes(unix.NDA_LLADDR, mac)
	if e.Vlan != 0 {
		b.u16(unix.NDA_VLAN, uint16(e.Vlan))
	}
	if e.Dst.IsValid() {
		b.bytes(unix.NDA_DST, e.Dst.AsSlice())
	}
	if e.VNI != 0 {
		b.u32(unix.NDA_VNI, e.VNI)
	}
	if e.Port != 0 {
		b.be16(unix.NDA_PORT, e.Port)
	}
	switch {
	case !set:
		return m.route(ctx, w, unix.RTM_DELNEIGH, 0, b)
	case e.Dst.IsValid():
		return m.route(ctx, w, unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_APPEND, b)
	}
	return m.route(ctx, w, unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, b)
}
