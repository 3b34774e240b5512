package names

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// podlab is a host with pweb and pcli on podnet, and pold on podman's default network.
func podlab() *snap.Snapshot {
	s := lab()
	s.Containers = s.Containers[:0]
	s.Engines = []snap.Engine{{Name: "podman", Version: "5.4.2", Reachable: true}}
	gw := addr("10.89.7.1")
	s.Networks = []snap.Network{
		{Ref: "podman:podnet", Engine: "podman", ID: "podnet-id", Name: "podnet", DNS: true, DNSServers: []netip.Addr{gw}, Pools: []snap.Pool{{Subnet: netip.MustParsePrefix("10.89.7.0/24"), Gateway: gw}}},
		{Ref: "podman:podman", Engine: "podman", ID: "podman-id", Name: "podman", Default: true},
	}
	s.Netns[0].Addrs = append(s.Netns[0].Addrs, snap.Addr{Index: 5, Prefix: netip.MustParsePrefix("10.89.7.1/24")})
	s.Netns[0].Sockets = []snap.Socket{{Proto: snap.UDP, Local: netip.AddrPortFrom(gw, 53), Process: &snap.Process{PID: 77, Name: "aardvark-dns"}}}
	for _, c := range []struct{ name, net, ip, ns string }{
		{"pweb", "podnet", "10.89.7.2/24", "10.89.7.1"}, {"pcli", "podnet", "10.89.7.3/24", "10.89.7.1"}, {"pold", "podman", "10.88.0.2/16", "198.51.100.53"},
	} {
		ref := "podman:" + c.name
		s.Containers = append(s.Containers, snap.Container{
			Ref: ref, Engine: "podman", ID: c.name + "0123456789abcdef", Name: c.name, State: "running", Netns: c.name,
			NetworkMode: c.net, Endpoints: []snap.Endpoint{{Network: c.net, NetworkID: c.net + "-id", IPv4: netip.MustParsePrefix(c.ip)}},
		})
		s.Netns = append(s.Netns, snap.Netns{ID: c.name, Class: snap.ClassContainer, Containers: []string{ref}, Links: []snap.Link{lo()}})
		r := snap.Resolver{Owner: ref, Netns: c.name, ResolvConf: conf(c.ns)}
		if c.net == "podnet" {
			r.ResolvConf.Search = []string{"dns.podman"}
		}
		s.Resolvers = append(s.Resolvers, r)
	}
	return s
}

func TestPodman(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, from, ask string
		change          func(s *snap.Snapshot)
		want            Verdict
		answers         []string
		kind, detail    string
	}{
		{name: "container name", from: "pcli", ask: "pweb", want: Resolved, answers: []string{"10.89.7.2"}},
		{name: "with the search domain", from: "pcli", ask: "pweb.dns.podman", want: Resolved, answers: []string{"10.89.7.2"}},
		{name: "name of the world", from: "pcli", ask: "www.example.org", want: Unknown},
		{name: "nobody's name in the search domain is not forwarded", from: "pcli", ask: "nobody.dns.podman.", want: NXDomain, kind: NoSuchName},
		{name: "name of the world, seen upstream", from: "pcli", ask: "www.example.org", want: Resolved, answers: []string{"192.0.2.80"}, change: func(s *snap.Snapshot) {
			asked(s, "host", "198.51.100.53", "www.example.org", "192.0.2.80")
		}},
		{name: "upper case", from: "pcli", ask: "PWEB.", want: Resolved, answers: []string{"10.89.7.2"}},
		{name: "upper case with the search domain", from: "pcli", ask: "PWEB.dns.podman.", want: Unknown},
		{name: "a single word is not forwarded", from: "pcli", ask: "nobody.", want: NXDomain, kind: NoSuchName, detail: "no container on network podnet has the name or alias nobody. (there: pweb)"},
		{name: "aardvark-dns dead", from: "pcli", ask: "pweb", want: Refused, kind: AardvarkDead, detail: "nothing listens on 10.89.7.1:53/udp in the host", change: func(s *snap.Snapshot) {
			s.Netns[0].Sockets = nil
		}},
		{name: "dnsmasq in its place", from: "pcli", ask: "pweb", want: Unknown, kind: Port53Taken, detail: "dnsmasq (pid 88) listens on 10.89.7.1:53/udp", change: func(s *snap.Snapshot) {
			s.Netns[0].Sockets[0].Process = &snap.Process{PID: 88, Name: "dnsmasq"}
		}},
		{name: "dnsmasq on all addresses in its place", from: "pcli", ask: "pweb", want: Unknown, kind: Port53Taken, change: func(s *snap.Snapshot) {
			s.Netns[0].Sockets = []snap.Socket{{Proto: snap.UDP, Local: netip.MustParseAddrPort("0.0.0.0:53"), Process: &snap.Process{PID: 88, Name: "dnsmasq"}}}
		}},
		{name: "aardvark-dns stopped by a signal", from: "pcli", ask: "pweb", want: Timeout, kind: EngineHung, change: func(s *snap.Snapshot) {
			s.Netns[0].Sockets[0].Process.State = "T"
		}},
		{name: "default network", from: "pold", ask: "pweb", want: Unknown, kind: DefaultBridge, detail: "default network podman"},
		{name: "its own upstream", from: "pcli", ask: "www.example.org", want: ServFail, change: func(s *snap.Snapshot) {
			s.Resolvers[0].ResolvConf = conf("10.89.7.1")
		}, kind: NoSuchName},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := podlab()
			if tt.change != nil {
				tt.change(s)
			}
			p := Resolve(Input{Snap: s, Netns: tt.from, Container: "podman:" + tt.from, Name: tt.ask, Reach: healthy})
			if p.Verdict != tt.want || !cmp.Equal(p.Answers, tt.answers) || kind(p.Problem) != tt.kind {
				t.Errorf("got %s %v (%+v), want %s %v %q\n%s", p.Verdict, p.Answers, p.Problem, tt.want, tt.answers, tt.kind, strings.Join(steps(p), "\n"))
			}
			if p.Problem != nil && !strings.Contains(p.Problem.Detail, tt.detail) {
				t.Errorf("detail %q lacks %q", p.Problem.Detail, tt.detail)
			}
		})
	}
}
