package names

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func TestCandidates(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, ask           string
		search              []string
		ndots               int
		glibc, musl, golang []string
	}{
		{"no search list", "web", nil, 1, []string{"web"}, []string{"web"}, []string{"web"}},
		{"one word", "web", []string{"a.example"}, 1, []string{"web.a.example", "web"}, []string{"web.a.example", "web"}, []string{"web.a.example", "web"}},
		{"ndots 0 tries the word first, musl nothing else", "web", []string{"a.example"}, 0, []string{"web", "web.a.example"}, []string{"web"}, []string{"web", "web.a.example"}},
		{"a dot reaches ndots", "web.b", []string{"a.example"}, 1, []string{"web.b", "web.b.a.example"}, []string{"web.b"}, []string{"web.b", "web.b.a.example"}},
		{
			"ndots 5 as in Kubernetes", "web.b",
			[]string{"a.example", "c.example"},
			5,
			[]string{"web.b.a.example", "web.b.c.example", "web.b"},
			[]string{"web.b.a.example", "web.b.c.example", "web.b"},
			[]string{"web.b.a.example", "web.b.c.example", "web.b"},
		},
		{"a last dot leaves the list out", "web.", []string{"a.example"}, 5, []string{"web"}, []string{"web"}, []string{"web"}},
		{"the root in the list", "web", []string{".", "a.example"}, 1, []string{"web", "web.a.example"}, []string{"web", "web.a.example", "web"}, []string{"web", "web.a.example", "web"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := lab()
			rc := &resolver(s, "plain").ResolvConf
			rc.Search, rc.Ndots = tt.search, tt.ndots
			w := newWalker(ask(s, "plain", tt.ask))
			for libc, want := range map[string][]string{"glibc": tt.glibc, "musl": tt.musl, "go": tt.golang} {
				if diff := cmp.Diff(want, w.candidates(libc)); diff != "" {
					t.Errorf("%s (-want +got)\n%s", libc, diff)
				}
			}
		})
	}
}

// Where the libcs part ways.
func TestLibcs(t *testing.T) {
	t.Parallel()
	const a, b = "198.51.100.53", "198.51.100.54"
	tests := []struct {
		name   string
		ask    string
		change func(s *snap.Snapshot)
		want   map[string]Verdict
	}{
		{"the first server refuses, the second knows", "www.example.org", func(s *snap.Snapshot) {
			asked(s, "plain", a, "www.example.org", "REFUSED")
			asked(s, "plain", b, "www.example.org", "192.0.2.80")
		}, map[string]Verdict{"glibc": Resolved, "musl": Resolved, "go": Resolved}},
		{"the first server denies it, the second knows: musl takes the faster", "www.example.org", func(s *snap.Snapshot) {
			asked(s, "plain", a, "www.example.org", "NXDOMAIN")
			asked(s, "plain", b, "www.example.org", "192.0.2.80")
		}, map[string]Verdict{"glibc": NXDomain, "musl": Unknown, "go": NXDomain}},
		{"a search domain fails: musl stops there", "www", func(s *snap.Snapshot) {
			resolver(s, "plain").ResolvConf.Search = []string{"corp.example"}
			for _, srv := range []string{a, b} {
				asked(s, "plain", srv, "www.corp.example", "SERVFAIL")
				asked(s, "plain", srv, "www", "192.0.2.80")
			}
		}, map[string]Verdict{"glibc": Resolved, "musl": ServFail, "go": Resolved}},
		{"a search domain has no address of that family: musl stops there", "www", func(s *snap.Snapshot) {
			resolver(s, "plain").ResolvConf.Search = []string{"corp.example"}
			for _, srv := range []string{a, b} {
				asked(s, "plain", srv, "www.corp.example", "NOERROR")
				asked(s, "plain", srv, "www", "192.0.2.80")
			}
		}, map[string]Verdict{"glibc": Resolved, "musl": NoData, "go": Resolved}},
		{"hosts has the other family only: all stop there where that is of no use", "printer", func(s *snap.Snapshot) {
			resolver(s, "plain").Hosts = []snap.HostsLine{{Line: 1, Addr: addr("2001:db8::9"), Names: []string{"printer"}}}
			asked(s, "plain", a, "printer", "192.0.2.9")
			asked(s, "plain", b, "printer", "192.0.2.9")
		}, map[string]Verdict{"glibc": NoData, "musl": NoData, "go": NoData}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := lab()
			resolver(s, "plain").ResolvConf = conf(a, b)
			tt.change(s)
			p := Resolve(ask(s, "plain", tt.ask))
			if diff := cmp.Diff(tt.want, p.Libc); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// The arithmetic of waiting: Docker's resolver waits 4 s for each server, the
// client no longer than its own timeout.
func TestTwoDeadUpstreamsBeforeAGoodOne(t *testing.T) {
	t.Parallel()
	s := lab()
	s.Engines[0].Version = "29.0.1"
	resolver(s, "client").ResolvConf.ExtServers = []string{"host(192.0.2.1)", "host(192.0.2.2)", "host(198.51.100.53)"}
	asked(s, "host", "192.0.2.1", "www.example.org", "timeout")
	asked(s, "host", "192.0.2.2", "www.example.org", "timeout")
	asked(s, "host", "198.51.100.53", "www.example.org", "192.0.2.80")
	p := Resolve(ask(s, "client", "www.example.org"))
	want := map[string]Verdict{"glibc": Resolved, "musl": Timeout, "go": Timeout}
	if diff := cmp.Diff(want, p.Libc); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if kind(p.Problem) != FirstServerDead {
		t.Errorf("problem %+v, want %s", p.Problem, FirstServerDead)
	}
	w := newWalker(ask(s, "client", "www.example.org"))
	if o := w.run("glibc"); o.wait != 8*time.Second {
		t.Errorf("wait %v, want 8s", o.wait)
	}
}

func TestReverseNamesRoundTrip(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"192.0.2.1", "2001:db8::1:2"} {
		a, ok := address(reverse(s))
		if !ok || a != netip.MustParseAddr(s) {
			t.Errorf("%s became %s and then %v", s, reverse(s), a)
		}
	}
}
