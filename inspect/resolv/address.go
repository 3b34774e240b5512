package resolv

import (
	"net/netip"
	"strconv"
	"strings"
)

// address reads an IP literal as the C libraries do for a nameserver: IPv4 by
// inet_aton's rules ("10.1", "0x7f.1", leading zeros mean octal), IPv6 with a
// scope behind "%".
func address(s string) (netip.Addr, bool) {
	if strings.Contains(s, ":") {
		a, err := netip.ParseAddr(s)
		return a, err == nil
	}
	return aton(s)
}

// aton is inet_aton(3): one to four numbers; the last one fills the bytes that
// are left.
func aton(s string) (netip.Addr, bool) {
	parts := strings.Split(s, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var ip uint32
	for i, p := range parts {
		if p == "" || p[0] < '0' || p[0] > '9' || strings.Contains(p, "_") || badBase(p) {
			return netip.Addr{}, false
		}
		n, err := strconv.ParseUint(p, 0, 32)
		if err != nil {
			return netip.Addr{}, false
		}
		last := i == len(parts)-1
		if !last && n > 255 || last && n > uint64(1)<<(8*(5-len(parts)))-1 {
			return netip.Addr{}, false
		}
		if last {
			ip |= uint32(n)
		} else {
			ip |= uint32(n) << (8 * (3 - i))
		}
	}
	return netip.AddrFrom4([4]byte{byte(ip >> 24), byte(ip >> 16), byte(ip >> 8), byte(ip)}), true
}

// badBase finds the prefixes that Go's numbers have and C's lack: 0b, 0o.
func badBase(p string) bool {
	return len(p) > 1 && p[0] == '0' && strings.ContainsRune("bBoO", rune(p[1]))
}
