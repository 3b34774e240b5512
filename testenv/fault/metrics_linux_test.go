package fault_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestARouteComesBackWithAllItsMetrics replaces a route that somebody has tuned, and
// takes that back.
func TestARouteComesBackWithAllItsMetrics(t *testing.T) {
	h := alone(t)
	if h == nil {
		return
	}
	dst := netip.MustParsePrefix("203.0.113.0/24")
	read := func() (*snap.Snapshot, snap.Route) {
		t.Helper()
		s := h.read()
		for _, r := range s.HostNs().Routes {
			if r.Dst == dst {
				return s, r
			}
		}
		return s, snap.Route{}
	}
	s, _ := read()
	tuned := snap.Route{
		Family: snap.IPv4, Table: snap.TableMain, Type: "unicast", Dst: dst, Scope: "link", Protocol: "static", Oif: s.HostNs().Link("lo").Index,
		MTU: 1400, AdvMSS: 1300, HopLimit: 9,
		Metrics: []snap.RouteMetric{
			{Type: 1, Value: 1 << 2}, {Type: 3, Value: 64000}, {Type: 4, Value: 800}, {Type: 11, Value: 20}, {Type: 12, Value: 1}, {Type: 13, Value: 50}, {Type: 15, Value: 1}, {Type: 16, Text: "reno"},
		},
	}
	op := fixups.NewRouteAdd(s, s.Host.Netns, tuned)
	want := "ip route add 203.0.113.0/24 dev lo proto static mtu lock 1400 window 64000 rtt 100ms advmss 1300 hoplimit 9 initcwnd 20 features ecn rto_min 50ms quickack 1 congctl reno"
	if got := strings.Join(op.Shell(), "\n"); got != want {
		t.Errorf("shell line\n%s\nwant\n%s", got, want)
	}
	h.do(s, op)
	s, got := read()
	if d := cmp.Diff(tuned, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
		t.Fatalf("the kernel's route (-want +got):\n%s", d)
	}
	plain := tuned
	plain.MTU, plain.AdvMSS, plain.HopLimit, plain.Metrics = 0, 0, 0, nil
	id := h.do(s, fixups.NewRouteReplace(s, s.Host.Netns, plain))
	if _, got = read(); got.MTU != 0 || got.Metrics != nil {
		t.Fatalf("after the replacement: %+v", got)
	}
	h.undo(id)
	if _, got = read(); cmp.Diff(tuned.Metrics, got.Metrics) != "" || got.MTU != 1400 {
		t.Errorf("after undo: %+v, want %+v", got, tuned)
	}
}
