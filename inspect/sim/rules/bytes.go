package rules

import (
	"fmt"
	"net/netip"
)

// addr4 and addr16 read an address from the head of b.
func addr4(b []byte) netip.Addr  { return netip.AddrFrom4([4]byte(b[:4])) }
func addr16(b []byte) netip.Addr { return netip.AddrFrom16([16]byte(b[:16])) }

// addrOf reads an address of the family's length.
func addrOf(b []byte) netip.Addr {
	if len(b) >= 16 {
		return addr16(b)
	}
	return addr4(b)
}

func macString(b []byte) string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5])
}
