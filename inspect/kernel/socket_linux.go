package kernel

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Numbers of linux/inet_diag.h and net/tcp_states.h.
const (
	sizeofInetDiagReq = 56 // struct inet_diag_req_v2
	sizeofInetDiagMsg = 72 // struct inet_diag_msg
	inetDiagSKMemInfo = 7  // INET_DIAG_SKMEMINFO: u32s, SK_MEMINFO_RMEM_ALLOC and SK_MEMINFO_RCVBUF first
	inetDiagSKV6Only  = 11
	inetDiagCgroupID  = 21
	tcpEstablished    = 1
	tcpSynSent        = 2
	tcpTimeWait       = 6
	tcpClose          = 7
	tcpListen         = 10
	tcpClosing        = 11
	// topEstab is how many destinations of connections are kept.
	topEstab = 32
	// udpFull is how little room is no room in a UDP socket: the kernel's own cost of a
	// small datagram, and then some (net/ipv4/udp.c: __udp_enqueue_schedule_skb).
	udpFull = 4096
	// maxTrying is how many that wait for a connection are kept.
	maxTrying = 64
)

// connectedStates are those in which a socket holds a local port towards a
// destination.
const connectedStates = 1<<tcpEstablished | 1<<tcpSynSent | 1<<4 | 1<<5 | 1<<tcpTimeWait | 1<<8 | 1<<9 | 1<<tcpClosing

// sockets are those of a namespace; see snap.Netns.
type sockets struct {
	receive, trying []snap.Socket
	estab           []snap.SocketCount
}

// readSockets dumps the sockets that can receive and those that wait for a
// connection, and counts connections by destination. It must run on a thread inside: what /proc says is not there is
// not asked for, because each dump walks the hash table of the whole machine.
func (r *requester) readSockets(ctx context.Context) (all sockets, err error) {
	counts := map[netip.AddrPort]int{}
	use := readSockstat()
	queries := []struct {
		proto  snap.Proto
		states uint32
	}{
		{snap.TCP, 1<<tcpListen | connectedStates},
		{snap.UDP, 1<<tcpClose | 1<<tcpEstablished},
	}
	// Asking for SCTP would make the kernel load it.
	if _, err := os.Stat("/proc/thread-self/net/sctp"); err == nil {
		queries = append(queries, struct {
			proto  snap.Proto
			states uint32
		}{snap.SCTP, 1 << tcpListen})
	}
	for _, q := range queries {
		for _, af := range []uint8{unix.AF_INET, unix.AF_INET6} {
			if use.none(q.proto, af) {
				continue
			}
			var part, trying []snap.Socket
			seen := map[netip.AddrPort]int{}
			req := body(sizeofInetDiagReq, af)
			req[1] = q.proto.Number()
			if q.proto == snap.UDP {
				req[2] = 1 << (inetDiagSKMemInfo - 1)
			}
			binary.NativeEndian.PutUint32(req[4:], q.states)
			err := r.dump(ctx, string(q.proto)+" sockets", unix.SOCK_DIAG_BY_FAMILY, req, func() { part, trying = nil, nil; clear(seen) }, func(m message) {
				s, state, ok := decodeSocket(m.data, q.proto)
				switch {
				case !ok:
				case q.proto == snap.TCP && state != tcpListen:
					seen[s.Remote]++
					if state == tcpSynSent && s.Repeats > 0 {
						trying = append(trying, s)
					}
				default:
					part = append(part, s)
				}
			})
			if errors.Is(err, snap.ErrNotFound) {
				// The protocol's diag module is not there. For a family that the
				// kernel lacks there is nothing to see.
				if af == unix.AF_INET6 {
					continue
				}
				return all, snap.Hint(err, "modprobe "+string(q.proto)+"_diag")
			}
			if err != nil {
				return all, err
			}
			all.receive, all.trying = append(all.receive, part...), append(all.trying, trying...)
			for k, n := range seen {
				counts[k] += n
			}
		}
	}
	if err := r.stillFull(ctx, all.receive); err != nil {
		return all, err
	}
	snap.Sort(all.receive, compareSockets)
	snap.Sort(all.trying, compareSockets)
	all.trying = all.trying[:min(len(all.trying), maxTrying)]
	all.estab = topCounts(counts)
	return all, nil
}

// stillFull looks a second time at the UDP sockets that were full, a moment later, and
// keeps that of those alone that are so again: a burst is read by then.
func (r *requester) stillFull(ctx context.Context, list []snap.Socket) error {
	again := map[uint64]bool{} // by inode
	for _, af := range []uint8{unix.AF_INET, unix.AF_INET6} {
		family, _ := ipFamily(af)
		if !slices.ContainsFunc(list, func(s snap.Socket) bool { return s.Family == family && s.Proto == snap.UDP && s.Queue > 0 }) {
			continue
		}
		time.Sleep(50 * time.Millisecond)
		req := body(sizeofInetDiagReq, af)
		req[1], req[2] = unix.IPPROTO_UDP, 1<<(inetDiagSKMemInfo-1)
		binary.NativeEndian.PutUint32(req[4:], 1<<tcpClose|1<<tcpEstablished)
		err := r.dump(ctx, "full udp sockets", unix.SOCK_DIAG_BY_FAMILY, req, func() {}, func(m message) {
			s, _, ok := decodeSocket(m.data, snap.UDP)
			again[s.Inode] = again[s.Inode] || ok && s.Queue > 0
		})
		if err != nil {
			return err
		}
	}
	for i := range list {
		if s := &list[i]; s.Proto == snap.UDP && !again[s.Inode] {
			s.Queue, s.Backlog = 0, 0
		}
	}
	return nil
}

// decodeSocket decodes one struct inet_diag_msg with its attributes
// (net/ipv4/inet_diag.c:inet_sk_diag_fill).
func decodeSocket(b []byte, proto snap.Proto) (s snap.Socket, state uint8, ok bool) {
	if len(b) < sizeofInetDiagMsg {
		return s, 0, false
	}
	fam, ok := ipFamily(b[0])
	if !ok {
		return s, 0, false
	}
	state = b[1]
	n := 4
	if fam == snap.IPv6 {
		n = 16
	}
	// struct inet_diag_sockid at 4: ports (big-endian), addresses, device, cookie.
	s = snap.Socket{
		Proto: proto, Family: fam,
		Local:  netip.AddrPortFrom(ipOf(b[8:8+n]), be16of(b[4:])),
		Remote: netip.AddrPortFrom(ipOf(b[24:24+n]), be16of(b[6:])),
		Device: intOf(b[40:]),
		UID:    u32of(b[64:]),
		Inode:  uint64(u32of(b[68:])),
	}
	if state == tcpSynSent {
		s.Repeats = int(b[3]) // idiag_retrans
	}
	if state == tcpListen {
		s.Queue, s.Backlog = intOf(b[56:]), intOf(b[60:])
	}
	if s.Remote.Port() == 0 && s.Remote.Addr().IsUnspecified() {
		s.Remote = netip.AddrPort{}
	}
	for t, v := range rtattrs(b[sizeofInetDiagMsg:]) {
		switch t {
		case inetDiagSKV6Only:
			s.V6Only = flagOf(v)
		case inetDiagSKMemInfo:
			if len(v) < 8 || proto != snap.UDP {
				break
			}
			if q, room := int(u32of(v)), int(u32of(v[4:])); q > max(room-udpFull, udpFull) {
				s.Queue, s.Backlog = q, room
			}
		case inetDiagCgroupID: // from Linux 5.7 on
			s.Cgroup = u64of(v)
		}
	}
	return s, state, true
}

func compareSockets(a, b snap.Socket) int {
	return cmp.Or(
		cmp.Compare(a.Proto, b.Proto),
		cmp.Compare(a.Local.Port(), b.Local.Port()),
		a.Local.Addr().Compare(b.Local.Addr()),
		a.Remote.Compare(b.Remote),
		cmp.Compare(a.Inode, b.Inode),
	)
}

// topCounts are the destinations with most connections, the largest first.
func topCounts(m map[netip.AddrPort]int) []snap.SocketCount {
	var out []snap.SocketCount
	for k, n := range m {
		out = append(out, snap.SocketCount{Remote: k, Count: n})
	}
	snap.Sort(out, func(a, b snap.SocketCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), a.Remote.Compare(b.Remote))
	})
	return out[:min(len(out), topEstab)]
}
