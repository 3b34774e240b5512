package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Each line was asked of Linux 6.18, several times over: it takes these in turn.
func TestDefaultRoutesOfOneMetricGoByTheirGateways(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		states [3]string
		want   []string
	}{
		{[3]string{"", "", ""}, []string{"a"}},
		{[3]string{"reachable", "", ""}, []string{"a"}},
		{[3]string{"stale", "", ""}, []string{"a", "b"}},
		{[3]string{"stale", "stale", "stale"}, []string{"a", "b"}},
		{[3]string{"stale", "reachable", "stale"}, []string{"a", "b"}},
		{[3]string{"permanent", "permanent", "permanent"}, []string{"a", "b"}},
		{[3]string{"failed", "permanent", "permanent"}, []string{"b", "c"}},
		{[3]string{"failed", "failed", "permanent"}, []string{"c"}},
		{[3]string{"failed", "failed", "failed"}, []string{"a", "b", "c"}},
		{[3]string{"stale", "failed", "failed"}, []string{"a"}},
		{[3]string{"stale", "failed", "stale"}, []string{"a", "c"}},
		{[3]string{"", "failed", "stale"}, []string{"a"}},
	} {
		m := newModel(t)
		m.netns("host", "host")
		for i, dev := range []string{"a", "b", "c"} {
			m.veth("host", dev, m.netns("peer"+dev, "").ID, dev)
			m.addr("host", dev, fmt.Sprintf("10.%d.0.2/24", i+1))
			gw := fmt.Sprintf("10.%d.0.1", i+1)
			m.route("host", "default via "+gw+" dev "+dev)
			if c.states[i] != "" {
				n := m.ns["host"]
				n.Neighs = append(n.Neighs, snap.Neigh{Index: m.link("host", dev).Index, IP: ip(gw), State: c.states[i]})
			}
		}
		m.route("host", "default via 10.3.0.9 dev c metric 9")
		w := m.world()
		var got []string
		for _, x := range w.Route("host", RouteQuery{Dst: ip("1.1.1.1")}).Ways {
			got = append(got, x.Dev)
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("gateways %q: ways %q, want %q", c.states, got, c.want)
		}
		if got := w.Route("host", RouteQuery{Dst: ip("1.1.1.1"), Oif: "b"}).Ways; len(got) != 1 || got[0].Dev != "b" {
			t.Errorf("bound to b: %v", got)
		}
		if got := w.Route("host", RouteQuery{Dst: ip("1.1.1.1"), Src: ip("10.3.0.7"), Iif: "c"}); len(got.Ways) > 1 {
			t.Errorf("what is forwarded takes the first, not one of %v", got.Ways)
		}
	}
}

// Asked of Linux 6.18 with ip -6 route get. A host that forwards takes no notice.
func TestIPv6GatewaysThatFailedArePassedOver(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		forwarding string
		states     [3]string
		routes     []string
		want       string
	}{
		{"0", [3]string{"failed", "", ""}, nil, "b"},
		{"1", [3]string{"failed", "", ""}, nil, "a"},
		{"0", [3]string{"failed", "failed", ""}, nil, "a"},
		{"0", [3]string{"incomplete", "failed", ""}, nil, "a"},
		{"0", [3]string{"incomplete", "failed", ""}, []string{"2001:db8::/32 via fd00:3::1 dev c"}, "c"},
		{"0", [3]string{"stale", "failed", "failed"}, []string{"2001:db8::/32 via fd00:3::1 dev c"}, "a"},
		{"0", [3]string{"failed", "failed", "failed"}, []string{"2001:db8::/32 via fd00:3::1 dev c"}, "c"},
		{"1", [3]string{"stale", "failed", "failed"}, []string{"2001:db8::/32 via fd00:3::1 dev c"}, "c"},
	} {
		m := newModel(t)
		m.netns("host", "host")
		m.sysctl("host", "net/ipv6/conf/all/forwarding", c.forwarding)
		for i, dev := range []string{"a", "b", "c"} {
			m.veth("host", dev, m.netns("peer"+dev, "").ID, dev)
			m.addr("host", dev, fmt.Sprintf("fd00:%d::2/64", i+1))
			if n := m.ns["host"]; c.states[i] != "" {
				n.Neighs = append(n.Neighs, snap.Neigh{Index: m.link("host", dev).Index, IP: ip(fmt.Sprintf("fd00:%d::1", i+1)), State: c.states[i]})
			}
		}
		for _, r := range append(c.routes, "default via fd00:1::1 dev a metric 10", "default via fd00:2::1 dev b metric 20") {
			if x := m.route("host", r); !x.Dst.IsValid() || x.Dst.Addr().Is4() {
				x.Dst, x.Family = netip.MustParsePrefix("::/0"), snap.IPv6
			}
		}
		if got := m.world().Route("host", RouteQuery{Dst: ip("2001:db8::1")}).Ways; len(got) != 1 || got[0].Dev != c.want {
			t.Errorf("forwarding %s, gateways %q, %v: ways %v, want %s", c.forwarding, c.states, c.routes, got, c.want)
		}
	}
}

func TestIPv6RoutesOfOneMetricGoByPreference(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	m.netns("host", "host")
	for i, pref := range []string{"", "high", "low"} {
		dev := string(rune('a' + i))
		m.veth("host", dev, m.netns("peer"+dev, "").ID, dev)
		m.addr("host", dev, fmt.Sprintf("fd00:%d::2/64", i+1))
		r := m.route("host", "2001:db8::/32 dev "+dev+" metric 7")
		r.Pref = pref
	}
	if got := m.world().Route("host", RouteQuery{Dst: ip("2001:db8::1")}).Ways; len(got) != 1 || got[0].Dev != "b" {
		t.Errorf("ways %v, want b, the one of high preference", got)
	}
}
