package kernel

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

const (
	ndaNHID   = 13   // linux/neighbour.h: NDA_NH_ID
	ntfSticky = 0x40 // NTF_STICKY
)

// readNeighs dumps the ARP and ND tables, and then the proxy entries, which the
// kernel keeps apart.
func (r *requester) readNeighs(ctx context.Context) ([]snap.Neigh, error) {
	var out []snap.Neigh
	for _, flags := range []uint8{0, unix.NTF_PROXY} {
		var part []snap.Neigh
		req := body(unix.SizeofNdMsg, unix.AF_UNSPEC)
		req[10] = flags // struct ndmsg: ndm_flags
		err := r.dump(ctx, "neighbours", unix.RTM_GETNEIGH, req, func() { part = nil }, func(m message) {
			if n, ok := decodeNeigh(m.data); ok {
				part = append(part, n)
			}
		})
		if err != nil {
			return out, err
		}
		out = append(out, part...)
	}
	return out, nil
}

// decodeNeigh decodes one RTM_NEWNEIGH of IPv4 or IPv6.
func decodeNeigh(b []byte) (snap.Neigh, bool) {
	if len(b) < unix.SizeofNdMsg {
		return snap.Neigh{}, false
	}
	if _, ok := ipFamily(b[0]); !ok {
		return snap.Neigh{}, false
	}
	flags := b[10]
	n := snap.Neigh{
		Index: intOf(b[4:]), State: neighState(u16of(b[8:])),
		Proxy: flags&unix.NTF_PROXY != 0, Router: flags&unix.NTF_ROUTER != 0, ExtLearn: flags&unix.NTF_EXT_LEARNED != 0,
	}
	for t, v := range rtattrs(b[unix.SizeofNdMsg:]) {
		switch t {
		case unix.NDA_DST:
			n.IP = ipOf(v)
		case unix.NDA_LLADDR:
			n.MAC = macOf(v)
		}
	}
	return n, n.IP.IsValid()
}

// neighState names linux/neighbour.h: NUD_*, of which an entry has one.
func neighState(v uint16) string {
	switch v {
	case 0:
		return "none"
	case unix.NUD_INCOMPLETE:
		return "incomplete"
	case unix.NUD_REACHABLE:
		return "reachable"
	case unix.NUD_STALE:
		return "stale"
	case unix.NUD_DELAY:
		return "delay"
	case unix.NUD_PROBE:
		return "probe"
	case unix.NUD_FAILED:
		return "failed"
	case unix.NUD_NOARP:
		return "noarp"
	case unix.NUD_PERMANENT:
		return "permanent"
	}
	return fmt.Sprintf("0x%x", v)
}

// readFDB dumps the forwarding entries of bridges and VXLAN devices. A device's
// own multicast filter, which the kernel lists as "self" entries too, is left
// out: nothing is forwarded by it.
func (r *requester) readFDB(ctx context.Context, devs []snap.Link) ([]snap.FDBEntry, error) {
	tunnels := map[int]bool{}
	for _, l := range devs {
		if l.Vxlan != nil {
			tunnels[l.Index] = true
		}
	}
	var out []snap.FDBEntry
	err := r.dump(ctx, "forwarding entries", unix.RTM_GETNEIGH, body(unix.SizeofNdMsg, unix.AF_BRIDGE), func() { out = nil }, func(m message) {
		e, multicast, ok := decodeFDB(m.data)
		if ok && (tunnels[e.Index] || !e.Self || !multicast) {
			out = append(out, e)
		}
	})
	return out, err
}

// decodeFDB decodes one RTM_NEWNEIGH of AF_BRIDGE (net/bridge/br_fdb.c:
// fdb_fill_info, drivers/net/vxlan: vxlan_fdb_info). multicast says that the
// address is a group's.
func decodeFDB(b []byte) (e snap.FDBEntry, multicast, ok bool) {
	if len(b) < unix.SizeofNdMsg || b[0] != unix.AF_BRIDGE {
		return snap.FDBEntry{}, false, false
	}
	state, flags := u16of(b[8:]), b[10]
	e = snap.FDBEntry{
		Index: intOf(b[4:]), Self: flags&unix.NTF_SELF != 0,
		ExtLearn: flags&unix.NTF_EXT_LEARNED != 0, Sticky: flags&ntfSticky != 0,
	}
	for t, v := range rtattrs(b[unix.SizeofNdMsg:]) {
		switch t {
		case unix.NDA_LLADDR:
			e.MAC = macOf(v)
			multicast = u8of(v)&1 != 0
		case unix.NDA_MASTER:
			e.Master = intOf(v)
		case unix.NDA_VLAN:
			e.Vlan = int(u16of(v))
		case unix.NDA_DST:
			e.Dst = ipOf(v)
		case unix.NDA_VNI:
			e.VNI = u32of(v)
		case unix.NDA_PORT:
			e.Port = be16of(v)
		case ndaNHID:
			e.NHID = u32of(v)
		}
	}
	// br_fdb.c:fdb_to_nud: local entries are permanent, static ones "noarp".
	switch {
	case state&unix.NUD_PERMANENT != 0:
		e.State = "permanent"
		e.Local = e.Master != 0 && !e.Self
	case state&unix.NUD_NOARP != 0:
		e.State = "static"
	case state&unix.NUD_REACHABLE != 0:
		e.State = "reachable"
	default:
		e.State = "stale"
	}
	return e, multicast, e.MAC != ""
}
