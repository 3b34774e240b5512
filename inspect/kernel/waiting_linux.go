package kernel

import (
	"context"
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

const (
	inetDiagInfo  = 2 // INET_DIAG_INFO: struct tcp_info
	tcpCloseWait  = 8
	waitingStates = 1<<tcpEstablished | 1<<tcpCloseWait
)

// readWaiting fills in how long the oldest connection waits that a listener has
// not accepted. Such a connection has no file yet, and so no inode. What the
// kernel tells is when its peer was last heard of and when data last came: the
// handshake, or later. A client that gave up was heard of just now, its question came
// when it began. It asks only when a listener has any.
func (r *requester) readWaiting(ctx context.Context, list []snap.Socket) error {
	type key struct {
		family snap.Family
		port   uint16
	}
	waits := map[key]int64{}
	for i := range list {
		if s := &list[i]; s.Proto == snap.TCP && s.Queue > 0 {
			waits[key{s.Family, s.Local.Port()}] = 0
		}
	}
	for _, af := range []uint8{unix.AF_INET, unix.AF_INET6} {
		family, _ := ipFamily(af)
		asked := false
		for k := range waits {
			asked = asked || k.family == family
		}
		if !asked {
			continue
		}
		req := body(sizeofInetDiagReq, af)
		req[1], req[2] = unix.IPPROTO_TCP, 1<<(inetDiagInfo-1)
		binary.NativeEndian.PutUint32(req[4:], waitingStates)
		err := r.dump(ctx, "waiting connections", unix.SOCK_DIAG_BY_FAMILY, req, func() {}, func(m message) {
			s, _, ok := decodeSocket(m.data, snap.TCP)
			k := key{family, s.Local.Port()}
			if was, wanted := waits[k]; ok && wanted && s.Inode == 0 {
				waits[k] = max(was, heardMs(m.data[sizeofInetDiagMsg:]))
			}
		})
		if err != nil {
			return err
		}
	}
	for i := range list {
		if s := &list[i]; s.Proto == snap.TCP && s.Queue > 0 {
			s.WaitMs = waits[key{s.Family, s.Local.Port()}]
		}
	}
	return nil
}

// heardMs is how many milliseconds ago a connection's peer was last heard of, or its last
// data came, whatever is longer, of the attributes of a struct inet_diag_msg; 0 when they
// don't tell. Both start with the handshake (net/ipv4/tcp_minisocks.c:
// tcp_create_openreq_child), and a FIN moves the first one only.
func heardMs(attrs []byte) int64 {
	const data, ack = int(unsafe.Offsetof(unix.TCPInfo{}.Last_data_recv)), int(unsafe.Offsetof(unix.TCPInfo{}.Last_ack_recv))
	for t, v := range rtattrs(attrs) {
		if t == inetDiagInfo && len(v) >= ack+4 {
			return int64(max(u32of(v[data:]), u32of(v[ack:])))
		}
	}
	return 0
}
