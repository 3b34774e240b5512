package kernel

import (
	"context"
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxHeld is how many connections are kept of each port.
const maxHeld = 4

// AskHeld finds TCP connections of a namespace whose local port is one of these. A
// port that connect(2) has chosen can't be listened on while the connection is there,
// TIME_WAIT included (net/ipv4/inet_connection_sock.c:inet_csk_bind_conflict: it has
// no SO_REUSEADDR).
func AskHeld(ctx context.Context, h *ns.Handle, procs *ns.Procs, ports map[uint16]bool) (out []snap.Socket, err error) {
	err = h.Do(func() error {
		r, err := dial(unix.NETLINK_SOCK_DIAG, nil)
		if err != nil {
			return err
		}
		defer r.close()
		for _, af := range []uint8{unix.AF_INET, unix.AF_INET6} {
			req := body(sizeofInetDiagReq, af)
			req[1] = unix.IPPROTO_TCP
			binary.NativeEndian.PutUint32(req[4:], connectedStates)
			var part []snap.Socket
			count := map[uint16]int{}
			err := r.dump(ctx, "connections", unix.SOCK_DIAG_BY_FAMILY, req, func() { part = nil; clear(count) }, func(m message) {
				s, _, ok := decodeSocket(m.data, snap.TCP)
				if p := s.Local.Port(); ok && ports[p] && count[p] < maxHeld {
					count[p]++
					part = append(part, s)
				}
			})
			if err != nil {
				return err
			}
			out = append(out, part...)
		}
		return nil
	})
	for i := range out {
		if p := procs.SocketOwner(out[i].Inode); p != nil {
			out[i].Process = &snap.Process{PID: p.PID, Name: p.Name, State: p.State, Netns: InodeID(p.Netns)}
		}
	}
	snap.Sort(out, compareSockets)
	return out, err
}
