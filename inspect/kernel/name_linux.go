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
	names := map[uint8]string{
		0: "unspec", 1: "redirect", 2: "kernel", 3: "boot", 4: "static", 8: "gated", 9: "ra", 10: "mrt",
		11: "zebra", 12: "bird", 13: "dnrouted", 14: "xorp", 15: "ntk", 16: "dhcp", 17: "mrouted",
		18: "keepalived", 42: "babel", 186: "bgp", 187: "isis", 188: "ospf", 189: "rip", 192: "eigrp",
	}
	if s, ok := names[n]; ok {
		return s
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
