package names

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// steps is a way in short: "where: verdict: answer".
func steps(p Path) []string {
	var out []string
	for _, s := range p.Steps {
		out = append(out, s.Where+": "+s.Verdict+": "+s.Answer)
	}
	return out
}

func ask(s *snap.Snapshot, from, name string) Input {
	in := Input{Snap: s, Netns: from, Name: name}
	if from != "host" {
		in.Container = "docker:" + from
	}
	return in
}

func kind(p *Problem) string {
	if p == nil {
		return ""
	}
	return p.Kind
}

// healthy lets everything through as far as this host goes.
func healthy(string, netip.AddrPort, snap.Proto) Reach { return Reach{OK: true, Known: true} }

func TestTheWayOfANameThatResolves(t *testing.T) {
	t.Parallel()
	in := ask(lab(), "client", "database")
	in.Reach = healthy
	got := Resolve(in)
	want := []string{
		"/etc/hosts: skip: not there",
		"127.0.0.11: ok: the engine's resolver in client",
		"DNAT: ok: to 127.0.0.11:30101",
		"embedded resolver: ok: listening: dockerd (pid 90)",
		"network app: ok: 172.30.1.13",
	}
	if diff := cmp.Diff(want, steps(got)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got.Verdict != Resolved || got.Problem != nil || !cmp.Equal(got.Answers, []string{"172.30.1.13"}) {
		t.Errorf("%s %v, problem %+v", got.Verdict, got.Answers, got.Problem)
	}
	if diff := cmp.Diff(map[string]Verdict{"glibc": Resolved, "musl": Resolved, "go": Resolved}, got.Libc); diff != "" {
		t.Errorf("libc (-want +got)\n%s", diff)
	}
	for _, s := range got.Steps {
		for _, r := range s.Because {
			if _, err := in.Snap.At(r); err != nil {
				t.Errorf("step %s points at nothing: %v", s.Where, err)
			}
		}
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		from    string
		ask     string
		typ     string
		change  func(s *snap.Snapshot)
		cut     string // server that the model says is cut
		want    Verdict
		answers []string
		kind    string
		detail  string // part of the problem's
		others  []string
	}{
		{name: "container name", from: "client", ask: "web", want: Resolved, answers: []string{"172.30.1.12"}},
		{name: "upper case", from: "client", ask: "WEB.", want: Resolved, answers: []string{"172.30.1.12"}},
		{name: "name with its network", from: "client", ask: "web.app", want: Resolved, answers: []string{"172.30.1.12"}},
		{name: "short id", from: "client", ask: "web012345678", want: Resolved, answers: []string{"172.30.1.12"}},
		{name: "no IPv6 address", from: "client", ask: "web", typ: "AAAA", want: NoData, kind: NoSuchName},
		{name: "pointer", from: "client", ask: "172.30.1.12", typ: "PTR", want: Resolved, answers: []string{"web.app."}},
		{name: "own name in hosts", from: "client", ask: "client012345", want: Resolved, answers: []string{"172.30.1.11"}},
		{name: "an address", from: "client", ask: "192.0.2.7", want: Resolved, answers: []string{"192.0.2.7"}},
		{name: "localhost", from: "plain", ask: "localhost", typ: "AAAA", want: Resolved, answers: []string{"::1"}},
		{name: "link alias", from: "client", ask: "store", want: Resolved, answers: []string{"172.30.1.13"}, change: func(s *snap.Snapshot) {
			s.Container("docker:client").Links = []string{"/db:/client/store"}
		}},
		{name: "a paused container answers by name", from: "client", ask: "web", want: Resolved, answers: []string{"172.30.1.12"}, change: func(s *snap.Snapshot) {
			s.Container("docker:web").State = "paused"
		}},
		{name: "an alias of two containers", from: "client", ask: "database", want: Resolved, answers: []string{"172.30.1.12", "172.30.1.13"}, change: func(s *snap.Snapshot) {
			s.Container("docker:web").Endpoints[0].Aliases = []string{"database"}
		}},
		{name: "two networks: the first by name answers", from: "client", ask: "db", want: Resolved, answers: []string{"172.30.1.13"}, change: func(s *snap.Snapshot) {
			for _, c := range []string{"client", "db"} {
				x := s.Container("docker:" + c)
				x.Endpoints = append([]snap.Endpoint{on("other", "172.30.2.9/24")}, x.Endpoints...)
			}
		}},
		{name: "name of the world", from: "client", ask: "www.example.org", want: Unknown},
		{name: "name of the world, seen upstream", from: "client", ask: "www.example.org", want: Resolved, answers: []string{"192.0.2.80"}, change: func(s *snap.Snapshot) {
			asked(s, "client", "198.51.100.53", "www.example.org", "192.0.2.80")
		}},
		{name: "name of the world, seen at the resolver", from: "client", ask: "www.example.org", want: Resolved, answers: []string{"192.0.2.80"}, change: func(s *snap.Snapshot) {
			asked(s, "client", "127.0.0.11", "www.example.org", "192.0.2.80")
		}},
		{name: "default bridge, name of the world", from: "plain", ask: "www.example.org", want: Unknown},
		{name: "host, name of the world", from: "host", ask: "www.example.org", want: Unknown},

		{name: "on another network", from: "client", ask: "lonely", want: Unknown, kind: NotShared, detail: "lonely is on network other, client on network app"},
		{name: "on another network, with its name", from: "client", ask: "lonely.other", want: Unknown, kind: NotShared, detail: "share no network"},
		{name: "on another network, and upstream is cut", from: "client", ask: "lonely", cut: "198.51.100.53", want: Timeout, kind: NotShared, others: []string{Unreachable}},
		{name: "from the host", from: "host", ask: "web", want: Unknown, kind: NotShared, detail: "not to host"},
		{name: "from the default bridge", from: "plain", ask: "web", want: Unknown, kind: DefaultBridge, detail: "default network bridge"},
		{name: "between two on the default bridge", from: "plain", ask: "plain2", want: Unknown, kind: DefaultBridge, detail: "user-defined network"},
		{name: "stopped", from: "client", ask: "gone", want: Unknown, kind: NotRunning, detail: "gone is exited"},
		{name: "alias of a stopped one", from: "client", ask: "left", want: Unknown, kind: NotRunning, detail: "gone is exited"},
		{name: "alias that nobody has", from: "client", ask: "cache", want: Unknown, kind: NoSuchName, detail: "no container on network app has the name or alias cache (there: db, web)"},
		{name: "alias that nobody has, upstream says so, too", from: "client", ask: "cache", want: NXDomain, kind: NoSuchName, detail: "alias cache (there: db, web), and 198.51.100.53 says NXDOMAIN", change: func(s *snap.Snapshot) {
			asked(s, "client", "198.51.100.53", "cache", "NXDOMAIN")
		}},
		{name: "alias that nobody has, upstream refuses", from: "client", ask: "cache", want: Refused, kind: NoSuchName, detail: "and 198.51.100.53 says REFUSED", others: []string{UpstreamRefuses}, change: func(s *snap.Snapshot) {
			asked(s, "client", "198.51.100.53", "cache", "REFUSED")
		}},
		{name: "service without its alias", from: "client", ask: "cache", want: Unknown, kind: AliasMissing, detail: "db is the container of service cache", change: func(s *snap.Snapshot) {
			s.Container("docker:db").Service = "cache"
		}},
		{name: "service by its own name, and the resolver is cut", from: "client", ask: "web", cut: "127.0.0.11", want: Timeout, kind: Unreachable, detail: "127.0.0.11", change: func(s *snap.Snapshot) {
			s.Container("docker:web").Service = "web"
		}},
		{name: "a full name that nobody has", from: "client", ask: "nobody.example.org", want: NXDomain, kind: NoSuchName, change: func(s *snap.Snapshot) {
			asked(s, "client", "198.51.100.53", "nobody.example.org", "NXDOMAIN")
		}},

		{name: "lo down", from: "client", ask: "web", want: Timeout, kind: LoDown, detail: "lo is down in client", change: func(s *snap.Snapshot) {
			s.Ns("client").Links[0].Up = false
		}},
		{name: "nat rules flushed", from: "client", ask: "web", want: Refused, kind: DNATMissing, detail: "DOCKER_OUTPUT", change: func(s *snap.Snapshot) {
			s.Ns("client").Ruleset.Tables[0].Chains[0].Rules = nil
		}},
		{name: "nat rules of an old port", from: "client", ask: "web", want: Refused, kind: DNATDeadPort, detail: "lead to 127.0.0.11:30101, where nothing listens; the resolver is on port 40404", change: func(s *snap.Snapshot) {
			s.Ns("client").Sockets[0].Local = netip.MustParseAddrPort("127.0.0.11:40404")
		}},
		{name: "dockerd dead", from: "client", ask: "web", want: Refused, kind: SocketGone, detail: "dockerd, the daemon, which does not answer", change: func(s *snap.Snapshot) {
			s.Ns("client").Sockets = nil
			s.Engines[0].Reachable = false
		}},
		{name: "dockerd stopped by a signal", from: "client", ask: "web", want: Timeout, kind: EngineHung, detail: "dockerd (pid 90) is stopped", change: func(s *snap.Snapshot) {
			s.Ns("client").Sockets[0].Process = &snap.Process{PID: 90, Name: "dockerd", State: "T"}
		}},
		{name: "rules not read", from: "client", ask: "web", want: Unknown, change: func(s *snap.Snapshot) {
			s.Gaps = []snap.Gap{{What: "ruleset", Netns: "client", Kind: "permission", Why: "permission denied"}}
		}},
		{name: "sockets not read", from: "client", ask: "web", want: Unknown, change: func(s *snap.Snapshot) {
			s.Ns("client").Sockets = nil
			s.Gaps = []snap.Gap{{What: "sockets", Netns: "client", Kind: "permission", Why: "permission denied"}}
		}},
		{name: "resolv.conf not read", from: "client", ask: "web", want: Unknown, change: func(s *snap.Snapshot) {
			s.Resolvers = s.Resolvers[:1]
		}},

		{name: "resolv.conf empty", from: "client", ask: "web", want: Refused, kind: NoNameserver, detail: "resolv.conf of client is empty; nameserver 127.0.0.11 is expected there", others: []string{LoopbackStub}, change: func(s *snap.Snapshot) {
			resolver(s, "client").ResolvConf = conf()
		}},
		{name: "resolv.conf replaced", from: "client", ask: "web", want: Unknown, kind: BypassesEmbedded, detail: "nameserver 198.51.100.53, not 127.0.0.11", change: func(s *snap.Snapshot) {
			resolver(s, "client").ResolvConf = conf("198.51.100.53")
		}},
		{name: "resolv.conf replaced, name of the world", from: "client", ask: "www.example.org", want: Unknown, change: func(s *snap.Snapshot) {
			resolver(s, "client").ResolvConf = conf("198.51.100.53")
		}},
		{name: "a stub of another namespace", from: "plain", ask: "www.example.org", want: Refused, kind: LoopbackStub, detail: "nameserver 127.0.0.53", change: func(s *snap.Snapshot) {
			resolver(s, "plain").ResolvConf = conf("127.0.0.53")
		}},
		{name: "a stub that is served", from: "host", ask: "www.example.org", want: Unknown, change: func(s *snap.Snapshot) {
			s.Resolvers[0].ResolvConf = conf("127.0.0.53")
			s.Netns[0].Sockets = []snap.Socket{{Proto: snap.UDP, Local: netip.MustParseAddrPort("127.0.0.53:53"), Process: &snap.Process{PID: 5, Name: "systemd-resolve"}}}
		}},
		{name: "hosts says otherwise", from: "client", ask: "web", want: Resolved, answers: []string{"172.30.1.99"}, kind: HostsOverride, detail: "line 9 of /etc/hosts in client says web is 172.30.1.99, but web has 172.30.1.12", change: func(s *snap.Snapshot) {
			r := resolver(s, "client")
			r.Hosts = append(r.Hosts, snap.HostsLine{Line: 9, Addr: addr("172.30.1.99"), Names: []string{"web"}})
		}},
		{name: "hosts has an IPv6 address alone, and there is no IPv6", from: "client", ask: "web", want: NoData, kind: HostsOverride, detail: "says web is 2001:db8::9 and nothing else, and client has no IPv6", change: func(s *snap.Snapshot) {
			r := resolver(s, "client")
			r.Hosts = append(r.Hosts, snap.HostsLine{Line: 9, Addr: addr("2001:db8::9"), Names: []string{"web"}})
		}},
		{name: "hosts has an IPv6 address alone, and there is IPv6", from: "client", ask: "web", want: Resolved, answers: []string{"172.30.1.12"}, change: func(s *snap.Snapshot) {
			r := resolver(s, "client")
			r.Hosts = append(r.Hosts, snap.HostsLine{Line: 9, Addr: addr("2001:db8::9"), Names: []string{"web"}})
			s.Ns("client").Addrs = append(s.Ns("client").Addrs, snap.Addr{Index: 2, Prefix: netip.MustParsePrefix("2001:db8::1/64")})
		}},
		{name: "an alias of nobody", from: "client", ask: "shop.example.org", want: NXDomain, kind: NoSuchName, detail: "is an alias (CNAME) of gone.example.net", change: func(s *snap.Snapshot) {
			asked(s, "client", "198.51.100.53", "shop.example.org", "NXDOMAIN")
			s.Probes[0].DNS.Answers = []string{"CNAME gone.example.net."}
		}},
		{name: "a letter off", from: "client", ask: "databse", want: NXDomain, kind: NoSuchName, detail: "is database meant?", change: func(s *snap.Snapshot) {
			asked(s, "client", "198.51.100.53", "databse", "NXDOMAIN")
		}},
		{name: "Docker Desktop's own name", from: "client", ask: "host.docker.internal", want: NXDomain, kind: NoSuchName, detail: "--add-host host.docker.internal:host-gateway", change: func(s *snap.Snapshot) {
			asked(s, "client", "198.51.100.53", "host.docker.internal", "NXDOMAIN")
		}},
		{name: "a domain that the host alone searches", from: "client", ask: "intranet", want: NXDomain, kind: NoSuchName, detail: "this host searches corp.example, which is not in the search list of client", change: func(s *snap.Snapshot) {
			s.Resolvers[0].ResolvConf.Search = []string{"corp.example"}
			asked(s, "client", "198.51.100.53", "intranet", "NXDOMAIN")
		}},
		{name: "in another one's network namespace", from: "client", ask: "gone", want: NXDomain, kind: NotShared, detail: "gone lives in the network namespace of web", change: func(s *snap.Snapshot) {
			c := s.Container("docker:gone")
			c.State, c.NetworkMode, c.Netns, c.Endpoints = "running", "container:web", "web", nil
			asked(s, "client", "198.51.100.53", "gone", "NXDOMAIN")
		}},
		{name: "hosts says the same", from: "client", ask: "web", want: Resolved, answers: []string{"172.30.1.12"}, change: func(s *snap.Snapshot) {
			r := resolver(s, "client")
			r.Hosts = append(r.Hosts, snap.HostsLine{Line: 9, Addr: addr("172.30.1.12"), Names: []string{"web"}})
		}},
		{name: "hosts names something else", from: "client", ask: "printer", want: Resolved, answers: []string{"192.0.2.9"}, change: func(s *snap.Snapshot) {
			r := resolver(s, "client")
			r.Hosts = append(r.Hosts, snap.HostsLine{Line: 9, Addr: addr("192.0.2.9"), Names: []string{"printer"}})
		}},
		{name: "nsswitch without dns", from: "plain", ask: "www.example.org", want: NXDomain, kind: NoDNSSource, change: func(s *snap.Snapshot) {
			resolver(s, "plain").NSSwitch = []string{"files"}
		}},
		{name: "nsswitch of a desktop", from: "plain", ask: "www.example.org", want: Unknown, change: func(s *snap.Snapshot) {
			resolver(s, "plain").NSSwitch = []string{"files", "mdns4_minimal", "[NOTFOUND=return]", "dns"}
		}},

		{name: "upstream cut by a rule", from: "client", ask: "www.example.org", cut: "198.51.100.53", want: Timeout, kind: Unreachable, detail: "questions from client to 198.51.100.53 do not get through: a rule drops it"},
		{name: "upstream cut by a rule, and seen to be silent", from: "client", ask: "www.example.org", cut: "198.51.100.53", want: Timeout, kind: Unreachable, detail: "a rule drops it", change: func(s *snap.Snapshot) {
			asked(s, "client", "198.51.100.53", "www.example.org", "timeout")
		}},
		{name: "a live answer beats the model", from: "client", ask: "www.example.org", cut: "198.51.100.53", want: Resolved, answers: []string{"192.0.2.80"}, change: func(s *snap.Snapshot) {
			asked(s, "client", "198.51.100.53", "www.example.org", "192.0.2.80")
		}},
		{name: "upstream dead", from: "client", ask: "www.example.org", want: Timeout, kind: UpstreamDead, detail: "198.51.100.53 does not answer, asked from client", change: func(s *snap.Snapshot) {
			asked(s, "client", "198.51.100.53", "www.example.org", "timeout")
		}},
		{name: "upstream dead, asked for another name", from: "client", ask: "www.example.org", want: Timeout, kind: UpstreamDead, change: func(s *snap.Snapshot) {
			asked(s, "client", "198.51.100.53", "", "timeout")
		}},
		{name: "upstream alive, asked for another name", from: "client", ask: "www.example.org", want: Unknown, change: func(s *snap.Snapshot) {
			asked(s, "client", "198.51.100.53", "", "REFUSED")
		}},
		{name: "upstream dead, but the name is local", from: "client", ask: "web", want: Resolved, answers: []string{"172.30.1.12"}, change: func(s *snap.Snapshot) {
			asked(s, "client", "198.51.100.53", "", "timeout")
		}},
		{name: "upstream refuses", from: "plain", ask: "www.example.org", want: Refused, kind: UpstreamRefuses, detail: "answers REFUSED", change: func(s *snap.Snapshot) {
			asked(s, "plain", "198.51.100.53", "www.example.org", "REFUSED")
		}},
		{name: "first server dead", from: "plain", ask: "www.example.org", want: Resolved, answers: []string{"192.0.2.80"}, kind: FirstServerDead, detail: "each look-up first waits 5s for 192.168.50.77", change: func(s *snap.Snapshot) {
			resolver(s, "plain").ResolvConf = conf("192.168.50.77", "198.51.100.53")
			asked(s, "plain", "192.168.50.77", "www.example.org", "timeout")
			asked(s, "plain", "198.51.100.53", "www.example.org", "192.0.2.80")
		}},
		{name: "second server dead is no matter", from: "plain", ask: "www.example.org", want: Resolved, answers: []string{"192.0.2.80"}, change: func(s *snap.Snapshot) {
			resolver(s, "plain").ResolvConf = conf("198.51.100.53", "192.168.50.77")
			asked(s, "plain", "192.168.50.77", "www.example.org", "timeout")
			asked(s, "plain", "198.51.100.53", "www.example.org", "192.0.2.80")
		}},
		{name: "Google instead of the host's loopback server", from: "plain", ask: "www.example.org", want: Timeout, kind: GoogleFallback, detail: "8.8.8.8, its own fallback: the host's resolv.conf has only 127.0.0.1", others: []string{UpstreamDead, UpstreamDead}, change: func(s *snap.Snapshot) {
			s.Resolvers[0].ResolvConf = conf("127.0.0.1")
			resolver(s, "plain").ResolvConf = conf("8.8.8.8", "8.8.4.4")
			asked(s, "plain", "8.8.8.8", "www.example.org", "timeout")
			asked(s, "plain", "8.8.4.4", "www.example.org", "timeout")
		}},
		{name: "Google works", from: "plain", ask: "www.example.org", want: Resolved, answers: []string{"192.0.2.80"}, others: []string{GoogleFallback}, change: func(s *snap.Snapshot) {
			s.Resolvers[0].ResolvConf = conf("127.0.0.1")
			resolver(s, "plain").ResolvConf = conf("8.8.8.8", "8.8.4.4")
			asked(s, "plain", "8.8.8.8", "www.example.org", "192.0.2.80")
		}},
		{name: "--dns that is not there", from: "client", ask: "www.example.org", want: Timeout, kind: UpstreamDead, detail: "192.168.50.77", change: func(s *snap.Snapshot) {
			s.Container("docker:client").DNS = []string{"192.168.50.77"}
			asked(s, "client", "192.168.50.77", "www.example.org", "timeout")
		}},
		{name: "a modern engine asks the host's servers from the host", from: "client", ask: "www.example.org", want: ServFail, kind: UpstreamDead, detail: "asked from the host", change: func(s *snap.Snapshot) {
			s.Engines[0].Version = "29.0.1"
			resolver(s, "client").ResolvConf.ExtServers = []string{"host(198.51.100.53)"}
			asked(s, "host", "198.51.100.53", "www.example.org", "timeout")
		}},
		{name: "a modern engine without any server", from: "client", ask: "www.example.org", want: ServFail, kind: UpstreamMissing, change: func(s *snap.Snapshot) {
			s.Engines[0].Version = "29.0.1"
			s.Resolvers[0].ResolvConf = conf()
		}},
		{name: "internal network", from: "client", ask: "www.example.org", want: ServFail, kind: InternalNetwork, change: func(s *snap.Snapshot) {
			s.Engines[0].Version = "29.0.1"
			s.Networks[0].Internal = true
		}},
		{name: "internal network of an old engine", from: "client", ask: "www.example.org", cut: "198.51.100.53", want: Timeout, kind: InternalNetwork, detail: "a rule drops it", change: func(s *snap.Snapshot) {
			s.Networks[0].Internal = true
		}},
		{name: "disconnected from its network", from: "client", ask: "web", want: Unknown, kind: NotShared, detail: "client is not connected to any network; web is on network app", change: func(s *snap.Snapshot) {
			s.Container("docker:client").Endpoints = nil
		}},
		{name: "internal network, own name", from: "client", ask: "db", want: Resolved, answers: []string{"172.30.1.13"}, change: func(s *snap.Snapshot) {
			s.Networks[0].Internal = true
		}},
		{name: "explicit ndots keeps single words at home", from: "client", ask: "cache", want: NoData, kind: NoSuchName, change: func(s *snap.Snapshot) {
			rc := &resolver(s, "client").ResolvConf
			rc.Options, rc.Ndots = []string{"ndots:2"}, 2
		}},
		{name: "refused as it stands, found by the search list", from: "plain", ask: "www", want: Resolved, answers: []string{"192.0.2.80"}, others: []string{UpstreamRefuses}, change: func(s *snap.Snapshot) {
			rc := &resolver(s, "plain").ResolvConf
			rc.Search, rc.Options, rc.Ndots = []string{"example.org"}, []string{"ndots:0"}, 0
			asked(s, "plain", "198.51.100.53", "www", "REFUSED")
			asked(s, "plain", "198.51.100.53", "www.example.org", "192.0.2.80")
		}},
		{name: "the search list's refused upstream, a neighbour as it stands", from: "client", ask: "web", want: Resolved, answers: []string{"172.30.1.12"}, others: []string{UpstreamRefuses}, change: func(s *snap.Snapshot) {
			rc := &resolver(s, "client").ResolvConf
			rc.Search, rc.Options, rc.Ndots = []string{"corp"}, []string{"ndots:1"}, 1
			asked(s, "client", "198.51.100.53", "web.corp", "REFUSED")
		}},
		{name: "a service's virtual address", from: "client", ask: "shop", want: Resolved, answers: []string{"172.30.1.40"}, change: swarm},
		{name: "a service by its network", from: "client", ask: "shop.app", want: Resolved, answers: []string{"172.30.1.40"}, change: swarm},
		{name: "the tasks of a service", from: "client", ask: "Tasks.Shop", want: Resolved, answers: []string{"172.30.1.41", "172.30.1.42"}, change: swarm},
		{name: "a service without a virtual address", from: "client", ask: "pool", want: Resolved, answers: []string{"172.30.1.43"}, change: swarm},
		{name: "no IPv6 for a service", from: "client", ask: "shop", typ: "AAAA", want: NoData, kind: NoSuchName, change: swarm},
		{name: "a swarm service is not predicted", from: "client", ask: "tasks.shop", want: Unknown, change: func(s *snap.Snapshot) {
			s.Container("docker:db").Labels = map[string]string{"com.docker.swarm.service.name": "shop"}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := lab()
			if tt.change != nil {
				tt.change(s)
			}
			in := ask(s, tt.from, tt.ask)
			in.Type = tt.typ
			in.Reach = func(_ string, server netip.AddrPort, _ snap.Proto) Reach {
				if tt.cut != "" && server.Addr() == addr(tt.cut) {
					return Reach{Known: true, Why: "a rule drops it", Because: []snap.Ref{"netns/host"}}
				}
				return Reach{Known: true, OK: true}
			}
			p := Resolve(in)
			if p.Verdict != tt.want || !cmp.Equal(p.Answers, tt.answers) || kind(p.Problem) != tt.kind {
				t.Errorf("got %s %v %q (%+v), want %s %v %q\n%s", p.Verdict, p.Answers, kind(p.Problem), p.Problem, tt.want, tt.answers, tt.kind, strings.Join(steps(p), "\n"))
			}
			if p.Problem != nil {
				if !strings.Contains(p.Problem.Detail, tt.detail) {
					t.Errorf("detail %q lacks %q", p.Problem.Detail, tt.detail)
				}
				for _, r := range append([]snap.Ref{p.Problem.Ref}, p.Problem.Because...) {
					if _, err := s.At(r); err != nil {
						t.Errorf("problem %s points at nothing: %v", p.Problem.Kind, err)
					}
				}
			}
			var others []string
			for _, o := range p.Others {
				others = append(others, o.Kind)
			}
			if diff := cmp.Diff(tt.others, others); diff != "" {
				t.Errorf("other problems (-want +got)\n%s", diff)
			}
		})
	}
}

// swarm puts two services on the network app: one with a virtual address, and one
// without.
func swarm(s *snap.Snapshot) {
	s.Networks[0].Services = []snap.Service{
		{Name: "shop", VIP: addr("172.30.1.40"), Tasks: []netip.Addr{addr("172.30.1.41"), addr("172.30.1.42")}},
		{Name: "pool", Tasks: []netip.Addr{addr("172.30.1.43")}},
	}
}
