package diag

import (
	"net/netip"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/inspect/walk"
)

// What one container tries at another whose network it is not on is never an
// oversight, even where a lost rule lets the request in and another drops the answer.
func TestContainersWithoutACommonNetworkAreApart(t *testing.T) {
	t.Parallel()
	box := func(name, network, addr string) (snap.Container, snap.Netns) {
		p := netip.MustParsePrefix(addr)
		return snap.Container{Ref: "docker:" + name, Engine: "docker", Name: name, State: "running", Netns: name, Endpoints: []snap.Endpoint{{Network: network, NetworkID: network, IPv4: p}}},
			snap.Netns{ID: name, Class: snap.ClassContainer, Containers: []string{"docker:" + name}, Links: []snap.Link{{Index: 2, Name: "eth0"}}, Addrs: []snap.Addr{{Index: 2, Prefix: p}}}
	}
	s := &snap.Snapshot{Networks: []snap.Network{{Ref: "docker:a", ID: "a", Name: "a", Engine: "docker"}, {Ref: "docker:b", ID: "b", Name: "b", Engine: "docker"}}}
	for _, b := range [][3]string{{"web", "a", "172.20.0.2/24"}, {"db", "a", "172.20.0.3/24"}, {"lonely", "b", "172.21.0.2/24"}} {
		c, n := box(b[0], b[1], b[2])
		s.Containers, s.Netns = append(s.Containers, c), append(s.Netns, n)
	}
	in := &Input{Snap: s, Graph: walk.New(s)}
	for to, want := range map[string]bool{"172.20.0.3": false, "172.21.0.2": true, "192.0.2.1": false} {
		if got := in.apart(&FlowCase{Flow: sim.Flow{From: "web", Dst: netip.MustParseAddr(to)}}); got != want {
			t.Errorf("web and %s are apart: %v, want %v", to, got, want)
		}
	}
}
