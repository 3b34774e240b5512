package inspect

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// net builds joined snapshots: namespaces and the links between them.
type plan struct{ s *snap.Snapshot }

func newPlan() *plan {
	s := &snap.Snapshot{Schema: snap.Schema, Host: snap.Host{Netns: "host"}}
	return (&plan{s}).ns("host")
}

func (p *plan) ns(ids ...string) *plan {
	for _, id := range ids {
		p.s.Netns = append(p.s.Netns, snap.Netns{ID: id, Names: []string{}, NSIDs: map[int]string{}})
	}
	return p
}

func (p *plan) link(id string, l snap.Link) int {
	n := p.s.Ns(id)
	l.Index = len(n.Links) + 1
	if l.PeerNetns == "" {
		l.PeerNetns, l.PeerNSID = id, -1
	}
	n.Links = append(n.Links, l)
	return l.Index
}

// veth joins two namespaces; the first end may be a port of master.
func (p *plan) veth(a, dev, b string, master int) *plan {
	i := p.link(a, snap.Link{Name: dev, Kind: "veth", PeerNetns: b, Master: master})
	j := p.link(b, snap.Link{Name: "eth-" + dev, Kind: "veth", PeerNetns: a, Peer: i})
	p.s.Ns(a).Links[i-1].Peer = j
	return p
}

func (p *plan) bridge(name string) int {
	return p.link("host", snap.Link{Name: name, Kind: "bridge", Bridge: &snap.Bridge{}})
}

func (p *plan) defaultRoute(dev, via string) *plan {
	h := p.s.HostNs()
	h.Routes = append(h.Routes, snap.Route{
		Family: snap.IPv4, Table: 254, Type: "unicast", Dst: netip.MustParsePrefix("0.0.0.0/0"),
		Oif: h.Link(dev).Index, Gateway: netip.MustParseAddr(via),
	})
	return p
}

func (p *plan) addr(id, prefix string) *plan {
	n := p.s.Ns(id)
	n.Addrs = append(n.Addrs, snap.Addr{Index: 1, Prefix: netip.MustParsePrefix(prefix)})
	return p
}

func (p *plan) container(id, ref string) *plan {
	p.s.Ns(id).Containers = append(p.s.Ns(id).Containers, ref)
	return p
}

func TestClassify(t *testing.T) {
	t.Parallel()
	type classes map[string]snap.NetnsClass
	tests := []struct {
		name string
		plan func(*plan)
		want classes
	}{
		{"a host with a container and a router", func(p *plan) {
			br := p.bridge("docker0")
			p.ns("web", "rtr", "inet").veth("host", "eth0", "rtr", 0).veth("rtr", "wan0", "inet", 0).veth("host", "veth1", "web", br)
			p.container("web", "docker:web").defaultRoute("eth0", "192.0.2.1")
		}, classes{"web": "container", "rtr": "outside", "inet": "outside"}},
		{"plain namespaces on a bridge and on a veth", func(p *plan) {
			br := p.bridge("br0")
			p.ns("blue", "green", "inet").veth("host", "b", "blue", br).veth("host", "g", "green", 0).veth("host", "up", "inet", 0).defaultRoute("up", "192.0.2.1")
		}, classes{"blue": "attached", "green": "attached", "inet": "outside"}},
		{"no default route: who has links of its own beyond is outside", func(p *plan) {
			p.ns("rtr", "inet", "blue").veth("host", "eth0", "rtr", 0).veth("rtr", "wan0", "inet", 0).veth("host", "b", "blue", 0)
		}, classes{"rtr": "outside", "inet": "outside", "blue": "attached"}},
		{"the uplink is a bridge: who holds the gateway is outside, its other ports are ours", func(p *plan) {
			br := p.bridge("br0")
			p.ns("rtr", "vm").veth("host", "eth0", "rtr", br).veth("host", "tap", "vm", br).addr("rtr", "192.0.2.1/24").defaultRoute("br0", "192.0.2.1")
		}, classes{"rtr": "outside", "vm": "attached"}},
		{"below a VLAN uplink", func(p *plan) {
			p.ns("rtr").veth("host", "eth0", "rtr", 0)
			p.link("host", snap.Link{Name: "eth0.5", Kind: "vlan", Peer: p.s.HostNs().Link("eth0").Index})
			p.defaultRoute("eth0.5", "192.0.2.1")
		}, classes{"rtr": "outside"}},
		{"a macvlan on the uplink is ours", func(p *plan) {
			p.ns("mac", "rtr").veth("host", "eth0", "rtr", 0).defaultRoute("eth0", "192.0.2.1")
			p.link("mac", snap.Link{Name: "eth0", Kind: "macvlan", PeerNetns: "host", Peer: p.s.HostNs().Link("eth0").Index})
		}, classes{"mac": "attached", "rtr": "outside"}},
		{"containers inside a container", func(p *plan) {
			br := p.bridge("docker0")
			p.ns("dind", "inner").veth("host", "v", "dind", br).veth("dind", "vi", "inner", 0).container("dind", "docker:dind")
		}, classes{"dind": "container", "inner": "attached"}},
		{"an engine's own namespaces", func(p *plan) {
			p.ns("1-abcdefghij", "web").veth("1-abcdefghij", "veth0", "web", 0).container("web", "docker:web")
			p.s.Ns("1-abcdefghij").Names = []string{"1-abcdefghij"}
		}, classes{"1-abcdefghij": "sandbox", "web": "container"}},
		{"a container without any link, and somebody else's namespaces", func(p *plan) {
			p.ns("none", "x", "y").container("none", "docker:none").veth("x", "v", "y", 0)
		}, classes{"none": "container", "x": "foreign", "y": "foreign"}},
		{"two ways to the host: the uplink decides", func(p *plan) {
			br := p.bridge("br0")
			p.ns("rtr").veth("host", "p", "rtr", br).veth("host", "eth0", "rtr", 0).defaultRoute("eth0", "192.0.2.1")
		}, classes{"rtr": "outside"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlan()
			tt.plan(p)
			classify(p.s)
			got := classes{}
			for _, n := range p.s.Netns {
				if n.ID != "host" {
					got[n.ID] = n.Class
				} else if n.Class != snap.ClassHost {
					t.Errorf("the host is %q", n.Class)
				}
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

func TestJoin(t *testing.T) {
	t.Parallel()
	ns := func(id string, inode uint64, names ...string) snap.Netns {
		return snap.Netns{ID: id, Inode: inode, Names: names, Pids: []int{}, Containers: []string{}}
	}
	s := &snap.Snapshot{
		Host: snap.Host{Netns: "ns:1"},
		Netns: []snap.Netns{
			ns("ns:1", 1), ns("ns:2", 2, "0123456789ab"), ns("ns:3", 3), ns("ns:4", 4, "web"), ns("ns:5", 5), ns("ns:6", 6), ns("ns:7", 7, "db"),
		},
		Containers: []snap.Container{
			{Ref: "docker:db", Name: "db", State: "running"},
			{Ref: "docker:proxy", Name: "proxy", State: "running", NetworkMode: "host"},
			{Ref: "docker:sidecar", Name: "sidecar", State: "running", NetworkMode: "container:abc"},
			{Ref: "docker:web", Name: "web", State: "running", NetworkMode: "app", Endpoints: []snap.Endpoint{
				{Network: "app", IPv4: netip.MustParsePrefix("192.0.2.2/24")}, {Network: "gone", IPv4: netip.MustParsePrefix("192.0.2.9/24")},
			}},
			{Ref: "podman:db", Name: "db", State: "running"},
			{Ref: "docker:host", Name: "host", State: "running"},
		},
		Gaps: []snap.Gap{{What: "ruleset", Netns: "ns:5"}},
	}
	s.Netns[4].Pids = []int{77}
	host, web := &s.Netns[0], &s.Netns[1]
	proc := &snap.Process{PID: 9, Netns: "ns:1"}
	web.Sockets = []snap.Socket{{Inode: 1, Process: proc}, {Inode: 2, Process: proc}}
	host.NSIDs, web.NSIDs = map[int]string{0: "ns:2", 5: ""}, map[int]string{3: "ns:1"}
	host.Links = []snap.Link{
		{Index: 4, Name: "veth1", Kind: "veth", Peer: 2, PeerNSID: 0},
		{Index: 2, Name: "wrong", Kind: "veth", Peer: 4, PeerNSID: 5},
		{Index: 5, Name: "docker0", Kind: "bridge", PeerNSID: -1},
	}
	web.Links = []snap.Link{
		{Index: 2, Name: "eth0", Kind: "veth", Peer: 4, PeerNSID: 3}, {Index: 3, Name: "eth1", Kind: "veth", Peer: 5, PeerNSID: 3},
	}
	web.Addrs = []snap.Addr{{Index: 2, Prefix: netip.MustParsePrefix("192.0.2.2/24")}}
	join(s, map[int]uint64{0: 3, 1: 1, 2: 2, 3: 2, 4: 6})
	// docker:host has no namespace here.

	var ids []string
	for _, n := range s.Netns {
		ids = append(ids, n.ID)
	}
	// Two engines have a db, and then a file has the name too; "web" is the
	// container's, so the file of that name stands back.
	want := []string{"host", "db", "docker:db", "netns:web", "pid:77", "podman:db", "web"}
	if d := cmp.Diff(want, ids); d != "" {
		t.Errorf("ids (-want +got)\n%s", d)
	}
	w := s.Ns("web")
	if d := cmp.Diff([]string{"docker:web", "docker:sidecar"}, w.Containers); d != "" {
		t.Errorf("containers of web, the sandbox's owner first (-want +got)\n%s", d)
	}
	if d := cmp.Diff(map[string]string{"docker:db": "docker:db", "docker:proxy": "host", "docker:sidecar": "web", "docker:web": "web", "podman:db": "podman:db", "docker:host": ""}, netnsOfAll(s)); d != "" {
		t.Errorf("namespaces of containers (-want +got)\n%s", d)
	}
	if got := w.Sockets[1].Process.Netns; got != "host" {
		t.Errorf("the socket's process lives in %q", got)
	}
	if got := w.Links[0].PeerNetns; got != "host" {
		t.Errorf("eth0's other end is in %q", got)
	}
	if got := s.HostNs().Link("wrong").PeerNetns; got != "" {
		t.Errorf("an unknown namespace was guessed to be %q", got)
	}
	c := s.Container("docker:web")
	if c.Endpoints[0].Link != "eth0" || c.Endpoints[0].HostLink != "veth1" || c.Endpoints[1].Link != "" {
		t.Errorf("endpoints %+v", c.Endpoints)
	}
	wantGaps := []snap.Gap{ // none of pid:77, which is foreign
		{What: "link", Netns: "web", Ref: "netns/web/link/eth1", Kind: "torn", Why: "the other end of eth1 should be device 5 of host, which is another one or gone: it changed while it was read"},
		{What: "namespace", Netns: "host", Ref: "netns/host/link/wrong", Kind: "not-found", Why: "the other end of wrong is in a namespace (netns id 5) that no process or file leads to"},
	}
	if d := cmp.Diff(wantGaps, s.Gaps); d != "" {
		t.Errorf("gaps (-want +got)\n%s", d)
	}
}

func netnsOfAll(s *snap.Snapshot) map[string]string {
	out := map[string]string{}
	for _, c := range s.Containers {
		out[c.Ref] = c.Netns
	}
	return out
}
