package snap

import (
	"net/netip"
	"slices"
)

// Addr is one address of a device (RTM_NEWADDR).
type Addr struct {
	Index  int          `json:"index"`  // ifindex
	Prefix netip.Prefix `json:"prefix"` // the local address with its prefix length: 172.17.0.1/16
	Peer   netip.Prefix `json:"peer,omitzero"`
	Bcast  netip.Addr   `json:"broadcast,omitzero"`
	Scope  string       `json:"scope"` // "global", "site", "link", "host", "nowhere"
	Label  string       `json:"label,omitempty"`
	// Flags by name: "permanent", "secondary", "tentative", "dadfailed",
	// "deprecated", "nodad", "noprefixroute", "temporary", "mngtmpaddr", "home".
	Flags []string `json:"flags,omitempty"`
	// ValidMs and PreferredMs are lifetimes; -1 forever.
	ValidMs     int64 `json:"validMs"`
	PreferredMs int64 `json:"preferredMs"`
}

// Has says whether the address carries the flag.
func (a Addr) Has(flag string) bool { return slices.Contains(a.Flags, flag) }

// LastAddr is the highest address of a prefix: IPv4's broadcast address.
func LastAddr(p netip.Prefix) netip.Addr {
	if !p.IsValid() {
		return netip.Addr{}
	}
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b) // of 4 or 16 bytes
	return a
}
