package apply

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// routeChange adds, replaces or deletes a route with all its attributes.
func (m *machine) routeChange(ctx context.Context, w fixups.Where, verb string, devs []string, route snap.Route, now *snap.Snapshot) error {
	n := now.Ns(w.ID)
	if n == nil {
		return fmt.Errorf("namespace %s: %w", w.ID, snap.ErrNotFound)
	}
	r, err := fixups.Bound(n, devs, route)
	if err != nil {
		return err
	}
	b, err := rtmsg(r)
	if err != nil {
		return err
	}
	switch verb {
	case "add":
		return m.route(ctx, w, unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, b)
	case "replace":
		return m.route(ctx, w, unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, b)
	}
	return m.route(ctx, w, unix.RTM_DELROUTE, 0, b)
}

// rtmsg is struct rtmsg and its attributes.
func rtmsg(r snap.Route) (attrs, error) {
	typ, ok := map[string]uint8{
		"unicast": unix.RTN_UNICAST, "local": unix.RTN_LOCAL, "broadcast": unix.RTN_BROADCAST, "anycast": unix.RTN_ANYCAST,
		"multicast": unix.RTN_MULTICAST, "blackhole": unix.RTN_BLACKHOLE, "unreachable": unix.RTN_UNREACHABLE,
		"prohibit": unix.RTN_PROHIBIT, "throw": unix.RTN_THROW, "nat": unix.RTN_NAT,
	}[r.Type]
	if !ok {
		return nil, fmt.Errorf("route of type %q: %w", r.Type, snap.ErrUnsupported)
	}
	if r.NHID != 0 {
		typ = unix.RTN_UNICAST // whatever its object is (fib_trie.c:fib_table_delete compares)
	}
	proto, err := protocol(r.Protocol)
	if err != nil {
		return nil, err
	}
	b := make(attrs, unix.SizeofRtMsg)
	b[0], b[1], b[2], b[3] = family(r.Family == snap.IPv6), uint8(r.Dst.Bits()), 0, r.TOS
	if r.Src.IsValid() {
		b[2] = uint8(r.Src.Bits())
	}
	if r.Table < 256 {
		b[4] = uint8(r.Table)
	}
	b[5], b[6], b[7] = proto, scope(r.Scope), typ
	if r.Family == snap.IPv6 {
		b[6] = unix.RT_SCOPE_UNIVERSE
	}
	flags := uint32(0)
	if r.Has("onlink") {
		flags |= unix.RTNH_F_ONLINK
	}
	if r.Has("pervasive") {
		flags |= unix.RTNH_F_PERVASIVE
	}
	binary.NativeEndian.PutUint32(b[8:], flags)
	if r.Dst.Bits() > 0 {
		b.bytes(unix.RTA_DST, r.Dst.Addr().AsSlice())
	}
	if r.Src.IsValid() {
		b.bytes(unix.RTA_SRC, r.Src.Addr().AsSlice())
	}
	b.u32(unix.RTA_TABLE, r.Table)
	if r.Metric != 0 {
		b.u32(unix.RTA_PRIORITY, r.Metric)
	}
	if r.PrefSrc.IsValid() {
		b.bytes(unix.RTA_PREFSRC, r.PrefSrc.AsSlice())
	}
	ways(&b, r)
	metrics(&b, r)
	if pref := map[string]uint8{"high": 1, "low": 3}[r.Pref]; pref != 0 { // RFC 4191
		b.u8(unix.RTA_PREF, pref)
	}
	if r.ExpiresMs > 0 && r.Family == snap.IPv6 {
		b.u32(unix.RTA_EXPIRES, uint32(r.ExpiresMs/1000))
	}
	return b, nil
}

// metrics is RTA_METRICS, where the route has any.
func metrics(b *attrs, r snap.Route) {
	if r.MTU == 0 && r.AdvMSS == 0 && r.HopLimit == 0 && len(r.Metrics) == 0 {
		return
	}
	b.nested(unix.RTA_METRICS, func(a *attrs) {
		for _, m := range []struct {
			typ   uint16
			value int
		}{{unix.RTAX_MTU, r.MTU}, {unix.RTAX_ADVMSS, r.AdvMSS}, {unix.RTAX_HOPLIMIT, r.HopLimit}} {
			if m.value != 0 {
				a.u32(m.typ, uint32(m.value))
			}
		}
		for _, x := range r.Metrics {
			if x.Type == unix.RTAX_CC_ALGO {
				a.str(x.Type, x.Text)
			} else {
				a.u32(x.Type, x.Value)
			}
		}
	})
}

// rtaNHID is RTA_NH_ID (include/uapi/linux/rtnetlink.h, since Linux 5.3).
const rtaNHID = 30

// ways adds where a route leads: a nexthop object, several ways, or one.
func ways(b *attrs, r snap.Route) {
	switch {
	case r.NHID != 0:
		b.u32(rtaNHID, r.NHID)
	case len(r.Nexthops) > 0:
		var list []byte
		for _, n := range r.Nexthops {
			var in attrs
			if n.Gateway.IsValid() {
				in.bytes(unix.RTA_GATEWAY, n.Gateway.AsSlice())
			}
			flags := uint8(0)
			for _, f := range n.Flags {
				if f == "onlink" {
					flags |= unix.RTNH_F_ONLINK
				}
			}
			list = binary.NativeEndian.AppendUint16(list, uint16(unix.SizeofRtNexthop+len(in)))
			list = append(list, flags, uint8(max(n.Weight, 1)-1))
			list = append(list, u32s(uint32(n.Oif))...)
			list = append(list, in...)
		}
		b.bytes(unix.RTA_MULTIPATH, list)
	default:
		if r.Gateway.IsValid() {
			b.bytes(unix.RTA_GATEWAY, r.Gateway.AsSlice())
		} else if r.Via.IsValid() {
			b.bytes(unix.RTA_VIA, append(binary.NativeEndian.AppendUint16(nil, uint16(family(r.Via.Is6()))), r.Via.AsSlice()...))
		}
		if r.Oif != 0 {
			b.u32(unix.RTA_OIF, uint32(r.Oif))
		}
	}
}

// protocol is RTPROT_*, by the names that the readers give.
func protocol(s string) (uint8, error) {
	n, ok := map[string]uint8{
		"unspec": 0, "redirect": 1, "kernel": 2, "boot": 3, "static": 4, "gated": 8, "ra": 9, "mrt": 10, "zebra": 11, "bird": 12,
		"dnrouted": 13, "xorp": 14, "ntk": 15, "dhcp": 16, "mrouted": 17, "keepalived": 18, "babel": 42, "bgp": 186, "isis": 187,
		"ospf": 188, "rip": 189, "eigrp": 192,
	}[s]
	if ok {
		return n, nil
	}
	v, err := strconv.ParseUint(s, 10, 8)
	if err != nil {
		return 0, fmt.Errorf("route protocol %q: %w", s, snap.ErrUnsupported)
	}
	return uint8(v), nil
}

// policy adds or deletes a routing rule.
func (m *machine) policy(ctx context.Context, w fixups.Where, add bool, r snap.PolicyRule) error {
	b, err := ruleMsg(r)
	if err != nil {
		return err
	}
	if add {
		return m.route(ctx, w, unix.RTM_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, b)
	}
	return m.route(ctx, w, unix.RTM_DELRULE, 0, b)
}

// ruleMsg is struct fib_rule_hdr and its attributes.
func ruleMsg(r snap.PolicyRule) (attrs, error) {
	action, ok := map[string]uint8{
		"table": unix.FR_ACT_TO_TBL, "goto": unix.FR_ACT_GOTO, "nop": unix.FR_ACT_NOP, "blackhole": unix.FR_ACT_BLACKHOLE,
		"unreachable": unix.FR_ACT_UNREACHABLE, "prohibit": unix.FR_ACT_PROHIBIT,
	}[r.Action]
	if !ok {
		return nil, fmt.Errorf("routing rule with action %q: %w", r.Action, snap.ErrUnsupported)
	}
	b := make(attrs, unix.SizeofRtMsg) // fib_rule_hdr has the same size
	b[0], b[3], b[7] = family(r.Family == snap.IPv6), r.TOS, action
	if r.Dst.IsValid() {
		b[1] = uint8(r.Dst.Bits())
	}
	if r.Src.IsValid() {
		b[2] = uint8(r.Src.Bits())
	}
	if r.Table < 256 {
		b[4] = uint8(r.Table)
	}
	if r.Invert {
		binary.NativeEndian.PutUint32(b[8:], unix.FIB_RULE_INVERT)
	}
	if r.Dst.IsValid() {
		b.bytes(unix.FRA_DST, r.Dst.Addr().AsSlice())
	}
	if r.Src.IsValid() {
		b.bytes(unix.FRA_SRC, r.Src.Addr().AsSlice())
	}
	b.u32(unix.FRA_PRIORITY, r.Priority)
	if r.Table != 0 {
		b.u32(unix.FRA_TABLE, r.Table)
	}
	if r.IIF != "" {
		b.str(unix.FRA_IIFNAME, r.IIF)
	}
	if r.OIF != "" {
		b.str(unix.FRA_OIFNAME, r.OIF)
	}
	if r.Mask != 0 {
		b.u32(unix.FRA_FWMARK, r.Mark)
		b.u32(unix.FRA_FWMASK, r.Mask)
	}
	if r.Action == "goto" {
		b.u32(unix.FRA_GOTO, r.Goto)
	}
	if r.L3mdev {
		b.u8(unix.FRA_L3MDEV, 1)
	}
	if r.TunID != 0 {
		b.be64(unix.FRA_TUN_ID, r.TunID)
	}
	if r.UID != nil {
		b.bytes(unix.FRA_UID_RANGE, u32s(r.UID[0], r.UID[1]))
	}
	if r.IPProto != 0 {
		b.u8(unix.FRA_IP_PROTO, r.IPProto)
	}
	for typ, p := range map[uint16][2]uint16{unix.FRA_SPORT_RANGE: r.Sport, unix.FRA_DPORT_RANGE: r.Dport} {
		if p != [2]uint16{} {
			b.bytes(typ, binary.NativeEndian.AppendUint16(binary.NativeEndian.AppendUint16(nil, p[0]), max(p[0], p[1])))
		}
	}
	if r.SuppressPrefixLen >= 0 && r.Action == "table" {
		b.u32(unix.FRA_SUPPRESS_PREFIXLEN, uint32(r.SuppressPrefixLen))
	}
	if r.SuppressIfgroup >= 0 && r.Action == "table" {
		b.u32(unix.FRA_SUPPRESS_IFGROUP, uint32(r.SuppressIfgroup))
	}
	return b, nil
}
