package probe

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// StandIn answers in place of an application that does not: it takes TCP
// connections, and sends datagrams back. It is a socket of this process and
// nothing else: it is gone when the process is, however that ends.
type StandIn struct {
	// At is where it listens.
	At netip.AddrPort
	// Beside says that the wanted port was taken, and another one was chosen.
	Beside bool

	closer func() error
	done   sync.WaitGroup
}

// StandIn begins to answer in a namespace at a port of all its addresses of that
// family. When the port is taken there a free one is chosen.
func (p *Prober) StandIn(in *snap.Netns, proto snap.Proto, at netip.AddrPort) (*StandIn, error) {
	typ := unix.SOCK_STREAM
	switch proto {
	case snap.TCP:
	case snap.UDP:
		typ = unix.SOCK_DGRAM
	default:
		return nil, fmt.Errorf("a stand-in for %s: %w", proto, snap.ErrUnsupported)
	}
	s := &StandIn{At: at}
	f, err := p.standing(in, typ, at)
	if errors.Is(err, unix.EADDRINUSE) {
		s.Beside, s.At = true, netip.AddrPortFrom(at.Addr(), 0)
		f, err = p.standing(in, typ, s.At)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // package net has its own copy of it
	if typ == unix.SOCK_DGRAM {
		return s, s.echo(f)
	}
	return s, s.accept(f)
}

// standing opens the socket in the namespace.
func (p *Prober) standing(in *snap.Netns, typ int, at netip.AddrPort) (*os.File, error) {
	k, err := p.socket(in, family(at.Addr()), typ, 0, func(fd int) error {
		all := netip.IPv4Unspecified()
		if family(at.Addr()) == unix.AF_INET6 {
			all = netip.IPv6Unspecified()
		}
		if err := unix.Bind(fd, sockaddr(in, netip.AddrPortFrom(all, at.Port()))); err != nil {
			return fmt.Errorf("a stand-in at %s of %s: %w", at, in.ID, err)
		}
		if typ == unix.SOCK_STREAM {
			if err := unix.Listen(fd, 16); err != nil {
				return fmt.Errorf("a stand-in at %s of %s: %w", at, in.ID, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return k.f, nil
}

func (s *StandIn) accept(f *os.File) error {
	l, err := net.FileListener(f)
	if err != nil {
		return fmt.Errorf("a stand-in: %w", err)
	}
	s.closer = l.Close
	s.At = netip.AddrPortFrom(s.At.Addr(), l.Addr().(*net.TCPAddr).AddrPort().Port()) //nolint:forcetypeassert // of a TCP listener
	s.done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			_ = c.Close() // the handshake was all
		}
	})
	return nil
}

func (s *StandIn) echo(f *os.File) error {
	c, err := net.FilePacketConn(f)
	if err != nil {
		return fmt.Errorf("a stand-in: %w", err)
	}
	s.closer = c.Close
	s.At = netip.AddrPortFrom(s.At.Addr(), c.LocalAddr().(*net.UDPAddr).AddrPort().Port()) //nolint:forcetypeassert // of a UDP socket
	s.done.Go(func() {
		buf := make([]byte, 65535)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				if errors.Is(err, net.ErrClosed) {
					return
				}
				continue // an ICMP error about an answer
			}
			_, _ = c.WriteTo(buf[:n], from) // who asked may be gone
		}
	})
	return nil
}

// Where is its address; beside says that the wanted port was taken.
func (s *StandIn) Where() (at netip.AddrPort, beside bool) { return s.At, s.Beside }

// Close ends it.
func (s *StandIn) Close() error {
	err := s.closer()
	s.done.Wait()
	return err
}
