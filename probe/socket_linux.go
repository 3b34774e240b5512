package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// sock is a non-blocking socket of some namespace, waited for by Go's poller.
type sock struct {
	f  *os.File
	rc syscall.RawConn
	v6 bool
	// on follows what is sent by it; nil: nobody does.
	on Follower
}

// errnoName is the symbolic name of the errno inside err, "" when there is none.
func errnoName(err error) string {
	var e unix.Errno
	if !errors.As(err, &e) || e == 0 {
		return ""
	}
	return unix.ErrnoName(e)
}

// socket opens a socket inside the namespace and prepares it there. An error
// of setup is handed through.
func (p *Prober) socket(n *snap.Netns, domain, typ, proto int, setup func(fd int) error) (*sock, error) {
	h, err := open(n)
	if err != nil {
		return nil, err
	}
	defer h.Close() //nolint:errcheck // the socket keeps the namespace
	fd := -1
	err = h.Do(func() error {
		var err error
		if fd, err = unix.Socket(domain, typ|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, proto); err != nil {
			if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
				return snap.Hint(snap.As(snap.ErrPermission, "opening a socket in "+n.ID, err), ns.NeedRoot("CAP_NET_RAW"))
			}
			return fmt.Errorf("opening a socket in %s: %w", n.ID, err)
		}
		return setup(fd)
	})
	if err != nil {
		if fd >= 0 {
			_ = unix.Close(fd) // the error that matters is err
		}
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "probe")
	rc, err := f.SyscallConn()
	if err != nil {
		_ = f.Close() // the error that matters is err
		return nil, fmt.Errorf("waiting for a socket: %w", err)
	}
	return &sock{f: f, rc: rc, v6: domain == unix.AF_INET6}, nil
}

func (s *sock) close() { _ = s.f.Close() } // nothing was buffered

// until ends all waiting on the socket at that time, when ctx ends, or when the
// packet is known to have died. The returned function lets go of ctx.
func (s *sock) until(ctx context.Context, t time.Time) func() bool {
	if d, ok := ctx.Deadline(); ok && d.Before(t) {
		t = d
	}
	_ = s.f.SetDeadline(t) // it can't fail on an open socket
	over := func() { _ = s.f.SetDeadline(time.Unix(1, 0)) }
	stop := context.AfterFunc(ctx, over)
	if s.on == nil {
		return stop
	}
	stop2 := context.AfterFunc(s.on.Dead(), over)
	return func() bool { stop2(); return stop() }
}

// family is the address family of a destination.
func family(a netip.Addr) int {
	if a.Is4() || a.Is4In6() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// plain is an address as answers show it: without zone, IPv4 as itself.
func plain(ap netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}

// sockaddr is an address for the system calls; a zone is a device's name or
// number in the namespace.
func sockaddr(n *snap.Netns, ap netip.AddrPort) unix.Sockaddr {
	a := ap.Addr().Unmap()
	if a.Is4() {
		return &unix.SockaddrInet4{Port: int(ap.Port()), Addr: a.As4()}
	}
	sa := &unix.SockaddrInet6{Port: int(ap.Port()), Addr: a.As16()}
	if z := a.Zone(); z != "" {
		if i, err := strconv.ParseUint(z, 10, 32); err == nil {
			sa.ZoneId = uint32(i)
		} else if l := n.Link(z); l != nil {
			sa.ZoneId = uint32(l.Index)
		}
	}
	return sa
}

// addrPort is the other way; the zone is left out.
func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch s := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(s.Addr), uint16(s.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(s.Addr).Unmap(), uint16(s.Port))
	}
	return netip.AddrPort{}
}

// common sets what every IP probe may ask for: device, TTL, DF, and the report
// of ICMP errors (ip(7) IP_RECVERR).
func common(fd int, v6 bool, o Options) error {
	if o.Device != "" {
		if err := unix.BindToDevice(fd, o.Device); err != nil {
			return fmt.Errorf("binding to device %s: %w", o.Device, err)
		}
	}
	type opt struct{ level, name, value int }
	opts := []opt{{unix.SOL_IP, unix.IP_RECVERR, 1}}
	if v6 {
		opts = []opt{{unix.SOL_IPV6, unix.IPV6_RECVERR, 1}}
	}
	switch {
	case o.DF && v6:
		opts = append(opts, opt{unix.SOL_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE}, opt{unix.SOL_IPV6, unix.IPV6_DONTFRAG, 1})
	case o.DF:
		opts = append(opts, opt{unix.SOL_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE})
	}
	switch {
	case o.TTL != 0 && v6:
		opts = append(opts, opt{unix.SOL_IPV6, unix.IPV6_UNICAST_HOPS, int(o.TTL)})
	case o.TTL != 0:
		opts = append(opts, opt{unix.SOL_IP, unix.IP_TTL, int(o.TTL)})
	}
	for _, x := range opts {
		if err := unix.SetsockoptInt(fd, x.level, x.name, x.value); err != nil {
			return fmt.Errorf("setting socket option %d/%d: %w", x.level, x.name, err)
		}
	}
	return nil
}

// bind binds to the wanted source, or to a free port of our own range.
func (p *Prober) bind(fd int, n *snap.Netns, dst netip.Addr, o Options) error {
	src := o.Src
	if !src.IsValid() {
		src = netip.IPv4Unspecified()
		if family(dst) == unix.AF_INET6 {
			src = netip.IPv6Unspecified()
		}
	}
	if o.Sport != 0 {
		if err := unix.Bind(fd, sockaddr(n, netip.AddrPortFrom(src, o.Sport))); err != nil {
			return fmt.Errorf("binding to %s: %w", netip.AddrPortFrom(src, o.Sport), err)
		}
		return nil
	}
	var err error
	for range 16 { // 16 clashes in a row of 4500 ports do not happen by chance
		port := uint16(FirstPort + p.id(Ports))
		if err = unix.Bind(fd, sockaddr(n, netip.AddrPortFrom(src, port))); !errors.Is(err, unix.EADDRINUSE) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("binding to %s: %w", src, err)
	}
	return nil
}

// sourceFor asks the kernel, without sending, which source it would use; err
// is the errno with which it refuses (ENETUNREACH, EACCES for prohibit …).
func sourceFor(n *snap.Netns, dst netip.AddrPort, o Options) (netip.Addr, error) {
	fd, err := unix.Socket(family(dst.Addr()), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return netip.Addr{}, err
	}
	defer unix.Close(fd)
	if o.Device != "" {
		if err := unix.BindToDevice(fd, o.Device); err != nil {
			return netip.Addr{}, err
		}
	}
	if o.Src.IsValid() {
		if err := unix.Bind(fd, sockaddr(n, netip.AddrPortFrom(o.Src, 0))); err != nil {
			return netip.Addr{}, err
		}
	}
	if dst.Port() == 0 {
		dst = netip.AddrPortFrom(dst.Addr(), 9) // discard: only the route matters
	}
	if err := unix.Connect(fd, sockaddr(n, dst)); err != nil {
		return netip.Addr{}, err
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return netip.Addr{}, err
	}
	return addrPort(sa).Addr(), nil
}
