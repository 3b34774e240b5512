package kernel

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

const sizeofRtgenmsg = 1

// readNSIDs finds out which namespaces the netns ids of this one stand for.
// The kernel does not say it, it only answers which id a given namespace has
// (net/core/net_namespace.c:rtnl_net_getid): so peers are asked about one by
// one until all ids in use are found. The host comes first in peers, and in
// containers that is mostly enough. Ids of unknown namespaces map to 0.
func (r *requester) readNSIDs(ctx context.Context, devs []snap.Link, peers []*ns.Handle) (map[int]uint64, error) {
	ids := map[int]uint64{}
	err := r.dump(ctx, "netns ids", unix.RTM_GETNSID, body(sizeofRtgenmsg, unix.AF_UNSPEC), func() { clear(ids) }, func(m message) {
		if id, ok := decodeNSID(m.data); ok {
			ids[id] = 0
		}
	})
	// Dumps of ids are younger (Linux 4.0) than namespaces; the devices' ids do.
	if err != nil && !errors.Is(err, snap.ErrUnsupported) {
		return nil, err
	}
	for _, l := range devs {
		if l.PeerNSID >= 0 {
			ids[l.PeerNSID] = 0
		}
	}
	open := len(ids)
	for _, p := range peers {
		if open == 0 {
			break
		}
		m, err := r.ask(unix.RTM_GETNSID, putU32(body(4, unix.AF_UNSPEC), unix.NETNSA_FD, uint32(p.Fd())))
		if err != nil {
			return ids, NetlinkError("reading a netns id", err)
		}
		if id, ok := decodeNSID(m.data); ok {
			if was, wanted := ids[id]; wanted && was == 0 {
				ids[id] = p.Inode()
				open--
			}
		}
	}
	return ids, nil
}

// decodeNSID decodes one RTM_NEWNSID; ok is false for "none assigned".
func decodeNSID(b []byte) (id int, ok bool) {
	const aligned = 4 // struct rtgenmsg, padded
	if len(b) < aligned {
		return 0, false
	}
	for t, v := range rtattrs(b[aligned:]) {
		if t == unix.NETNSA_NSID {
			id, ok = intOf(v), true
		}
	}
	return id, ok && id >= 0
}

// sortedIDs are the ids in ascending order.
func sortedIDs(ids map[int]uint64) []int {
	out := make([]int, 0, len(ids))
	for id := range ids {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}
