package probe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// burstSettle is how long a burst is left alone before it is over: packets on
// one host are where they end within a millisecond.
const burstSettle = 15 * time.Millisecond

// Burst sends n first packets of one flow, each as a connection of its own, so
// that conntrack and nat chains see each of them; answers are not waited for.
// What comes up is reset. It gives how many were really sent. One alone has the
// source port, or echo id, that the question gives; several have their own.
func (p *Prober) Burst(ctx context.Context, q Question, n int) (int, error) {
	if n > 1 {
		q.Sport = 0
	}
	var socks []*sock
	defer func() {
		for _, s := range socks {
			s.close()
		}
	}()
	sent := 0
	for range n {
		s, err := p.firstOf(q)
		if s != nil {
			socks = append(socks, s)
		}
		switch {
		case err == nil, errors.Is(err, unix.EPERM) && !errors.Is(err, snap.ErrPermission):
			sent++ // EPERM: its own firewall took the packet and dropped it
		default:
			return sent, err
		}
	}
	t := time.NewTimer(burstSettle)
	defer t.Stop()
	select {
	case <-t.C:
		return sent, nil
	case <-ctx.Done():
		return sent, ctx.Err()
	}
}

// firstOf is first, also for a packet that comes in.
func (p *Prober) firstOf(q Question) (*sock, error) {
	if !q.Arrives {
		return p.first(q)
	}
	port := q.Sport
	if port == 0 {
		port = uint16(FirstPort + p.id(Ports))
	}
	return nil, p.arrive(q, port, false)
}

// first sends the first packet of one connection, and gives its socket.
func (p *Prober) first(q Question) (*sock, error) {
	v6 := family(q.Dst.Addr()) == unix.AF_INET6
	typ, proto := unix.SOCK_DGRAM, 0
	switch q.Kind {
	case "tcp":
		typ = unix.SOCK_STREAM
	case "udp", "dns":
	case "icmp":
		typ, proto = unix.SOCK_RAW, unix.IPPROTO_ICMP
		if v6 {
			proto = unix.IPPROTO_ICMPV6
		}
	default:
		return nil, fmt.Errorf("burst of kind %q: %w", q.Kind, snap.ErrUnsupported)
	}
	return p.socket(q.From, family(q.Dst.Addr()), typ, proto, func(fd int) error {
		o := q.Options
		if typ == unix.SOCK_STREAM {
			o = Options{Device: o.Device, TTL: o.TTL, Src: o.Src, Sport: o.Sport}
			if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
				return fmt.Errorf("setting linger: %w", err)
			}
		}
		if err := common(fd, v6, o); err != nil {
			return err
		}
		if typ == unix.SOCK_RAW {
			e := echo{v6: v6, id: q.Sport, seq: 1, data: token(o.Size)}
			if e.id == 0 {
				e.id = uint16(p.id(1 << 16))
			}
			return unix.Sendto(fd, e.packet(), unix.MSG_NOSIGNAL, sockaddr(q.From, q.Dst))
		}
		if err := p.bind(fd, q.From, q.Dst.Addr(), o); err != nil {
			return err
		}
		if typ == unix.SOCK_STREAM {
			if err := unix.Connect(fd, sockaddr(q.From, q.Dst)); err != nil && !errors.Is(err, unix.EINPROGRESS) && !errors.Is(err, unix.ECONNREFUSED) {
				return err
			}
			return nil
		}
		return unix.Sendto(fd, token(o.Size), unix.MSG_NOSIGNAL, sockaddr(q.From, q.Dst))
	})
}
