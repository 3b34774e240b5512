package intent

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// host is docker0 and one more network, bridge1, with c1 at 192.0.2.2 that
// publishes 8080 to its port 80: the host of moby's generated documents.
func host(version string, change func(e *snap.Engine, n *snap.Network, p *snap.Port)) *snap.Snapshot {
	e := snap.Engine{Name: "docker", Version: version, Rules: "docker-28", IPTables: true, UserlandProxy: true, Reachable: true}
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	net := func(name, bridge, subnet string, hours int) snap.Network {
		return snap.Network{
			Ref: "docker:" + name, Engine: "docker", ID: name, Name: name, Driver: "bridge", Bridge: bridge, ICC: true, Masquerade: true,
			Pools: []snap.Pool{{Subnet: netip.MustParsePrefix(subnet)}}, Created: day.Add(time.Duration(hours) * time.Hour),
		}
	}
	def, one := net("bridge", "docker0", "172.17.0.0/16", 5), net("n1", "bridge1", "192.0.2.0/24", 1)
	def.Default = true
	c := snap.Container{
		Ref: "docker:c1", Engine: "docker", ID: "c1", Name: "c1", State: "running", NetworkMode: "n1",
		Endpoints: []snap.Endpoint{{Network: "n1", NetworkID: "n1", IPv4: netip.MustParsePrefix("192.0.2.2/24")}},
		Ports: []snap.Port{
			{Proto: snap.TCP, HostIP: netip.IPv4Unspecified(), HostPort: 8080, ContainerPort: 80},
			{Proto: snap.TCP, HostIP: netip.IPv6Unspecified(), HostPort: 8080, ContainerPort: 80},
		},
	}
	if change != nil {
		change(&e, &one, &c.Ports[0])
	}
	return &snap.Snapshot{
		Host: snap.Host{Netns: "host"}, Netns: []snap.Netns{{ID: "host", Class: snap.ClassHost}},
		Engines: []snap.Engine{e}, Networks: []snap.Network{def, one}, Containers: []snap.Container{c},
	}
}

func texts(t *testing.T, s *snap.Snapshot) map[string][]string {
	t.Helper()
	sets := Of(s)
	if len(sets) != 1 {
		t.Fatalf("%d sets", len(sets))
	}
	out := map[string][]string{}
	for _, r := range sets[0].Rules {
		out[r.Table] = append(out[r.Table], r.Text)
	}
	for _, c := range sets[0].Chains {
		out["chains"] = append(out["chains"], c.Table+" "+c.Name)
	}
	slices.Sort(out["chains"])
	return out
}

// chain are the lines of one chain, in order.
func chain(lines []string, name string) []string {
	var out []string
	for _, l := range lines {
		if strings.HasPrefix(l, "-A "+name+" ") {
			out = append(out, l)
		}
	}
	return out
}

// The rules below are what Docker's own documents list for that release
// (moby integration/network/bridge/iptablesdoc/generated, at the release's tag).
func TestWhatDocker28And29Write(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, version string
		change        func(e *snap.Engine, n *snap.Network, p *snap.Port)
		filter, nat   string
	}{
		{name: "29, a published port", version: "29.7.2", filter: `
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-FORWARD
-A DOCKER -d 192.0.2.2/32 ! -i bridge1 -o bridge1 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER ! -i docker0 -o docker0 -j DROP
-A DOCKER ! -i bridge1 -o bridge1 -j DROP
-A DOCKER-BRIDGE -o docker0 -j DOCKER
-A DOCKER-BRIDGE -o bridge1 -j DOCKER
-A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-CT -o bridge1 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-FORWARD -j DOCKER-CT
-A DOCKER-FORWARD -j DOCKER-INTERNAL
-A DOCKER-FORWARD -j DOCKER-BRIDGE
-A DOCKER-FORWARD -i docker0 -j ACCEPT
-A DOCKER-FORWARD -i bridge1 -j ACCEPT`, nat: `
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 192.0.2.0/24 ! -o bridge1 -j MASQUERADE
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER ! -i bridge1 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 192.0.2.2:80`},
		{name: "28.0.0, whose ipset was not read", version: "28.0.0", filter: `
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -i docker0 -j ACCEPT
-A FORWARD -i bridge1 -j ACCEPT
-A DOCKER -d 192.0.2.2/32 ! -i bridge1 -o bridge1 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER ! -i docker0 -o docker0 -j DROP
-A DOCKER ! -i bridge1 -o bridge1 -j DROP
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -i bridge1 ! -o bridge1 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-2 -o bridge1 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-USER -j RETURN`, nat: `
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 192.0.2.0/24 ! -o bridge1 -j MASQUERADE
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER -i bridge1 -j RETURN
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i bridge1 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 192.0.2.2:80`},
		{name: "28, a published port", version: "28.5.2", filter: `
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-FORWARD
-A DOCKER -d 192.0.2.2/32 ! -i bridge1 -o bridge1 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER ! -i docker0 -o docker0 -j DROP
-A DOCKER ! -i bridge1 -o bridge1 -j DROP
-A DOCKER-BRIDGE -o docker0 -j DOCKER
-A DOCKER-BRIDGE -o bridge1 -j DOCKER
-A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-CT -o bridge1 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-FORWARD -j DOCKER-CT
-A DOCKER-FORWARD -j DOCKER-ISOLATION-STAGE-1
-A DOCKER-FORWARD -j DOCKER-BRIDGE
-A DOCKER-FORWARD -i docker0 -j ACCEPT
-A DOCKER-FORWARD -i bridge1 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -i bridge1 ! -o bridge1 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-2 -o bridge1 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP`, nat: `
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 192.0.2.0/24 ! -o bridge1 -j MASQUERADE
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER -i bridge1 -j RETURN
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i bridge1 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 192.0.2.2:80`},
		{name: "29 without docker-proxy", version: "29.0.0", change: func(e *snap.Engine, _ *snap.Network, _ *snap.Port) { e.UserlandProxy = false }, nat: `
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -o bridge1 -m addrtype --src-type LOCAL -j MASQUERADE
-A POSTROUTING -s 192.0.2.0/24 ! -o bridge1 -j MASQUERADE
-A POSTROUTING -o docker0 -m addrtype --src-type LOCAL -j MASQUERADE
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A POSTROUTING -s 192.0.2.2/32 -d 192.0.2.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE
-A DOCKER -p tcp -m tcp --dport 8080 -j DNAT --to-destination 192.0.2.2:80`},
		{name: "29, published on loopback, no icc", version: "29.0.0", change: func(_ *snap.Engine, n *snap.Network, p *snap.Port) {
			n.ICC, p.HostIP = false, netip.MustParseAddr("127.0.0.1")
		}, filter: `
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-FORWARD
-A DOCKER -d 192.0.2.2/32 ! -i bridge1 -o bridge1 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER ! -i docker0 -o docker0 -j DROP
-A DOCKER ! -i bridge1 -o bridge1 -j DROP
-A DOCKER-BRIDGE -o docker0 -j DOCKER
-A DOCKER-BRIDGE -o bridge1 -j DOCKER
-A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-CT -o bridge1 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-FORWARD -j DOCKER-CT
-A DOCKER-FORWARD -j DOCKER-INTERNAL
-A DOCKER-FORWARD -j DOCKER-BRIDGE
-A DOCKER-FORWARD -i docker0 -j ACCEPT
-A DOCKER-FORWARD -i bridge1 -o bridge1 -j DROP
-A DOCKER-FORWARD -i bridge1 ! -o bridge1 -j ACCEPT`, nat: `
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 192.0.2.0/24 ! -o bridge1 -j MASQUERADE
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER -d 127.0.0.1/32 ! -i bridge1 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 192.0.2.2:80`},
		{name: "29, internal", version: "29.0.0", change: func(_ *snap.Engine, n *snap.Network, _ *snap.Port) { n.Internal = true }, filter: `
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-FORWARD
-A DOCKER ! -i docker0 -o docker0 -j DROP
-A DOCKER-BRIDGE -o docker0 -j DOCKER
-A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-FORWARD -j DOCKER-CT
-A DOCKER-FORWARD -j DOCKER-INTERNAL
-A DOCKER-FORWARD -j DOCKER-BRIDGE
-A DOCKER-FORWARD -i docker0 -j ACCEPT
-A DOCKER-FORWARD -i bridge1 -o bridge1 -j ACCEPT
-A DOCKER-INTERNAL ! -s 192.0.2.0/24 -o bridge1 -j DROP
-A DOCKER-INTERNAL ! -d 192.0.2.0/24 -i bridge1 -j DROP`, nat: `
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE`},
	} {
		got := texts(t, host(tt.version, tt.change))
		for table, want := range map[string]string{"filter": tt.filter, "nat": tt.nat} {
			if want == "" {
				continue
			}
			lines := strings.Split(strings.TrimPrefix(want, "\n"), "\n")
			var names []string
			for _, l := range slices.Concat(lines, got[table]) {
				if n := strings.Fields(l)[1]; !slices.Contains(names, n) {
					names = append(names, n)
				}
			}
			for _, n := range names { // only the order inside a chain counts
				if diff := cmp.Diff(chain(lines, n), chain(got[table], n)); diff != "" {
					t.Errorf("%s: %s %s (-want +got)\n%s", tt.name, table, n, diff)
				}
			}
		}
	}
}

func TestGenerationsThatAreNotKnownGiveNothing(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"", "dev"} {
		if sets := Of(host(version, nil)); len(sets) != 0 {
			t.Errorf("%q: %d sets", version, len(sets))
		}
	}
	rootless := host("29.0.0", func(e *snap.Engine, _ *snap.Network, _ *snap.Port) { e.Rootless = true })
	if sets := Of(rootless); len(sets) != 0 {
		t.Errorf("rootless: %d sets", len(sets))
	}
}

func TestWhat2800AsksItsIPSet(t *testing.T) {
	t.Parallel()
	s := host("28.0.0", nil)
	one := netip.MustParsePrefix("192.0.2.0/24")
	s.Netns[0].IPSets = []snap.IPSet{{Name: "docker-ext-bridges-v4", Index: 2, Entries: []snap.IPSetEntry{{IP: one}}}}
	want := []string{
		"-A FORWARD -j DOCKER-USER",
		"-A FORWARD -m set --match-set docker-ext-bridges-v4 dst -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
		"-A FORWARD -j DOCKER-ISOLATION-STAGE-1",
		"-A FORWARD -m set --match-set docker-ext-bridges-v4 dst -j DOCKER",
		"-A FORWARD -i docker0 -j ACCEPT",
		"-A FORWARD -i bridge1 -j ACCEPT",
	}
	if diff := cmp.Diff(want, chain(texts(t, s)["filter"], "FORWARD")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	d := Diff(s, Of(s)[0])
	if len(d.Members) != 1 || d.Members[0].Net != netip.MustParsePrefix("172.17.0.0/16") {
		t.Errorf("lacking: %v, want docker0's network", d.Members)
	}
	s.Netns[0].IPSets[0].Truncated = true // what was not read may be in it
	if d := Diff(s, Of(s)[0]); len(d.Members) > 0 {
		t.Errorf("claimed of a set that was read in part: %v", d.Members)
	}
}
