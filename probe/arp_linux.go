package probe

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// settle is how long ARP goes on listening after the first answer, for a second
// holder of the address: neighbours on one host answer within microseconds, on
// a LAN within a few milliseconds.
const settle = 150 * time.Millisecond

// ARP asks the link who has an address: by ARP, or for IPv6 by neighbour
// solicitation (nd_linux.go). Got counts the distinct holders, MAC lists them.
// The device is Options.Device, else the one whose subnet holds dst.
func (p *Prober) ARP(ctx context.Context, from *snap.Netns, dst netip.Addr, o Options) snap.Probe {
	dst = dst.Unmap()
	r := begin("arp", from, netip.AddrPortFrom(dst, 0), o)
	if from == nil {
		return fail(r, fmt.Errorf("namespace to ask from: %w", snap.ErrNotFound))
	}
	l, src := device(from, dst, o)
	switch {
	case l == nil:
		r.Outcome, r.Detail = snap.Unroutable, "no device of the namespace has "+dst.String()+" on its link"
		return r
	case l.MAC == "" || l.NoARP:
		r.Outcome, r.Detail = snap.Unroutable, l.Name+" does not resolve neighbours"
		return r
	}
	mac, err := parseMAC(l.MAC)
	if err != nil {
		return fail(r, err)
	}
	r.Src = netip.AddrPortFrom(src, 0)
	if dst.Is6() {
		return p.solicit(ctx, r, from, l, mac, src, o)
	}
	to := &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ARP), Ifindex: l.Index, Halen: 6, Addr: [8]byte{255, 255, 255, 255, 255, 255}}
	s, err := p.socket(from, unix.AF_PACKET, unix.SOCK_DGRAM, int(htons(unix.ETH_P_ARP)), func(fd int) error {
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ARP), Ifindex: l.Index})
	})
	if err != nil {
		return linkErr(r, err)
	}
	defer s.close()
	return s.whoHas(ctx, r, o, time.Now().Add(p.timeout(o)), to, arpRequest(mac, src, dst), func(b []byte) (string, bool) {
		return arpAnswer(b, mac, dst)
	})
}

// whoHas sends a question to the link until somebody answers, then waits for
// others. answer gives the MAC address that a packet claims.
func (s *sock) whoHas(ctx context.Context, r snap.Probe, o Options, end time.Time, to unix.Sockaddr, question []byte,
	answer func([]byte) (string, bool),
) snap.Probe {
	var macs []string
	buf := make([]byte, 2048)
	for tries := o.tries(); tries > 0 && len(macs) == 0; tries-- {
		stop := s.until(ctx, slice(end, tries))
		start := time.Now()
		if err := s.sendTo(question, to); err != nil {
			stop()
			return linkErr(r, err)
		}
		r.Sent++
		for {
			n, _, _, err := s.recv(buf)
			if err != nil {
				stop()
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					return linkErr(r, err)
				}
				break
			}
			mac, ok := answer(buf[:n])
			if !ok || slices.Contains(macs, mac) {
				continue
			}
			macs = append(macs, mac)
			if len(macs) == 1 {
				r.RTTMs = ms(time.Since(start))
				stop()
				if o.First {
					break
				}
				stop = s.until(ctx, earlier(end, time.Now().Add(settle)))
			}
		}
		if ctx.Err() != nil {
			break
		}
	}
	if len(macs) == 0 {
		return timedOut(ctx, r)
	}
	slices.Sort(macs)
	r.Outcome, r.Got, r.MAC = snap.Answered, len(macs), strings.Join(macs, ",")
	return r
}

// linkErr judges an error of a packet socket: a device that is down or gone
// does not send.
func linkErr(r snap.Probe, err error) snap.Probe {
	if errors.Is(err, unix.ENETDOWN) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENETUNREACH) ||
		errors.Is(err, unix.EADDRNOTAVAIL) {
		r.Outcome, r.Errno, r.Detail = snap.Unroutable, errnoName(err), "its device does not send it: "+err.Error()
		return r
	}
	return fail(r, err)
}

// device is the one to ask on and the address to ask with.
func device(n *snap.Netns, dst netip.Addr, o Options) (*snap.Link, netip.Addr) {
	var best *snap.Addr
	for i := range n.Addrs {
		a := &n.Addrs[i]
		l := n.LinkAt(a.Index)
		if l == nil || l.Loopback || o.Device != "" && l.Name != o.Device || a.Prefix.Addr().Is4() != dst.Is4() {
			continue
		}
		in := a.Prefix.Contains(dst.WithZone(""))
		if z := dst.Zone(); z != "" && z != l.Name && z != fmt.Sprint(l.Index) {
			in = false
		}
		if !in && o.Device == "" {
			continue
		}
		if best == nil || in && (!best.Prefix.Contains(dst.WithZone("")) || a.Prefix.Bits() > best.Prefix.Bits()) {
			best = a
		}
	}
	src := netip.IPv4Unspecified() // as in an address probe, RFC 5227
	if dst.Is6() {
		src = netip.IPv6Unspecified()
	}
	if best != nil {
		src = best.Prefix.Addr()
	}
	if o.Src.IsValid() {
		src = o.Src
	}
	if o.Device != "" {
		return n.Link(o.Device), src
	}
	if best == nil {
		return nil, src
	}
	return n.LinkAt(best.Index), src
}

// arpRequest is an Ethernet ARP request without its frame header (RFC 826).
func arpRequest(mac [6]byte, src, dst netip.Addr) []byte {
	b := []byte{0, 1, 8, 0, 6, 4, 0, 1}
	b = append(b, mac[:]...)
	b = append(b, src.AsSlice()...)
	b = append(b, make([]byte, 6)...)
	return append(b, dst.AsSlice()...)
}

// arpAnswer gives the MAC of whoever claims dst, in a reply or in a request of
// its own; our own request is no claim.
func arpAnswer(b []byte, own [6]byte, dst netip.Addr) (string, bool) {
	if len(b) < 28 || !bytes.Equal(b[:6], []byte{0, 1, 8, 0, 6, 4}) {
		return "", false
	}
	op := binary.BigEndian.Uint16(b[6:])
	if op != 1 && op != 2 || !bytes.Equal(b[14:18], dst.AsSlice()) || [6]byte(b[8:14]) == own {
		return "", false
	}
	return net.HardwareAddr(b[8:14]).String(), true
}

func parseMAC(s string) (m [6]byte, err error) {
	n, err := fmt.Sscanf(s, "%02x:%02x:%02x:%02x:%02x:%02x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5])
	if err != nil || n != 6 || len(s) != 17 {
		return m, fmt.Errorf("hardware address %q: %w", s, snap.ErrUnsupported)
	}
	return m, nil
}

func htons(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
