package app

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func TestContainerAddress(t *testing.T) {
	t.Parallel()
	s := fixture()
	twoNets := s.Container("docker:web")
	twoNets.Endpoints = append([]snap.Endpoint{{Network: "other", NetworkID: s.Networks[1].ID, IPv4: pfx("172.30.2.99/24")}}, twoNets.Endpoints...)
	for _, c := range []struct {
		name, dst, from string
		fam             Family
		want            string
	}{
		{"the one on the shared network, though it is not the first", "docker:web", "client", 0, "172.30.1.12"},
		{"the one on the other shared network", "docker:web", "lonely", 0, "172.30.2.99"},
		{"the first one when none is shared", "docker:web", "host", 0, "172.30.2.99"},
		{"itself", "docker:web", "web", 0, "127.0.0.1"},
		{"itself by IPv6", "docker:web", "web", 6, "::1"},
		{"no IPv6 at all", "docker:web", "client", 6, "invalid IP"},
		{"not running", "docker:crashy", "client", 0, "invalid IP"},
	} {
		if got := containerAddr(s, s.Container(c.dst), c.from, c.fam).String(); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestNetnsAddress(t *testing.T) {
	t.Parallel()
	s := fixture()
	for _, c := range []struct{ dst, from, want string }{
		{"host", "client", "172.30.1.1"}, // on the shared subnet
		{"host", "lonely", "172.30.2.1"},
		{"host", "lab-blue", "192.0.2.10"}, // the first one
		{"host", "host", "127.0.0.1"},
		{"lab-blue", "host", "invalid IP"},
	} {
		if got := netnsAddr(s, c.dst, c.from, 0).String(); got != c.want {
			t.Errorf("%s from %s: got %s, want %s", c.dst, c.from, got, c.want)
		}
	}
}

func TestArrival(t *testing.T) {
	t.Parallel()
	s := fixture()
	b := &builder{s: s}
	eth1 := b.link(0, snap.Link{Name: "eth1"})
	b.address(0, eth1, "198.51.100.10/24")
	s.Networks = append(s.Networks, snap.Network{Ref: "docker:mv", Engine: "docker", ID: "mv", Name: "mv", Driver: "macvlan", Parent: "eth1"})
	s.Containers = append(s.Containers, snap.Container{
		Ref: "docker:mvd", Engine: "docker", Name: "mvd", State: "running",
		Endpoints: []snap.Endpoint{{Network: "mv", NetworkID: "mv", IPv4: netip.MustParsePrefix("198.51.100.40/24")}},
	})
	back := func(netip.Addr) string { return "eth0" }
	lost := func(netip.Addr) string { return "" }
	for _, c := range []struct {
		name, dst string
		back      func(netip.Addr) string
		want      string
	}{
		{"by the way back", "172.30.1.12", back, "eth0"},
		{"to the other uplink's own address by that uplink", "198.51.100.10", back, "eth1"},
		{"to a bridge's address by the way back", "172.30.1.1", back, "eth0"},
		{"to a macvlan container by its parent", "198.51.100.40", back, "eth1"},
		{"without a way back to an uplink's address", "192.0.2.10", lost, "eth0"},
		{"without a way back to anything else", "172.30.1.12", lost, ""},
	} {
		if got := arrival(s, netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr(c.dst), c.back); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestOtherFamily(t *testing.T) {
	t.Parallel()
	addr := netip.MustParseAddr
	back := func(netip.Addr) string { return "eth0" }
	with6 := func() *snap.Snapshot {
		s := fixture()
		s.Netns[0].Addrs = append(s.Netns[0].Addrs, snap.Addr{Index: 2, Prefix: netip.MustParsePrefix("2001:db8::10/64")})
		return s
	}
	neighbour := with6()
	neighbour.Netns[0].Neighs = []snap.Neigh{
		{Index: 2, IP: addr("192.0.2.20"), MAC: "02:00:00:00:00:20"},
		{Index: 2, IP: addr("fe80::20"), MAC: "02:00:00:00:00:20"},
		{Index: 2, IP: addr("2001:db8::77"), MAC: "02:00:00:00:00:20"},
	}
	outside := with6()
	outside.Netns[5].Class = snap.ClassOutside
	outside.Netns[5].Addrs = append(outside.Netns[5].Addrs, snap.Addr{Prefix: netip.MustParsePrefix("192.0.2.20/24")}, snap.Addr{Prefix: netip.MustParsePrefix("2001:db8::20/64")})
	got := map[string]string{}
	for name, s := range map[string]*snap.Snapshot{"none": fixture(), "on the link": with6(), "the same neighbour": neighbour, "a namespace tells": outside} {
		got[name] = otherFamily(s, addr("192.0.2.20"), addr("2001:db8::10"), back).String()
	}
	want := map[string]string{"none": "invalid IP", "on the link": "2001:db8::2", "the same neighbour": "2001:db8::77", "a namespace tells": "2001:db8::20"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestBatchLines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   batchLine
		want string
		bad  bool
	}{
		{batchLine{From: "a", To: "10.0.0.1", ToPort: 80, Proto: "tcp"}, "10.0.0.1:80/tcp", false},
		{batchLine{From: "a", ToIP: "10.0.0.1", ToPort: 53, Proto: "UDP"}, "10.0.0.1:53/udp", false},
		{batchLine{From: "a", To: "2001:db8::1", ToPort: 80}, "[2001:db8::1]:80", false},
		{batchLine{From: "a", To: "10.0.0.1", Proto: "icmp"}, "10.0.0.1/icmp", false},
		{batchLine{From: "a", To: "10.0.0.1/icmp", Proto: "icmp"}, "10.0.0.1/icmp", false},
		{batchLine{From: "a", To: "10.0.0.1:53/udp"}, "10.0.0.1:53/udp", false},
		{batchLine{From: "a", To: "web:80", Proto: "sctp"}, "web:80/sctp", false},
		{batchLine{From: "a"}, "", true},
		{batchLine{To: "10.0.0.1"}, "", true},
		{batchLine{From: "a", To: "10.0.0.1", ToPort: 70000}, "", true},
		{batchLine{From: "a", To: "10.0.0.1", Sport: -1}, "", true},
		{batchLine{From: "a", To: "10.0.0.1", Size: 1 << 20}, "", true},
	} {
		got, err := c.in.dst()
		if got != c.want || (err != nil) != c.bad {
			t.Errorf("%+v: got %q, %v", c.in, got, err)
		}
	}
}
