package rules

import (
	"net/netip"
	"testing"

	fw "github.com/netdoctor/netdoctor/inspect/firewall"
)

// TestConnlimitCounts: what conntrack has open is the most that a rule can have counted.
func TestConnlimitCounts(t *testing.T) {
	t.Parallel()
	mask := netip.MustParseAddr("255.255.255.255")
	for _, c := range []struct {
		name string
		open uint32
		rule fw.ConnlimitMatch
		want truth
	}{
		{"far below", 1, fw.ConnlimitMatch{Mask: mask, Limit: 3}, is(false)},
		{"the last one", 2, fw.ConnlimitMatch{Mask: mask, Limit: 3}, is(false)},
		{"the last one, at most so many", 2, fw.ConnlimitMatch{Mask: mask, Limit: 3, Invert: true}, is(true)},
		{"one more, of which some may be of other ports", 3, fw.ConnlimitMatch{Mask: mask, Limit: 3}, varies("more connections than the limit")},
		{"not read", 0, fw.ConnlimitMatch{Mask: mask, Limit: 3}, varies("more connections than the limit")},
	} {
		w := world()
		w.open = c.open
		if got := connMatch(&c.rule)(&machine{env: w, pkt: syn()}); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}
