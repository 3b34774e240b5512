package snap

import "net/netip"

// RecentList is one list of xt_recent: addresses and when packets of theirs were
// counted.
type RecentList struct {
	Name    string        `json:"name"`
	Entries []RecentEntry `json:"entries"`
}

// RecentEntry is one address of a RecentList.
type RecentEntry struct {
	Addr netip.Addr `json:"addr"`
	TTL  uint8      `json:"ttl,omitempty"`
	// AgesMs are how long before the reading each of its packets came, in milliseconds.
	AgesMs []int64 `json:"agesMs"`
}

// HashLimit is one table of xt_hashlimit. A flow that is not in it has all of its
// credit left.
type HashLimit struct {
	Name    string           `json:"name"`
	Family  Family           `json:"family"`
	Entries []HashLimitEntry `json:"entries"`
}

// HashLimitEntry is one key and what is left for it when it was read. Parts that are
// no part of the key are zero.
type HashLimitEntry struct {
	Src    netip.AddrPort `json:"src"`
	Dst    netip.AddrPort `json:"dst"`
	Credit uint64         `json:"credit"`
	Cap    uint64         `json:"cap"`
	Cost   uint64         `json:"cost"` // of one packet
}
