package kernel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// AskRoutes asks the kernel how it would route packets (RTM_GETROUTE), and which
// route decides (RTM_F_FIB_MATCH); answers are in the order of the questions. A
// refusal of the routing itself is an answer with Errno; an error means that the
// kernel could not be asked.
func AskRoutes(ctx context.Context, h *ns.Handle, qs []RouteQuery) ([]snap.RouteAnswer, error) {
	out := make([]snap.RouteAnswer, 0, len(qs))
	err := h.Do(func() error {
		r, err := dial(unix.NETLINK_ROUTE, nil)
		if err != nil {
			return err
		}
		defer r.close()
		for _, q := range qs {
			if ctx.Err() != nil {
				return fmt.Errorf("asking for routes: %w", snap.ErrTimeout)
			}
			a, err := r.askRoute(q)
			if err != nil {
				return err
			}
			out = append(out, a)
		}
		return nil
	})
	return out, err
}

func (r *requester) askRoute(q RouteQuery) (snap.RouteAnswer, error) {
	a := snap.RouteAnswer{
		Dst: q.Dst, Src: q.Src, Iif: q.Iif, Oif: q.Oif, Mark: q.Mark,
		IPProto: q.Proto.Number(), Sport: q.Sport, Dport: q.Dport,
	}
	m, err := r.ask(unix.RTM_GETROUTE, routeRequest(q, unix.RTM_F_LOOKUP_TABLE))
	var errno unix.Errno
	switch {
	case errors.As(err, &errno):
		if a.Errno = unix.ErrnoName(errno); a.Errno == "" {
			a.Errno = fmt.Sprintf("errno %d", int(errno))
		}
		return a, nil
	case err != nil:
		return a, NetlinkError("asking for a route", err)
	}
	rt, ok := decodeRtmsg(m.data)
	if !ok {
		return a, fmt.Errorf("asking for a route: answer not understood: %w", snap.ErrUnsupported)
	}
	a.Type, a.Table, a.OutIf, a.Gateway, a.PrefSrc, a.MTUBytes = rt.Type, rt.Table, rt.Oif, rt.Gateway, rt.PrefSrc, rt.MTU
	if rt.Via.IsValid() {
		a.Gateway = rt.Via
	}
	// The route itself, before the kernel cut it down to this destination. Since
	// Linux 4.13; without it Matched stays zero.
	if m, err := r.ask(unix.RTM_GETROUTE, routeRequest(q, unix.RTM_F_FIB_MATCH|unix.RTM_F_LOOKUP_TABLE)); err == nil {
		if rt, ok := decodeRtmsg(m.data); ok {
			a.Matched, a.Table = rt.Dst, rt.Table
		}
	}
	return a, nil
}

// routeRequest builds the message. rp_filter and martian checks happen only
// with Iif, and need Src (net/ipv4/route.c:inet_rtm_getroute).
func routeRequest(q RouteQuery, flags uint32) []byte {
	b := make([]byte, unix.SizeofRtMsg)
	addr := func(typ uint16, a netip.Addr) {
		if !a.IsValid() {
			return
		}
		b = put(b, typ, a.AsSlice())
	}
	b[0] = unix.AF_INET
	if q.Dst.Is6() {
		b[0] = unix.AF_INET6
	}
	b[1] = uint8(q.Dst.BitLen())
	if q.Src.IsValid() {
		b[2] = uint8(q.Src.BitLen())
	}
	binary.NativeEndian.PutUint32(b[8:], flags)
	addr(unix.RTA_DST, q.Dst)
	addr(unix.RTA_SRC, q.Src)
	if q.Iif != 0 {
		b = putU32(b, unix.RTA_IIF, uint32(q.Iif))
	}
	if q.Oif != 0 {
		b = putU32(b, unix.RTA_OIF, uint32(q.Oif))
	}
	if q.Mark != 0 {
		b = putU32(b, unix.RTA_MARK, q.Mark)
	}
	if q.Iif != 0 && q.Dst.Is6() {
		b = putU32(b, unix.RTA_UID, 0) // a packet's, where the question's would be nobody's (inet6_rtm_getroute, ip6_route_input)
	}
	// The kernel takes the protocols tcp, udp and icmp only
	// (net/ipv4/netlink.c:rtm_getroute_parse_ip_proto).
	switch q.Proto {
	case snap.TCP, snap.UDP, snap.ICMP, snap.ICMPv6:
		b = put(b, unix.RTA_IP_PROTO, []byte{q.Proto.Number()})
	}
	if q.Proto == snap.TCP || q.Proto == snap.UDP {
		if q.Sport != 0 {
			b = put(b, unix.RTA_SPORT, binary.BigEndian.AppendUint16(nil, q.Sport))
		}
		if q.Dport != 0 {
			b = put(b, unix.RTA_DPORT, binary.BigEndian.AppendUint16(nil, q.Dport))
		}
	}
	return b
}
