package probe

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// tokenLen is the length of the random mark in a payload.
const tokenLen = 16

// token is a payload that nobody else sends: a word, random bytes, padding up
// to size.
func token(size int) []byte {
	b := make([]byte, max(size, tokenLen))
	copy(b, "netdoctor ")
	_, _ = rand.Read(b[10:tokenLen]) // crypto/rand.Read never fails since Go 1.24
	return b
}

// UDP sends a payload and waits for any datagram from dst. "timeout" is no
// proof of a broken path: a listener may well keep silent.
func (p *Prober) UDP(ctx context.Context, from *snap.Netns, dst netip.AddrPort, o Options) snap.Probe {
	r := begin("udp", from, dst, o)
	payload := token(o.Size)
	var strange string
	var other netip.AddrPort
	r = p.datagrams(ctx, r, from, dst, o, time.Now().Add(p.timeout(o)), func(src netip.AddrPort, b []byte) bool {
		if src != plain(dst) {
			strange, other = "an answer came from "+src.String()+" instead", src
			return false
		}
		if !bytes.Contains(b, payload[:min(len(payload), tokenLen)]) {
			strange = "the answer does not hold what was sent"
		}
		return true
	}, func() []byte { return payload })
	if r.Detail == "" && r.Outcome != snap.Failed {
		r.Detail = strange
	}
	if r.Outcome == snap.TimedOut {
		r.Strange = other
	}
	return r
}

// datagrams sends what next gives, some times within the end, until accept
// takes an answer or an error is reported. The socket is not connected, so that
// answers from a wrong address are seen, too.
func (p *Prober) datagrams(ctx context.Context, r snap.Probe, from *snap.Netns, dst netip.AddrPort, o Options, end time.Time,
	accept func(src netip.AddrPort, b []byte) bool, next func() []byte,
) (out snap.Probe) {
	v6 := family(dst.Addr()) == unix.AF_INET6
	var on Follower
	defer func() { ended(on, &out) }()
	var routeErr error
	s, err := p.socket(from, family(dst.Addr()), unix.SOCK_DGRAM, 0, func(fd int) error {
		if err := common(fd, v6, o); err != nil {
			return err
		}
		var src netip.Addr
		if src, routeErr = sourceFor(from, dst, o); routeErr != nil {
			return nil
		}
		if routeErr = p.bind(fd, from, dst.Addr(), o); routeErr != nil {
			return nil
		}
		sa, err := unix.Getsockname(fd)
		if err != nil {
			return fmt.Errorf("reading the source port: %w", err)
		}
		r.Src = netip.AddrPortFrom(src, addrPort(sa).Port())
		on = p.follow(Identity{From: from, ID: r.Src.Port(), Dst: dst})
		return nil
	})
	if err != nil {
		return fail(r, err)
	}
	defer s.close()
	s.on = on
	if routeErr != nil {
		return sendErr(r, routeErr)
	}
	buf := make([]byte, 65535)
	start := time.Now() // an answer may be one to any of them: how long it took counts from the first
	for tries := o.tries(); tries > 0; tries-- {
		stop := s.until(ctx, slice(end, tries))
		if err := s.sendTo(next(), sockaddr(from, dst)); err != nil {
			stop()
			if e, ok := s.takeErr(); ok {
				return e.verdict(r)
			}
			return sendErr(r, err)
		}
		r.Sent++
		for {
			n, src, e, err := s.recv(buf)
			switch {
			case e != nil:
				if e.dst != plain(dst) {
					continue
				}
				stop()
				r.Got, r.RTTMs = 1, ms(time.Since(start))
				return e.verdict(r)
			case err == nil && accept(src, buf[:n]):
				stop()
				r.Got, r.RTTMs, r.Outcome = r.Got+1, ms(time.Since(start)), snap.Answered
				return r
			case err == nil:
				continue
			}
			stop()
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				return sendErr(r, err)
			}
			break
		}
		if ctx.Err() != nil || dead(on) {
			break
		}
	}
	return timedOut(ctx, r)
}

// slice gives the end of this try when so many are left until end.
func slice(end time.Time, tries int) time.Time {
	left := time.Until(end)
	return time.Now().Add(left / time.Duration(tries))
}

// sendTo sends one datagram.
func (s *sock) sendTo(b []byte, to unix.Sockaddr) error {
	var res error
	err := s.rc.Write(func(fd uintptr) bool {
		res = unix.Sendto(int(fd), b, unix.MSG_NOSIGNAL, to)
		return !errors.Is(res, unix.EAGAIN)
	})
	if err != nil {
		return err
	}
	return res
}

// recv waits for a datagram or for an entry of the error queue.
func (s *sock) recv(buf []byte) (n int, from netip.AddrPort, e *extErr, err error) {
	var res error
	take := func(fd uintptr) bool {
		res = nil
		if x, ok := readErr(int(fd)); ok {
			e = &x
			return true
		}
		var sa unix.Sockaddr
		n, sa, res = unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT) // so never EINTR
		if errors.Is(res, unix.EAGAIN) {
			return false
		}
		if res == nil {
			from = addrPort(sa)
		} else if x, ok := readErr(int(fd)); ok {
			e, res = &x, nil // it came between the two calls
		}
		return true
	}
	err = s.rc.Read(take)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		// On a machine that is too busy the answer may have come in time, and the
		// deadline be noticed first.
		_ = s.rc.Control(func(fd uintptr) { // the socket is open
			if take(fd) {
				err = nil
			}
		})
	}
	if err == nil {
		err = res
	}
	return n, from, e, err
}
