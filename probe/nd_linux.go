package probe

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Neighbour discovery (RFC 4861): solicitation 135, advertisement 136.
const ndSolicit, ndAdvert = 135, 136

// solicit asks for an IPv6 neighbour by its solicited-node multicast address
// (RFC 4291, section 2.7.1).
func (p *Prober) solicit(ctx context.Context, r snap.Probe, from *snap.Netns, l *snap.Link, mac [6]byte, src netip.Addr, o Options) snap.Probe {
	dst := r.Dst.Addr().WithZone("")
	group := netip.MustParseAddr("ff02::1:ff00:0").As16()
	d := dst.As16()
	copy(group[13:], d[13:])
	s, err := p.socket(from, unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6, func(fd int) error {
		if err := unix.BindToDevice(fd, l.Name); err != nil {
			return fmt.Errorf("binding to device %s: %w", l.Name, err)
		}
		for _, opt := range []struct{ name, value int }{
			{unix.IPV6_MULTICAST_HOPS, 255}, {unix.IPV6_UNICAST_HOPS, 255}, // RFC 4861: anything less is thrown away
			{unix.IPV6_MULTICAST_IF, l.Index}, {unix.IPV6_MULTICAST_LOOP, 0},
		} {
			if err := unix.SetsockoptInt(fd, unix.SOL_IPV6, opt.name, opt.value); err != nil {
				return fmt.Errorf("setting socket option %d: %w", opt.name, err)
			}
		}
		if err := icmp6Filter(fd, ndAdvert); err != nil {
			return err
		}
		if src.IsUnspecified() {
			return nil
		}
		return unix.Bind(fd, &unix.SockaddrInet6{Addr: src.As16(), ZoneId: uint32(l.Index)})
	})
	if err != nil {
		return linkErr(r, err)
	}
	defer s.close()
	to := &unix.SockaddrInet6{Addr: group, ZoneId: uint32(l.Index)}
	return s.whoHas(ctx, r, o, time.Now().Add(p.timeout(o)), to, ndRequest(dst, mac), func(b []byte) (string, bool) {
		return ndAnswer(b, dst)
	})
}

// ndRequest is a neighbour solicitation with our own link-layer address.
func ndRequest(dst netip.Addr, mac [6]byte) []byte {
	b := []byte{ndSolicit, 0, 0, 0, 0, 0, 0, 0}
	b = append(b, dst.AsSlice()...)
	return append(append(b, 1, 1), mac[:]...)
}

// ndAnswer gives the target link-layer address of an advertisement for dst.
func ndAnswer(b []byte, dst netip.Addr) (string, bool) {
	if len(b) < 24 || b[0] != ndAdvert || netip.AddrFrom16([16]byte(b[8:24])) != dst {
		return "", false
	}
	for opts := b[24:]; len(opts) >= 8; {
		n := int(opts[1]) * 8
		if n == 0 || n > len(opts) {
			break
		}
		if opts[0] == 2 && n == 8 {
			return net.HardwareAddr(opts[2:8]).String(), true
		}
		opts = opts[n:]
	}
	return "", false
}
