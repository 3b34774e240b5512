package probe

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Router asks a name server by a neighbour that no route leads to: whoever hands
// the question on and has the answer come back is a router. Options.Via is the
// neighbour, of the subnet of one of the namespace's devices; IPv4 alone, as IPv6's
// routers tell of themselves.
//
// The question is a frame to the neighbour's own MAC, so that no route or rule of
// this host has a say in it, and none is made. "timeout" is a neighbour that is not
// there, or that lets nothing come back; "rejected" one that says by an ICMP
// redirect that somebody else is the router (RFC 792; By is who that is).
func (p *Prober) Router(ctx context.Context, from *snap.Netns, server netip.AddrPort, o Options) snap.Probe {
	r := begin("router", from, server, o)
	via, to := o.Via.Unmap(), server.Addr().Unmap()
	r.Via = via
	if from == nil {
		return fail(r, fmt.Errorf("namespace to ask from: %w", snap.ErrNotFound))
	}
	if !via.Is4() || !to.Is4() {
		return fail(r, fmt.Errorf("a router for %s by %s: %w", to, via, snap.ErrUnsupported))
	}
	end := time.Now().Add(p.timeout(o))
	there := p.ARP(ctx, from, via, Options{Device: o.Device, Tries: 1, Timeout: p.timeout(o) / 2})
	mac, err := parseMAC(there.MAC)
	if there.Outcome != snap.Answered || err != nil {
		r.Outcome, r.Errno, r.Detail = there.Outcome, there.Errno, "who has "+via.String()+": "+there.Outcome
		if there.Outcome == snap.Answered {
			r.Outcome, r.Detail = snap.Failed, "several have "+via.String()+": "+there.MAC
		}
		return r
	}
	r.MAC = there.MAC
	return p.askBy(ctx, r, from, mac, end, o)
}

// askBy asks the server r.Dst in a frame to mac, which is r.Via's, and waits for its answer or
// for a redirect, until end.
func (p *Prober) askBy(ctx context.Context, r snap.Probe, from *snap.Netns, mac [6]byte, end time.Time, o Options) snap.Probe {
	server, via, to, neighbour := r.Dst, r.Via, r.Dst.Addr().Unmap(), r.MAC
	q, err := query(Options{Name: ".", Type: "NS"})
	if err != nil {
		return fail(r, err)
	}
	question, err := q.Pack()
	if err != nil {
		return fail(r, fmt.Errorf("writing a question: %w", err))
	}
	l, src := device(from, via, o)
	port := o.Sport
	if port == 0 {
		port = uint16(FirstPort + rand.IntN(Ports)) //nolint:gosec // no secret
	}
	r.Src = netip.AddrPortFrom(src, port)
	// Somebody has to have the port, or the kernel calls the answer unreachable.
	mine, err := p.socket(from, unix.AF_INET, unix.SOCK_DGRAM, 0, func(fd int) error {
		return unix.Bind(fd, &unix.SockaddrInet4{Port: int(port), Addr: src.As4()})
	})
	if err != nil {
		return fail(r, err)
	}
	defer mine.close()
	s, err := p.socket(from, unix.AF_PACKET, unix.SOCK_DGRAM, int(htons(unix.ETH_P_IP)), func(fd int) error {
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_IP), Ifindex: l.Index})
	})
	if err != nil {
		return linkErr(r, err)
	}
	defer s.close()
	frameTo := &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_IP), Ifindex: l.Index, Halen: 6}
	copy(frameTo.Addr[:], mac[:])
	answered, other := false, netip.Addr{}
	r = s.whoHas(ctx, r, o, end, frameTo, packet(src, to, protoUDP, datagram(port, server.Port(), question)), func(b []byte) (string, bool) {
		if gw := redirected(b, via, to); gw.IsValid() {
			other = gw
			return "redirect", true
		}
		body := fromServer(b, server, r.Src)
		if body == nil {
			return "", false
		}
		_, bad := check(q, body)
		answered = answered || bad == ""
		return "answer", bad == ""
	})
	r.MAC = neighbour
	switch {
	case r.Outcome != snap.Answered:
	case other.IsValid():
		r.Outcome, r.By, r.ICMP, r.Detail = snap.Rejected, other, &snap.ICMPInfo{Type: icmpRedirect}, via.String()+" says that "+other.String()+" is the router"
	case !answered:
		r.Outcome = snap.TimedOut
	default:
		r.Got = 1
	}
	return r
}

const (
	protoICMP    = 1
	protoUDP     = 17
	icmpRedirect = 5 // RFC 792
)

// packet4 is what was read of an IPv4 packet.
type packet4 struct {
	proto    uint8
	src, dst netip.Addr
	body     []byte
}

// parse4 reads a packet; ok is false for one that is shorter than its header says.
func parse4(b []byte) (p packet4, ok bool) {
	if len(b) < 20 || b[0]>>4 != 4 {
		return p, false
	}
	n := int(b[0]&15) * 4
	if n < 20 || len(b) < n {
		return p, false
	}
	return packet4{b[9], netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20])), b[n:]}, true
}

// redirected is the router that a redirect of via about a packet to dst names;
// zero: it is none.
func redirected(b []byte, via, dst netip.Addr) netip.Addr {
	p, ok := parse4(b)
	if !ok || p.proto != protoICMP || p.src != via || len(p.body) < 8 || p.body[0] != icmpRedirect {
		return netip.Addr{}
	}
	if about, ok := parse4(p.body[8:]); !ok || about.dst != dst {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte(p.body[4:8]))
}

// fromServer is what a datagram of the server to us holds; nil: it is none.
func fromServer(b []byte, server, us netip.AddrPort) []byte {
	p, ok := parse4(b)
	if !ok || p.proto != protoUDP || p.src != server.Addr().Unmap() || p.dst != us.Addr() || len(p.body) < 8 ||
		binary.BigEndian.Uint16(p.body) != server.Port() || binary.BigEndian.Uint16(p.body[2:]) != us.Port() {
		return nil
	}
	return p.body[8:]
}
