package kernel

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// readRoutes dumps the routes of all tables and both families. Routes whose
// nexthops are objects get those filled in from hops where the kernel did not
// say them itself (net.ipv4.nexthop_compat_mode=0).
func (r *requester) readRoutes(ctx context.Context, hops []snap.NexthopObject) ([]snap.Route, error) {
	out, err := bothFamilies(ctx, r, "routes", unix.RTM_GETROUTE, decodeRoute)
	if err == nil {
		resolveNexthops(out, hops)
	}
	return out, err
}

// readExceptions dumps what was learned about single destinations. Kernels
// before Linux 5.3 have no such dump, and none is made for IPv6 where IPv6 is
// missing: then there is nothing.
func (r *requester) readExceptions(ctx context.Context) ([]snap.RouteException, error) {
	// Without strict checking the flags of the request are not looked at, and
	// the whole table would come (net/ipv4/fib_frontend.c:inet_dump_fib).
	if err := unix.SetsockoptInt(r.fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1); err != nil {
		return nil, nil
	}
	defer func() { _ = unix.SetsockoptInt(r.fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 0) }() // it could be set, it can be unset
	var out []snap.RouteException
	for _, af := range []uint8{unix.AF_INET, unix.AF_INET6} {
		var part []snap.RouteException
		req := body(unix.SizeofRtMsg, af)
		binary.NativeEndian.PutUint32(req[8:], unix.RTM_F_CLONED)
		err := r.dump(ctx, "route exceptions", unix.RTM_GETROUTE, req, func() { part = nil }, func(m message) {
			if e, ok := decodeException(m.data); ok && m.data[0] == af {
				part = append(part, e)
			}
		})
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, snap.ErrUnsupported) {
			return out, err
		}
		out = append(out, part...)
	}
	return out, nil
}

// decodeException decodes one cached clone (net/ipv4/route.c:fnhe_dump_bucket,
// net/ipv6/route.c:rt6_nh_dump_exceptions).
func decodeException(b []byte) (snap.RouteException, bool) {
	if len(b) < unix.SizeofRtMsg || u32of(b[8:])&unix.RTM_F_CLONED == 0 {
		return snap.RouteException{}, false
	}
	rt, ok := decodeRtmsg(b)
	if !ok || rt.Type != "unicast" || !rt.Dst.IsSingleIP() {
		return snap.RouteException{}, false
	}
	return snap.RouteException{Family: rt.Family, Table: rt.Table, Dst: rt.Dst.Addr(), Oif: rt.Oif, Gateway: rt.Gateway, MTU: rt.MTU, ExpiresMs: rt.ExpiresMs}, true
}

const rtaNHID = 30 // linux/rtnetlink.h: RTA_NH_ID

// decodeRoute decodes one RTM_NEWROUTE (net/ipv4/fib_semantics.c:fib_dump_info,
// net/ipv6/route.c:rt6_fill_node). Cached clones are no routes.
func decodeRoute(b []byte) (snap.Route, bool) {
	if len(b) < unix.SizeofRtMsg || u32of(b[8:])&unix.RTM_F_CLONED != 0 {
		return snap.Route{}, false
	}
	return decodeRtmsg(b)
}

// decodeRtmsg is decodeRoute without its filter.
func decodeRtmsg(b []byte) (snap.Route, bool) {
	if len(b) < unix.SizeofRtMsg {
		return snap.Route{}, false
	}
	fam, ok := ipFamily(b[0])
	if !ok {
		return snap.Route{}, false
	}
	rt := snap.Route{
		Family: fam, TOS: b[3], Table: uint32(b[4]), Protocol: routeProtocol(b[5]),
		Scope: scopeName(b[6]), Type: routeType(b[7]), Flags: routeFlags(u32of(b[8:])),
		Dst: netip.PrefixFrom(netip.IPv4Unspecified(), 0),
	}
	if fam == snap.IPv6 {
		rt.Dst = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	for t, v := range rtattrs(b[unix.SizeofRtMsg:]) {
		switch t {
		case unix.RTA_DST:
			rt.Dst = prefixOf(v, b[1])
		case unix.RTA_SRC:
			rt.Src = prefixOf(v, b[2])
		case unix.RTA_TABLE:
			rt.Table = u32of(v)
		case unix.RTA_PRIORITY:
			rt.Metric = u32of(v)
		case unix.RTA_PREFSRC:
			rt.PrefSrc = ipOf(v)
		case unix.RTA_OIF:
			rt.Oif = intOf(v)
		case unix.RTA_GATEWAY:
			rt.Gateway = ipOf(v)
		case unix.RTA_VIA:
			rt.Via = viaOf(v)
		case rtaNHID:
			rt.NHID = u32of(v)
		case unix.RTA_PREF: // linux/icmpv6.h: ICMPV6_ROUTER_PREF_*
			switch u8of(v) {
			case 1:
				rt.Pref = "high"
			case 3:
				rt.Pref = "low"
			}
		case unix.RTA_METRICS:
			for t, v := range rtattrs(v) {
				switch t {
				case unix.RTAX_MTU:
					rt.MTU = intOf(v)
				case unix.RTAX_ADVMSS:
					rt.AdvMSS = intOf(v)
				case unix.RTAX_HOPLIMIT:
					rt.HopLimit = intOf(v)
				case unix.RTAX_CC_ALGO:
					rt.Metrics = append(rt.Metrics, snap.RouteMetric{Type: t, Text: strOf(v)})
				default:
					rt.Metrics = append(rt.Metrics, snap.RouteMetric{Type: t, Value: u32of(v)})
				}
			}
		case unix.RTA_CACHEINFO: // struct rta_cacheinfo: clntref, lastuse, expires, error …
			if len(v) >= 16 {
				if ticks := intOf(v[8:]); ticks > 0 {
					rt.ExpiresMs = int64(ticks) * (1000 / userHZ)
				}
				rt.Error = -intOf(v[12:])
			}
		case unix.RTA_MULTIPATH:
			rt.Nexthops = decodeMultipath(v)
		}
	}
	if len(rt.Nexthops) > 0 {
		rt.Oif, rt.Gateway = 0, netip.Addr{}
	}
	return rt, rt.Dst.IsValid()
}

// decodeMultipath reads a list of struct rtnexthop, each with attributes.
func decodeMultipath(b []byte) []snap.Nexthop {
	const head = 8
	var out []snap.Nexthop
	for len(b) >= head {
		n := int(u16of(b))
		if n < head || n > len(b) {
			break
		}
		hop := snap.Nexthop{Oif: intOf(b[4:]), Weight: int(b[3]) + 1, Flags: routeFlags(uint32(b[2]))}
		for t, v := range rtattrs(b[head:n]) {
			switch t {
			case unix.RTA_GATEWAY:
				hop.Gateway = ipOf(v)
			case unix.RTA_VIA:
				hop.Gateway = viaOf(v)
			}
		}
		out = append(out, hop)
		b = b[min(len(b), (n+3)&^3):]
	}
	return out
}

// viaOf reads struct rtvia: a family and an address of it.
func viaOf(v []byte) netip.Addr {
	if len(v) < 2 {
		return netip.Addr{}
	}
	return ipOf(v[2:])
}
