package testenv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// udpIdle is how long a UDP client's place is kept (moby cmd/docker-proxy:
// UDPConnTrackTimeout).
const udpIdle = 90 * time.Second

// tellDestination has the kernel tell with each datagram which address it was
// sent to (ip(7): IP_PKTINFO, ipv6(7): IPV6_RECVPKTINFO).
func tellDestination(c *net.UDPConn, v6 bool) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var optErr error
	err = raw.Control(func(fd uintptr) {
		if v6 {
			optErr = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
			return
		}
		optErr = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	})
	if err = errors.Join(err, optErr); err != nil {
		return fmt.Errorf("destinations of datagrams: %w", err)
	}
	return nil
}

// answerFrom makes what a datagram told of its destination into the order to
// answer from there. Without it the kernel takes the address of the way back,
// which a client that asked another one does not listen to.
func answerFrom(oob []byte) []byte {
	list, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for _, m := range list {
		switch {
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= unix.SizeofInet4Pktinfo:
			return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: [4]byte(m.Data[4:8])})
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= unix.SizeofInet6Pktinfo:
			return unix.PktInfo6(&unix.Inet6Pktinfo{Addr: [16]byte(m.Data[:16])})
		}
	}
	return nil
}

// client is who sent a datagram, and which of the host's addresses to.
type client struct {
	from netip.AddrPort
	to   string // the order to answer from there
}

// relay hands datagrams on, with a socket of its own for each client.
func relay(ctx context.Context, pc *net.UDPConn, to netip.AddrPort) {
	var mu sync.Mutex
	clients := map[client]net.Conn{}
	buf, oob := make([]byte, 65535), make([]byte, 128)
	for {
		n, nOOB, _, from, err := pc.ReadMsgUDPAddrPort(buf, oob)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			continue // an ICMP error of an earlier answer
		}
		who := client{from, string(answerFrom(oob[:nOOB]))}
		mu.Lock()
		c := clients[who]
		if c == nil && len(clients) < 4096 {
			d := net.Dialer{} //nolint:forbidigo // dials an address
			if c, err = d.DialContext(ctx, "udp", to.String()); err == nil {
				clients[who] = c
				go func() {
					back(ctx, pc, c, who)
					mu.Lock()
					delete(clients, who)
					mu.Unlock()
				}()
			}
		}
		mu.Unlock()
		if c != nil {
			_, _ = c.Write(buf[:n]) // datagrams may get lost
		}
	}
}

func back(ctx context.Context, pc *net.UDPConn, c net.Conn, who client) {
	defer c.Close() //nolint:errcheck // nothing is under way
	buf := make([]byte, 65535)
	for ctx.Err() == nil {
		_ = c.SetReadDeadline(time.Now().Add(udpIdle))
		n, err := c.Read(buf)
		if err != nil {
			if errors.Is(err, unix.ECONNREFUSED) {
				continue
			}
			return
		}
		_, _, _ = pc.WriteMsgUDPAddrPort(buf[:n], []byte(who.to), who.from) // datagrams may get lost
	}
}
