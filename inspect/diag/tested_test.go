package diag

import (
	"net/netip"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/inspect/walk"
)

// TestIPv6IsExcusedWhileAddressesAreTested: a gateway that is a second old answers nobody
// yet; one whose test failed, or whose device has no carrier, is another matter.
func TestIPv6IsExcusedWhileAddressesAreTested(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		flags []string
		up    bool
		dst   string
		want  bool
	}{
		{"tested", []string{"tentative"}, true, "2001:db8::1", true},
		{"there", nil, true, "2001:db8::1", false},
		{"failed", []string{"tentative", "dadfailed"}, true, "2001:db8::1", false},
		{"no carrier", []string{"tentative"}, false, "2001:db8::1", false},
		{"IPv4", []string{"tentative"}, true, "192.0.2.1", false},
	} {
		s := &snap.Snapshot{Host: snap.Host{Netns: "host"}, Netns: []snap.Netns{{
			ID: "host", Links: []snap.Link{{Index: 2, Name: "br-v6", LowerUp: c.up}},
			Addrs: []snap.Addr{{Index: 2, Prefix: netip.MustParsePrefix("fd00:77::1/64"), Scope: "global", Flags: c.flags}},
		}}}
		in := &Input{Snap: s, Graph: walk.New(s)}
		f := FlowCase{Flow: sim.Flow{From: "crawler", Dst: netip.MustParseAddr(c.dst)}, Trace: &sim.Trace{Verdict: sim.Dropped}}
		if got := in.tested(&f); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}
