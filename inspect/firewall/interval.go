package firewall

import (
	"bytes"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Join makes snap's elements of the kernel's: in an interval set without
// concatenation a start and an end element become one range, both ends
// included; an interval without an end goes up to the last key there is
// (net/netfilter/nft_set_rbtree.c). Ends without a start are where nothing
// begins and are left out. The result is ordered by key, the catch-all last;
// other sets keep the kernel's order.
func Join(s *snap.Set, raw []RawElement) []snap.Element {
	out := make([]snap.Element, 0, len(raw))
	pairs := s.Interval && !slices.ContainsFunc(raw, func(e RawElement) bool { return e.KeyEnd != nil })
	if !pairs {
		for _, e := range raw {
			if !e.End {
				if bytes.Equal(e.Key, e.KeyEnd) {
					e.KeyEnd = nil
				}
				out = append(out, e.Element)
			}
		}
		return out
	}
	sorted := slices.Clone(raw)
	snap.Sort(sorted, func(a, b RawElement) int {
		if a.CatchAll != b.CatchAll {
			return order(a.CatchAll) // the catch-all last
		}
		if c := bytes.Compare(a.Key, b.Key); c != 0 {
			return c
		}
		return order(b.End) - order(a.End) // an end before a start
	})
	for i, e := range sorted {
		if e.End {
			continue
		}
		if !e.CatchAll {
			if i+1 < len(sorted) && !sorted[i+1].CatchAll {
				e.KeyEnd = before(sorted[i+1].Key)
			} else {
				e.KeyEnd = bytes.Repeat([]byte{0xff}, len(e.Key))
			}
			if bytes.Equal(e.Key, e.KeyEnd) {
				e.KeyEnd = nil
			}
		}
		out = append(out, e.Element)
	}
	return out
}

// order is 1 for what is so, else -1.
func order(is bool) int {
	if is {
		return 1
	}
	return -1
}

// before is the key just below k; below zero there is only the highest.
func before(k []byte) []byte {
	k = slices.Clone(k)
	for i := len(k) - 1; i >= 0; i-- {
		k[i]--
		if k[i] != 0xff {
			break
		}
	}
	return k
}
