package diag

import (
	"net/netip"
	"strings"
	"testing"
)

func TestLeaves(t *testing.T) {
	t.Parallel()
	src, dst := netip.MustParseAddr("10.67.1.7"), netip.MustParseAddr("10.67.2.9")
	for text, want := range map[string]bool{
		"-A FLANNEL-POSTRTG -s 10.67.0.0/16 -d 10.67.0.0/16 -j RETURN": true,
		"-A POSTROUTING -d 10.67.2.9/32 -j ACCEPT":                     true,
		"ip saddr 10.67.0.0/16 ip daddr 10.67.0.0/16 counter return":   true,
		"-A POSTROUTING -s 10.68.0.0/16 -d 10.67.0.0/16 -j RETURN":     false,
		"-A POSTROUTING -s 10.67.0.0/16 ! -d 10.67.0.0/16 -j RETURN":   false,
		"-A POSTROUTING -s 10.67.0.0/16 -j RETURN":                     false, // of no destination
		"-A POSTROUTING -s 10.67.0.0/16 -d 10.67.0.0/16 -j MASQUERADE": false,
		"ip saddr 10.67.0.0/16 ip daddr @peers return":                 false, // what is in the set is not read
		"": false,
	} {
		if got := leaves(strings.Fields(text), src, dst); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
