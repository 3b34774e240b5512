package app

import (
	"net/netip"
	"testing"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestWeakestFamily: of a name with addresses of both families the IPv6 one is followed
// where it fails and the sender would try it: it has a route there.
func TestWeakestFamily(t *testing.T) {
	t.Parallel()
	v4, v6 := netip.MustParseAddr("198.51.100.20"), netip.MustParseAddr("2001:db8:100::20")
	for _, c := range []struct {
		name   string
		policy string // of IPv6's output
		route  bool
		want   netip.Addr
	}{
		{"shut", "drop", true, v6},
		{"open", "accept", true, v4},
		{"no route", "drop", false, v4},
	} {
		host := snap.Netns{ID: "host", Class: snap.ClassHost, Links: []snap.Link{{Index: 1, Name: "lo", Kind: "loopback", MTU: 65536, Up: true, LowerUp: true, Running: true, Loopback: true, PeerNSID: -1}, {Index: 2, Name: "eth0", Up: true, LowerUp: true, MTU: 1500}}}
		host.Routes = append(host.Routes, snap.Route{Family: snap.IPv4, Table: snap.TableMain, Type: "unicast", Dst: netip.MustParsePrefix("0.0.0.0/0"), Oif: 2, Gateway: netip.MustParseAddr("192.168.50.1")})
		host.Routes = append(host.Routes, snap.Route{Family: snap.IPv6, Table: snap.TableLocal, Type: "local", Dst: netip.MustParsePrefix("2001:db8:50::10/128"), Oif: 2})
		if c.route {
			host.Routes = append(host.Routes, snap.Route{Family: snap.IPv6, Table: snap.TableMain, Type: "unicast", Dst: netip.MustParsePrefix("::/0"), Oif: 2, Gateway: netip.MustParseAddr("2001:db8:50::1")})
		}
		for _, fam := range []snap.Family{snap.IPv4, snap.IPv6} {
			host.Rules = append(host.Rules, snap.PolicyRule{Family: fam, Action: "table", Table: snap.TableLocal, SuppressPrefixLen: -1, SuppressIfgroup: -1}, snap.PolicyRule{Family: fam, Priority: 32766, Action: "table", Table: snap.TableMain, SuppressPrefixLen: -1, SuppressIfgroup: -1})
		}
		host.Addrs = []snap.Addr{
			{Index: 2, Prefix: netip.MustParsePrefix("192.168.50.10/24"), Scope: "global"},
			{Index: 2, Prefix: netip.MustParsePrefix("2001:db8:50::10/64"), Scope: "global"},
		}
		host.Ruleset.Tables = []snap.Table{{System: snap.IPTablesNFT, Family: snap.IPv6, Name: "filter", Chains: []snap.Chain{{Name: "OUTPUT", Hook: "output", Type: "filter", Policy: c.policy, PolicyPackets: -1, PolicyBytes: -1}}}}
		s := &snap.Snapshot{Host: snap.Host{Netns: "host"}, Netns: []snap.Netns{host}}
		if !hasSix(s.Ns("host")) {
			t.Fatal("the host has IPv6")
		}
		q := &ask{src: Target{Netns: "host"}, dst: Target{Proto: snap.TCP, Port: 80}}
		q.name = &v1.NameWay{Name: "www"}
		tr := &tracer{a: &App{}, s: s}
		if got := tr.weakest(q, []netip.Addr{v4, v6}); got != c.want {
			t.Errorf("%s: %s is followed, want %s", c.name, got, c.want)
		}
	}
}
