package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TCP tries to connect, once, and resets the connection if it comes up.
// "refused" is a reset, which only claims to be the destination's; any ICMP
// error is "rejected", with its sender in By.
func (p *Prober) TCP(ctx context.Context, from *snap.Netns, dst netip.AddrPort, o Options) snap.Probe {
	end := time.Now().Add(p.timeout(o))
	r, s := p.dial(ctx, begin("tcp", from, dst, o), from, dst, o, end)
	if s == nil {
		return r
	}
	defer s.close()
	if o.Size > 0 {
		r = p.carries(ctx, s, r, from, dst, o.Size, end)
	}
	return r
}

// carries has the connection carry that many bytes. What was seen of the
// connection's set-up is of no use when they don't arrive; what became of them is.
func (p *Prober) carries(ctx context.Context, s *sock, r snap.Probe, from *snap.Netns, dst netip.AddrPort, size int, end time.Time) snap.Probe {
	on := p.follow(Identity{From: from, ID: r.Src.Port(), Dst: dst})
	r = s.carries(ctx, r, size, end)
	if on != nil {
		seen := r
		if on.End(&seen); r.Outcome != snap.Answered {
			r.Watched, r.Seen, r.Died = seen.Watched, seen.Seen, seen.Died
		}
	}
	return r
}

// ackPoll is how often it is looked whether what was sent is acknowledged: there
// is no event for it.
const ackPoll = 2 * time.Millisecond

// carries sends that many bytes and waits until all are acknowledged, which the
// other end's kernel does whatever its application makes of them.
func (s *sock) carries(ctx context.Context, r snap.Probe, size int, end time.Time) snap.Probe {
	defer s.until(ctx, end)()
	if _, err := s.f.Write(token(size)[:size]); err != nil {
		r.Got = 0
		return sendErr(r, err)
	}
	r.Sent++
	t := time.NewTicker(ackPoll)
	defer t.Stop()
	for time.Now().Before(end) && ctx.Err() == nil {
		var left int
		var err error
		_ = s.rc.Control(func(fd uintptr) { left, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }) // the socket is open
		if err != nil {
			return fail(r, fmt.Errorf("asking for what is not acknowledged: %w", err))
		}
		if left == 0 {
			r.Got++
			return r
		}
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	r.Got = 1
	r = timedOut(ctx, r)
	r.Detail = fmt.Sprintf("it connected, but %d bytes were never acknowledged", size)
	return r
}

// dial connects and gives the open socket when the outcome is "answered".
func (p *Prober) dial(ctx context.Context, r snap.Probe, from *snap.Netns, dst netip.AddrPort, o Options, end time.Time) (out snap.Probe, _ *sock) {
	var connErr error
	var on Follower
	defer func() { ended(on, &out) }()
	v6 := family(dst.Addr()) == unix.AF_INET6
	start := time.Now()
	s, err := p.socket(from, family(dst.Addr()), unix.SOCK_STREAM, 0, func(fd int) error {
		if err := common(fd, v6, Options{Device: o.Device, TTL: o.TTL}); err != nil {
			return err
		}
		// Closing then sends a reset instead of lingering in FIN_WAIT.
		if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
			return fmt.Errorf("setting linger: %w", err)
		}
		if err := p.bind(fd, from, dst.Addr(), o); err != nil {
			connErr = err
			return nil
		}
		if sa, err := unix.Getsockname(fd); err == nil {
			on = p.follow(Identity{From: from, ID: addrPort(sa).Port(), Dst: dst})
		}
		connErr = unix.Connect(fd, sockaddr(from, dst))
		return nil
	})
	if err != nil {
		return fail(r, err), nil
	}
	defer func() {
		if r.Outcome != snap.Answered {
			s.close()
		}
	}()
	r.Sent, s.on = 1, on
	_ = s.rc.Control(func(fd uintptr) { // the socket is open
		if sa, err := unix.Getsockname(int(fd)); err == nil {
			r.Src = addrPort(sa)
		}
	})
	if errors.Is(connErr, unix.EINPROGRESS) {
		defer s.until(ctx, end)()
		connErr = s.connected()
	}
	r.RTTMs = ms(time.Since(start))
	_ = s.rc.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.SOL_TCP, unix.TCP_INFO); err == nil {
			r.Sent += int(info.Total_retrans)
		}
	})
	switch {
	case connErr == nil:
		r.Outcome, r.Got = snap.Answered, 1
		s.on = nil // it has ended with the connection's set-up, and must not end what is said on it
		return r, s
	case errors.Is(connErr, os.ErrDeadlineExceeded):
		return timedOut(ctx, r), nil
	}
	if e, ok := s.takeErr(); ok {
		r = e.verdict(r)
		r.Got = 1
		return r, nil
	}
	if errors.Is(connErr, unix.ECONNREFUSED) || errors.Is(connErr, unix.ECONNRESET) {
		r.Outcome, r.Errno, r.Got = snap.Refused, errnoName(connErr), 1
		return r, nil
	}
	if errors.Is(connErr, unix.ETIMEDOUT) {
		r.Outcome, r.Errno, r.RTTMs = snap.TimedOut, "ETIMEDOUT", 0
		return r, nil
	}
	r.RTTMs, r.Sent = 0, 0
	return sendErr(r, connErr), nil
}

// connected waits for a connection to come up or to fail.
func (s *sock) connected() error {
	var res error
	err := s.rc.Write(func(fd uintptr) bool {
		e, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		switch {
		case err != nil:
			res = err
			return true
		case e != 0:
			res = unix.Errno(e)
			return true
		}
		_, err = unix.Getpeername(int(fd))
		return err == nil
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		// On a machine that is too busy the answer may have come in time, and the
		// deadline be noticed first.
		_ = s.rc.Control(func(fd uintptr) { // the socket is open
			e, gerr := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
			_, perr := unix.Getpeername(int(fd))
			switch {
			case gerr == nil && e != 0:
				res, err = unix.Errno(e), nil
			case perr == nil:
				res, err = nil, nil
			}
		})
	}
	if err != nil {
		return err
	}
	return res
}

// takeErr takes one entry from the error queue without waiting.
func (s *sock) takeErr() (e extErr, ok bool) {
	_ = s.rc.Control(func(fd uintptr) { e, ok = readErr(int(fd)) }) // the socket is open
	return e, ok
}

// timedOut says that nothing came back, or that ctx ended first.
func timedOut(ctx context.Context, r snap.Probe) snap.Probe {
	r.RTTMs = 0
	if errors.Is(ctx.Err(), context.Canceled) {
		r.Outcome, r.Detail = snap.Failed, "cancelled before an answer came"
		return r
	}
	r.Outcome = snap.TimedOut
	return r
}

// ms is a duration in milliseconds with microseconds behind the point.
func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
