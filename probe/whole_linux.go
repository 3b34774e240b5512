package probe

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// wholeWait is how long each of the three questions of a Whole waits: it goes to a
// neighbour.
const wholeWait = 300 * time.Millisecond

// Whole asks a neighbour whether a packet larger than this host's own device takes
// reaches the host: what servers send that were asked for more (the MSS of others
// than the host). The host's echo goes in pieces that fit; who puts them together
// answers with one packet of Options.Size bytes of payload, unless its own device is
// as narrow. IPv4 alone, as IPv6's devices take the same size on one link (RFC 4861,
// section 6.2.1).
//
// "answered": it came, whole or in pieces. "timeout": it did not, while an answer
// that just fits came, and so did one to a small echo in two pieces: neither size
// nor pieces are the neighbour's limit. Anything else is "error", as it proves nothing.
func (p *Prober) Whole(ctx context.Context, from *snap.Netns, dst netip.Addr, o Options) snap.Probe {
	r := begin("whole", from, netip.AddrPortFrom(dst, 0), o)
	if from == nil {
		return fail(r, fmt.Errorf("namespace to ask from: %w", snap.ErrNotFound))
	}
	l, _ := device(from, dst, o)
	header := echoHeaders(dst)
	if l == nil || !dst.Unmap().Is4() || l.MTU <= header+smallEcho || o.Size+header <= l.MTU {
		return fail(r, fmt.Errorf("an answer too large for the device to %s: %w", dst, snap.ErrUnsupported))
	}
	ask := Question{Kind: "icmp", From: from, Dst: r.Dst, Options: Options{Device: o.Device, Tries: 2, Timeout: wholeWait}}
	fits, pieces := ask, ask
	fits.Size, fits.DF = l.MTU-header, true
	pieces.Size, pieces.Pieces = smallEcho, true
	for i, c := range p.Run(ctx, []Question{fits, pieces}) {
		if c.Outcome != snap.Answered {
			return fail(r, fmt.Errorf("%s: %s", [2]string{"an echo that fits", "a small echo in two pieces"}[i], c.Outcome))
		}
	}
	const tries = 3
	ask.Size, ask.Tries, ask.Timeout = o.Size, tries, tries*wholeWait
	c := p.ask(ctx, ask)
	c.Kind = r.Kind
	return c
}

// smallEcho is the payload of the echo in two pieces: small enough for every device.
const smallEcho = 256

// piecewise opens a socket by which packets are sent as they are, so that the kernel's
// own defragmentation leaves pieces alone (net/ipv4/netfilter/nf_defrag_ipv4.c).
func (p *Prober) piecewise(from *snap.Netns, o Options) (*sock, error) {
	return p.socket(from, unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW, func(fd int) error {
		if err := common(fd, false, o); err != nil {
			return err
		}
		const ipNodefrag = 22 // IP_NODEFRAG of linux/in.h
		if err := unix.SetsockoptInt(fd, unix.SOL_IP, ipNodefrag, 1); err != nil {
			return fmt.Errorf("setting IP_NODEFRAG: %w", err)
		}
		return nil
	})
}

// sendPieces sends an echo as two fragments (RFC 791, section 3.2).
func (s *sock) sendPieces(e echo, from *snap.Netns, src, dst netip.Addr) error {
	seg := e.packet()
	cut := len(seg) / 2 &^ 7
	for i, part := range [][]byte{seg[:cut], seg[cut:]} {
		b := packet(src, dst, protoICMP, part)
		binary.BigEndian.PutUint16(b[4:], e.id^e.seq|1) // one for both
		at := uint16(cut/8) * uint16(i)                 // an echo is smaller than 64 KiB
		if i == 0 {
			at = 0x2000 // more fragments
		}
		binary.BigEndian.PutUint16(b[6:], at)
		if err := s.sendTo(b, sockaddr(from, netip.AddrPortFrom(dst, 0))); err != nil {
			return err
		}
	}
	return nil
}
