package kernel

import (
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// scopeName names linux/rtnetlink.h: RT_SCOPE_*; others by number.
func scopeName(n uint8) string {
	switch n {
	case unix.RT_SCOPE_UNIVERSE:
		return "global"
	case unix.RT_SCOPE_SITE:
		return "site"
	case unix.RT_SCOPE_LINK:
		return "link"
	case unix.RT_SCOPE_HOST:
		return "host"
	case unix.RT_SCOPE_NOWHERE:
		return "nowhere"
	}
	return strconv.Itoa(int(n))
}

// routeType names linux/rtnetlink.h: RTN_*.
func routeType(n uint8) string {
	names := [...]string{"unspec", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit", "throw", "nat", "xresolve"}
	if int(n) < len(names) {
		return names[n]
	}
	return strconv.Itoa(int(n))
}

// routeProtocol names linux/rtnetlink.h: RTPROT_*.
func routeProtocol(n uint8) string {
	switch n { // asked of each route: a map would be made each time
	case 0:
		return "unspec"
	case 1:
		return "redirect"
	case 2:
		return "kernel"
	case 3:
		return "boot"
	case 4:
		return "static"
	case 8:
		return "gated"
	case 9:
		return "ra"
	case 10:
		return "mrt"
	case 11:
		return "zebra"
	case 12:
		return "bird"
	case 13:
		return "dnrouted"
	case 14:
		return "xorp"
	case 15:
		return "ntk"
	case 16:
		return "dhcp"
	case 17:
		return "mrouted"
	case 18:
		return "keepalived"
	case 42:
		return "babel"
	case 186:
		return "bgp"
	case 187:
		return "isis"
	case 188:
		return "ospf"
	case 189:
		return "rip"
	case 192:
		return "eigrp"
	}
	return strconv.Itoa(int(n))
}

// ipFamily names AF_INET and AF_INET6; ok is false for every other family.
func ipFamily(af uint8) (f snap.Family, ok bool) {
	switch af {
	case unix.AF_INET:
		return snap.IPv4, true
	case unix.AF_INET6:
		return snap.IPv6, true
	}
	return "", false
}

// routeFlags names linux/rtnetlink.h: RTNH_F_*.
func routeFlags(v uint32) []string {
	return bitNames(v, []bitName[uint32]{
		{unix.RTNH_F_DEAD, "dead"},
		{unix.RTNH_F_PERVASIVE, "pervasive"},
		{unix.RTNH_F_ONLINK, "onlink"},
		{unix.RTNH_F_OFFLOAD, "offload"},
		{unix.RTNH_F_LINKDOWN, "linkdown"},
		{unix.RTNH_F_UNRESOLVED, "unresolved"},
		{unix.RTNH_F_TRAP, "trap"},
	})
}
