package witness

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/probe"
)

// Sockets watches by packet sockets, one for all devices of each namespace: where
// a packet was, not why it went no further. It is for kernels and users without
// tracepoints. It implements probe.Observer.
type Sockets struct {
	leaves map[device]bool

	mu      sync.Mutex
	list    []packetSocket
	follows map[key][]*follower
}

// peer is the namespace at the other end of a device.
func (t *Sockets) peer(netns, dev string) string {
	for _, p := range t.list {
		if p.netns.ID == netns {
			if l := p.netns.Link(dev); l != nil {
				return l.PeerNetns
			}
		}
	}
	return ""
}

type packetSocket struct {
	fd    int
	netns *snap.Netns
}

// maxSockets bounds the namespaces, and socketBytes is what each may hold back:
// some thousands of probes' packets.
const (
	maxSockets  = 512
	socketBytes = 1 << 20
)

// NewSockets opens them in the namespaces of this host that the snapshot has. The
// caller closes it.
func NewSockets(s *snap.Snapshot) (*Sockets, error) {
	t := &Sockets{leaves: leaving(s), follows: map[key][]*follower{}}
	var first error
	for i := range s.Netns {
		n := &s.Netns[i]
		if !n.Class.Ours() || n.Light || n.Path == "" || len(t.list) == maxSockets {
			continue
		}
		fd, err := openPacket(n)
		if err != nil {
			if first == nil && !errors.Is(err, snap.ErrNotFound) && !errors.Is(err, snap.ErrVanished) {
				first = fmt.Errorf("a packet socket in %s: %w", n.ID, judge(err))
			}
			continue
		}
		t.list = append(t.list, packetSocket{fd, n})
	}
	if len(t.list) == 0 || errors.Is(first, snap.ErrPermission) {
		_ = t.Close() // the error that matters is first
		return nil, first
	}
	return t, nil
}

func openPacket(n *snap.Netns) (fd int, err error) {
	h, err := ns.Open(n.Path)
	if err != nil {
		return -1, err
	}
	defer h.Close() //nolint:errcheck // the socket keeps the namespace
	if n.Inode != 0 && h.Inode() != n.Inode {
		return -1, snap.ErrVanished
	}
	err = h.Do(func() error {
		// No protocol yet: nothing is received before the filter is there.
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		f := probesOnly()
		err := errors.Join(
			unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}),
			unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL})}),
		)
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, socketBytes) // a smaller one may do
		if err != nil {
			_ = unix.Close(fd) // the error that matters is err
		}
		return err
	})
	return fd, err
}

// probesOnly lets pass what may belong to a probe: ICMP, and TCP and UDP with one
// of the probes' ports. A packet begins with its IP header.
func probesOnly() []unix.SockFilter {
	const (
		ldb, ldh, ldxMSH, ldhX  = 0x30, 0x28, 0xb1, 0x48
		jeq, jge, jgt, and, ret = 0x15, 0x35, 0x25, 0x54, 0x06
		last                    = probe.FirstPort + probe.Ports - 1
		all                     = 0x40000
	)
	return []unix.SockFilter{
		{Code: ldb, K: 0},
		{Code: and, K: 0xf0},
		{Code: jeq, K: 0x40, Jt: 0, Jf: 9}, // IPv6: at 12
		{Code: ldb, K: 9},
		{Code: jeq, K: unix.IPPROTO_ICMP, Jt: 15},
		{Code: ldxMSH, K: 0},
		{Code: ldhX, K: 0},
		{Code: jge, K: probe.FirstPort, Jf: 1},
		{Code: jgt, K: last, Jf: 11},
		{Code: ldhX, K: 2},
		{Code: jge, K: probe.FirstPort, Jf: 10},
		{Code: jgt, K: last, Jt: 9, Jf: 8},
		{Code: ldb, K: 6},
		{Code: jeq, K: unix.IPPROTO_ICMPV6, Jt: 6},
		{Code: ldh, K: 40},
		{Code: jge, K: probe.FirstPort, Jf: 1},
		{Code: jgt, K: last, Jf: 3},
		{Code: ldh, K: 42},
		{Code: jge, K: probe.FirstPort, Jf: 2},
		{Code: jgt, K: last, Jt: 1},
		{Code: ret, K: all},
		{Code: ret, K: 0},
	}
}

// Close ends it.
func (t *Sockets) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var err error
	for _, p := range t.list {
		err = errors.Join(err, unix.Close(p.fd))
	}
	t.list = nil
	return err
}

// Follow begins to look out for the packets of a probe.
func (t *Sockets) Follow(id probe.Identity) probe.Follower {
	f := newFollower(id, t.release, func(uint64) string { return "" })
	t.mu.Lock()
	defer t.mu.Unlock()
	t.follows[f.key] = append(t.follows[f.key], f)
	return f
}

// release reads what has come until now, and ends the look-out for a probe.
func (t *Sockets) release(f *follower) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.drain()
	f.mu.Lock()
	f.all = byWay(f.all, f.id.From.ID, t.peer)
	f.mu.Unlock()
	list := t.follows[f.key]
	if i := slices.Index(list, f); i >= 0 {
		t.follows[f.key] = slices.Delete(slices.Clone(list), i, i+1)
	}
	return all
}

// drain gives the packets of all sockets to those whom they concern; false when
// some were lost. t.mu is held.
func (t *Sockets) drain() (all bool) {
	all = true
	buf := make([]byte, 256)
	for _, p := range t.list {
		for {
			n, from, err := unix.Recvfrom(p.fd, buf, unix.MSG_TRUNC)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil {
				break // no more
			}
			t.packet(p.netns, buf[:min(n, len(buf))], from)
		}
		var st unix.TpacketStats
		all = !lost(p.fd, &st) && all
	}
	return all
}

// lost says whether a socket threw packets away since the last call.
func lost(fd int, st *unix.TpacketStats) bool {
	size := uint32(unsafe.Sizeof(*st))
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS, uintptr(unsafe.Pointer(st)), uintptr(unsafe.Pointer(&size)), 0)
	return e != 0 || st.Drops > 0
}

func (t *Sockets) packet(n *snap.Netns, b []byte, from unix.Sockaddr) {
	l, isLink := from.(*unix.SockaddrLinklayer)
	p, isPacket := parse(b)
	if !isLink || !isPacket {
		return
	}
	var s sighting
	q, back := p.of()
	to := t.follows[q]
	if len(to) == 0 {
		to, s.Answer = t.follows[back], true
	}
	s.Netns, s.What = n.ID, snap.SeenReceive
	if dev := n.LinkAt(l.Ifindex); dev != nil {
		s.Device = dev.Name
	}
	if l.Pkttype == unix.PACKET_OUTGOING {
		s.What, s.out = snap.SeenTransmit, t.leaves[device{n.ID, l.Ifindex}]
	}
	s.Src, s.Dst, s.TTL, s.RST, s.ICMP = p.src, p.dst, p.ttl, p.rst, p.err
	for _, f := range to {
		f.add(s)
	}
}
