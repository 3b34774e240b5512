package probe

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ICMP types of RFC 792 and RFC 4443.
const (
	echoRequest, echoReply   = 8, 0
	echoRequest6, echoReply6 = 128, 129
	echoHeader               = 8 // type, code, checksum, id, sequence
)

// ICMP sends echo requests until one is answered. With DF it measures whether
// packets of that Size pass (see PMTU).
func (p *Prober) ICMP(ctx context.Context, from *snap.Netns, dst netip.Addr, o Options) (out snap.Probe) {
	r := begin("icmp", from, netip.AddrPortFrom(dst, 0), o)
	end := time.Now().Add(p.timeout(o))
	v6 := family(dst) == unix.AF_INET6
	proto := unix.IPPROTO_ICMP
	if v6 {
		proto = unix.IPPROTO_ICMPV6
	}
	var routeErr error
	var ttl uint8
	s, err := p.socket(from, family(dst), unix.SOCK_RAW, proto, func(fd int) error {
		if err := common(fd, v6, o); err != nil {
			return err
		}
		if err := echoFilter(fd, v6); err != nil {
			return err
		}
		if o.DF && !v6 {
			var err error
			if ttl, err = unlearned(fd); err != nil {
				return err
			}
		}
		var src netip.Addr
		if src, routeErr = sourceFor(from, r.Dst, o); routeErr != nil {
			return nil
		}
		r.Src = netip.AddrPortFrom(src, 0)
		if o.Src.IsValid() {
			routeErr = unix.Bind(fd, sockaddr(from, netip.AddrPortFrom(o.Src, 0)))
		}
		return nil
	})
	if err != nil {
		return fail(r, err)
	}
	defer s.close()
	if routeErr != nil {
		return sendErr(r, routeErr)
	}
	e := echo{v6: v6, id: uint16(p.id(1 << 16)), data: token(o.Size)}
	if ttl > 0 {
		e.from, e.to, e.ttl = r.Src.Addr(), plain(r.Dst).Addr(), ttl
	}
	send := func() (*extErr, error) { return s.sendEcho(e, sockaddr(from, r.Dst)) }
	if o.Pieces && !v6 {
		by, err := p.piecewise(from, o)
		if err != nil {
			return fail(r, err)
		}
		defer by.close()
		send = func() (*extErr, error) { return nil, by.sendPieces(e, from, r.Src.Addr(), plain(r.Dst).Addr()) }
	}
	s.on = p.follow(Identity{From: from, ICMP: true, ID: e.id, Dst: r.Dst})
	defer func() { ended(s.on, &out) }()
	buf := make([]byte, 65535)
	for tries := o.tries(); tries > 0; tries-- {
		e.seq++
		stop := s.until(ctx, slice(end, tries))
		start := time.Now()
		if x, err := send(); err != nil {
			stop()
			if x != nil {
				return x.verdict(r)
			}
			return sendErr(r, err)
		}
		r.Sent++
		done := s.awaitEcho(e, &r, start, buf)
		stop()
		if done {
			return r
		}
		if ctx.Err() != nil || dead(s.on) {
			break
		}
	}
	return timedOut(ctx, r)
}

// awaitEcho waits until the socket's deadline for what comes back of an echo, and says
// whether something did: then r is the answer.
func (s *sock) awaitEcho(e echo, r *snap.Probe, start time.Time, buf []byte) bool {
	for {
		n, src, x, err := s.recv(buf)
		switch {
		case x != nil && !e.quotedBy(x.quoted):
			continue // another raw socket's packet
		case x != nil:
			r.Got, r.RTTMs = 1, ms(time.Since(start))
			*r = x.verdict(*r)
			return true
		case err == nil && !e.answeredBy(buf[:n]):
			continue
		case err == nil && src.Addr() != plain(r.Dst).Addr():
			r.Detail = "an answer came from " + src.Addr().String() + " instead"
			continue
		case err == nil:
			r.Got, r.RTTMs, r.Outcome = r.Got+1, ms(time.Since(start)), snap.Answered
			return true
		case !errors.Is(err, os.ErrDeadlineExceeded):
			*r = sendErr(*r, err)
			return true
		}
		return false
	}
}

// maxStrangers is how many errors about others' packets are passed over.
const maxStrangers = 64

// sendEcho sends one of the series, and gives the error with what the kernel says of
// it, nil when that is nothing. An ICMP error goes to every raw socket that the packet
// it quotes might be of (net/ipv4/raw.c: raw_icmp_error), and stops the next thing
// that is sent there: what quotes another's is passed over, and the echo sent again.
func (s *sock) sendEcho(e echo, to unix.Sockaddr) (*extErr, error) {
	var err error
	for range maxStrangers {
		if err = s.sendTo(e.packet(), to); err == nil {
			return nil, nil
		}
		x, ok := s.takeErr()
		switch {
		case !ok || x.origin == unix.SO_EE_ORIGIN_NONE:
			return nil, err
		case x.origin == unix.SO_EE_ORIGIN_LOCAL || e.quotedBy(x.quoted):
			return &x, err
		}
	}
	return nil, err
}

// echoFilter lets echo replies in and nothing else. Errors come by the error queue.
func echoFilter(fd int, v6 bool) error {
	if v6 {
		return icmp6Filter(fd, echoReply6)
	}
	const icmpFilter = 1 // ICMP_FILTER of linux/icmp.h; a set bit blocks the type
	m := uint32(1<<echoReply) ^ 0xffffffff
	if err := unix.SetsockoptInt(fd, unix.SOL_RAW, icmpFilter, int(int32(m))); err != nil {
		return fmt.Errorf("setting the ICMP filter: %w", err)
	}
	return nil
}

// icmp6Filter lets one type in (RFC 3542, section 3.2; Linux blocks set bits).
func icmp6Filter(fd int, typ uint8) error {
	f := unix.ICMPv6Filter{}
	for i := range f.Data {
		f.Data[i] = 0xffffffff
	}
	f.Data[typ>>5] &^= 1 << (typ & 31)
	if err := unix.SetsockoptICMPv6Filter(fd, unix.SOL_ICMPV6, unix.ICMPV6_FILTER, &f); err != nil {
		return fmt.Errorf("setting the ICMPv6 filter: %w", err)
	}
	return nil
}

// echo is one series of echo requests.
type echo struct {
	v6      bool
	id, seq uint16
	data    []byte
	// The header's, where it is ours (unlearned); not valid where it is the kernel's.
	from, to netip.Addr
	ttl      uint8
}

// unlearned has a socket send packets with headers of our own, which have DF, and gives
// the TTL that the kernel would have set. What routers say of a path's MTU is then heard
// by the socket, and not learned by the kernel for everybody (net/ipv4/route.c:
// ipv4_sk_update_pmtu; ip_sk_accept_pmtu): for ten minutes connections there would be
// made for smaller packets, and the loss that is looked for not be there.
func unlearned(fd int) (ttl uint8, err error) {
	n, err := unix.GetsockoptInt(fd, unix.SOL_IP, unix.IP_TTL)
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_HDRINCL, 1)
	}
	if err == nil { // by which the kernel itself sets no DF
		err = unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_INTERFACE)
	}
	if err != nil {
		return 0, fmt.Errorf("preparing a socket for headers of our own: %w", err)
	}
	return uint8(n), nil
}

func (e echo) packet() []byte {
	b := make([]byte, echoHeader, echoHeader+len(e.data))
	b[0] = echoRequest
	if e.v6 {
		b[0] = echoRequest6 // its checksum is the kernel's (RFC 3542, section 3.1)
	}
	binary.BigEndian.PutUint16(b[4:], e.id)
	binary.BigEndian.PutUint16(b[6:], e.seq)
	b = append(b, e.data...)
	if !e.v6 {
		binary.BigEndian.PutUint16(b[2:], checksum(b))
	}
	if e.to.IsValid() {
		b = packet(e.from, e.to, protoICMP, b)
		b[8] = e.ttl // the header's checksum is the kernel's (raw(7))
	}
	return b
}

// answeredBy says whether a received packet answers one of the series. Raw
// IPv4 sockets get the IP header, too.
func (e echo) answeredBy(b []byte) bool {
	want := uint8(echoReply6)
	if !e.v6 {
		want = echoReply
		if len(b) < 20 || len(b) < int(b[0]&15)*4 {
			return false
		}
		b = b[int(b[0]&15)*4:]
	}
	return len(b) == echoHeader+len(e.data) && b[0] == want && binary.BigEndian.Uint16(b[4:]) == e.id &&
		bytes.Equal(b[echoHeader:], e.data)
}

// quotedBy says whether an error quotes one of the series: the ICMP header is
// all that an error need hold (RFC 792). Who writes headers gets the quoted one, too
// (net/ipv4/raw.c: raw_err).
func (e echo) quotedBy(b []byte) bool {
	if e.to.IsValid() {
		if len(b) < 20 || len(b) < int(b[0]&15)*4 {
			return false
		}
		b = b[int(b[0]&15)*4:]
	}
	want := uint8(echoRequest)
	if e.v6 {
		want = echoRequest6
	}
	return len(b) >= echoHeader && b[0] == want && binary.BigEndian.Uint16(b[4:]) == e.id
}

// checksum is the Internet checksum (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
