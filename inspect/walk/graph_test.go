package walk_test

import (
	"net/netip"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/inspect/walk"
)

// host is a bridge with a container on it, and a machine beside it whose devices have
// the same indices and addresses, but is not this host's.
func host() *snap.Snapshot {
	addr := func(dev int, p string) snap.Addr { return snap.Addr{Index: dev, Prefix: netip.MustParsePrefix(p)} }
	return &snap.Snapshot{
		Host: snap.Host{Netns: "host"},
		Netns: []snap.Netns{
			{
				ID: "host", Class: snap.ClassHost,
				Links: []snap.Link{
					{Index: 1, Name: "lo"},
					{Index: 2, Name: "br-app", Kind: "bridge", Bridge: &snap.Bridge{}},
					{Index: 3, Name: "veth-web", Kind: "veth", Master: 2, Peer: 2, PeerNetns: "web"},
					{Index: 4, Name: "veth-gone", Kind: "veth", Master: 2, Peer: 9, PeerNetns: "web"},
					{Index: 5, Name: "eth0"},
				},
				Addrs: []snap.Addr{addr(2, "172.20.0.1/16"), addr(5, "192.0.2.10/24")},
			},
			{
				ID: "web", Class: snap.ClassContainer, Containers: []string{"docker:web", "docker:side"},
				Links: []snap.Link{{Index: 2, Name: "eth0", Kind: "veth", Peer: 3, PeerNetns: "host"}},
				Addrs: []snap.Addr{addr(2, "172.20.0.5/16")},
			},
			{
				ID: "away", Class: snap.ClassOutside,
				Links: []snap.Link{{Index: 2, Name: "eth0"}},
				Addrs: []snap.Addr{addr(2, "172.20.0.5/16")},
			},
		},
		Containers: []snap.Container{
			{Ref: "docker:web", Name: "web", State: "running", Netns: "web", Endpoints: []snap.Endpoint{{Network: "app", IPv4: netip.MustParsePrefix("172.20.0.5/16"), IPv6: netip.MustParsePrefix("2001:db8::5/64")}}},
			{Ref: "docker:side", Name: "side", State: "running", Netns: "web"},
			{Ref: "docker:old", Name: "old", State: "exited", Endpoints: []snap.Endpoint{{Network: "app", IPv4: netip.MustParsePrefix("172.20.0.6/16")}}},
		},
		Networks: []snap.Network{
			{Ref: "docker:wide", Name: "wide", Pools: []snap.Pool{{Subnet: netip.MustParsePrefix("172.16.0.0/12")}, {}}},
			{Ref: "docker:app", Name: "app", Bridge: "br-app", Pools: []snap.Pool{{Subnet: netip.MustParsePrefix("172.20.0.0/16")}}},
			{Ref: "docker:none", Name: "none"},
		},
	}
}

func TestDevices(t *testing.T) {
	t.Parallel()
	s := host()
	g, h := walk.New(s), s.HostNs()
	if e, ok := g.Peer(h.Link("veth-web")); !ok || e.Netns.ID != "web" || e.Link.Name != "eth0" {
		t.Errorf("the other end of veth-web: %v %v", e, ok)
	}
	for _, l := range []*snap.Link{nil, h.Link("eth0"), h.Link("veth-gone")} {
		if e, ok := g.Peer(l); ok {
			t.Errorf("%v has the other end %v", l, e)
		}
	}
	if got := g.Ports(h, h.Link("br-app")); len(got) != 2 || got[0].Name != "veth-web" || got[1].Name != "veth-gone" {
		t.Errorf("ports of br-app: %v", got)
	}
	if got := g.Owners(netip.MustParseAddr("172.20.0.5")); len(got) != 1 || got[0].Netns.ID != "web" {
		t.Errorf("owners of web's address: %v, want web and not a machine beside the host", got)
	}
}

func TestWhoseItIs(t *testing.T) {
	t.Parallel()
	g := walk.New(host())
	network := func(n *snap.Network) string {
		if n == nil {
			return ""
		}
		return n.Name
	}
	container := func(c *snap.Container) string {
		if c == nil {
			return ""
		}
		return c.Name
	}
	for _, c := range []struct{ what, got, want string }{
		{"the network of br-app", network(g.NetworkOfBridge("br-app")), "app"},
		{"the network of no bridge", network(g.NetworkOfBridge("")), ""},
		{"the most specific network of an address", network(g.NetworkOfAddr(netip.MustParseAddr("172.20.0.9"))), "app"},
		{"the network of an address of the wide one alone", network(g.NetworkOfAddr(netip.MustParseAddr("172.21.0.9"))), "wide"},
		{"the network of an address of none", network(g.NetworkOfAddr(netip.MustParseAddr("192.0.2.9"))), ""},
		{"the container of an address", container(g.ContainerOfAddr(netip.MustParseAddr("172.20.0.5"))), "web"},
		{"the container of an IPv6 address", container(g.ContainerOfAddr(netip.MustParseAddr("2001:db8::5"))), "web"},
		{"the container of what a stopped one had", container(g.ContainerOfAddr(netip.MustParseAddr("172.20.0.6"))), ""},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.what, c.got, c.want)
		}
	}
	if got := g.ContainersOf("web"); len(got) != 2 || got[0].Name != "web" {
		t.Errorf("containers of web: %v, want its owner first", got)
	}
	if got := g.ContainersOf("nowhere"); got != nil {
		t.Errorf("containers of no namespace: %v", got)
	}
}
