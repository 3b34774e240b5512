package names

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// listed gives plain a search list that comes before names with few dots.
func listed(domain string) *snap.Snapshot {
	s := lab()
	rc := &resolver(s, "plain").ResolvConf
	*rc = conf("198.51.100.53")
	rc.Search, rc.Ndots = []string{domain}, 5
	return s
}

func TestTheSearchListLeadsAstray(t *testing.T) {
	t.Parallel()
	const name = "www.example.org"
	tests := []struct {
		name           string
		self, control  string // answers for the name as it stands, and for nobody's
		want, sentence string
	}{
		{"elsewhere, and to all alike", "192.0.2.80", "203.0.113.66", BadSearch, "answers to every name"},
		{"elsewhere, to this one", "192.0.2.80", "NXDOMAIN", BadSearch, "by itself www.example.org is 192.0.2.80"},
		{"a name that is nobody's", "NXDOMAIN", "203.0.113.66", BadSearch, "has no such name"},
		{"what the list is for", "NXDOMAIN", "NXDOMAIN", "", ""},
		{"to the same", "203.0.113.66", "203.0.113.66", "", ""},
		{"not known", "", "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := listed("corp.example.net")
			asked(s, "plain", "198.51.100.53", name+".corp.example.net", "203.0.113.66")
			for n, a := range map[string]string{name: tt.self, ControlLabel + ".corp.example.net": tt.control} {
				if a != "" {
					asked(s, "plain", "198.51.100.53", n, a)
				}
			}
			in := ask(s, "plain", name)
			in.Reach = healthy
			p := Resolve(in)
			if p.Verdict != Resolved || kind(p.Problem) != tt.want {
				t.Fatalf("%s, problem %+v", p.Verdict, p.Problem)
			}
			if p.Problem != nil && !strings.Contains(p.Problem.Detail, tt.sentence) {
				t.Errorf("%q", p.Problem.Detail)
			}
		})
	}
}

// A domain that nobody answers for: glibc waits 2 × 5 s and then leaves the list
// (10.06 s on a real host), Go goes on with it, musl ends there.
func TestTheSearchListMakesWait(t *testing.T) {
	t.Parallel()
	s := listed("gone.example.net")
	asked(s, "plain", "198.51.100.53", "www.example.org.gone.example.net", "timeout")
	asked(s, "plain", "198.51.100.53", "www.example.org", "192.0.2.80")
	in := ask(s, "plain", "www.example.org")
	in.Reach = healthy
	p := Resolve(in)
	if diff := cmp.Diff(map[string]Verdict{"glibc": Resolved, "musl": Timeout, "go": Resolved}, p.Libc); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if kind(p.Problem) != SlowSearch || p.Problem.Wait != 10*time.Second || p.Problem.Domain != "gone.example.net" {
		t.Errorf("problem %+v", p.Problem)
	}
	// A server that is silent whatever is asked is no search list's doing.
	s = listed("gone.example.net")
	asked(s, "plain", "198.51.100.53", "www.example.org.gone.example.net", "timeout")
	asked(s, "plain", "198.51.100.53", "www.example.org", "timeout")
	in.Snap = s
	if p = Resolve(in); p.Verdict != Timeout || kind(p.Problem) != UpstreamDead {
		t.Errorf("%s, problem %+v", p.Verdict, p.Problem)
	}
}

func TestServersThatDisagree(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, first, second, want string
	}{
		{"one knows it", "NXDOMAIN", "10.20.0.5", ServersDiffer},
		{"the later one does not", "10.20.0.5", "NXDOMAIN", ServersDiffer},
		{"private and public", "10.20.0.5", "203.0.113.5", ServersDiffer},
		{"two of a content network", "203.0.113.5", "203.0.113.6", ""},
		{"neither", "NXDOMAIN", "NXDOMAIN", ""},
		{"a filter", "0.0.0.0", "203.0.113.6", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := lab()
			resolver(s, "plain").ResolvConf = conf("198.51.100.53", "198.51.100.54")
			asked(s, "plain", "198.51.100.53", "corp.example.org", tt.first)
			asked(s, "plain", "198.51.100.54", "corp.example.org", tt.second)
			in := ask(s, "plain", "corp.example.org")
			in.Reach = healthy
			p := Resolve(in)
			got := ""
			for _, x := range append(p.Others, Problem{Kind: kind(p.Problem)}) {
				if x.Kind == ServersDiffer {
					got = x.Kind
				}
			}
			if got != tt.want {
				t.Errorf("%s, problem %+v, others %+v", p.Verdict, p.Problem, p.Others)
			}
		})
	}
}

// A name server in a container whose own resolv.conf leads back to it.
func TestAServerThatIsItsOwnUpstream(t *testing.T) {
	t.Parallel()
	for _, upstream := range []string{"172.17.0.1", "198.51.100.53"} {
		s := lab()
		at := ""
		for i := range s.Containers {
			if c := &s.Containers[i]; c.Name == "plain2" || c.Name == "lonely" {
				at = c.Name
				for _, e := range c.Endpoints {
					upstream = strings.Replace(upstream, "172.17.0.1", e.IPv4.Addr().String(), 1)
					resolver(s, "plain").ResolvConf = conf(e.IPv4.Addr().String())
					asked(s, "plain", e.IPv4.Addr().String(), "www.example.org", "timeout")
				}
				if r := s.Resolver(c.Ref); r != nil {
					r.ResolvConf = conf(upstream)
				}
				break
			}
		}
		if at == "" {
			t.Fatal("no container")
		}
		in := ask(s, "plain", "www.example.org")
		in.Reach = healthy
		want := ForwardLoop
		if upstream == "198.51.100.53" {
			want = UpstreamDead
		}
		if p := Resolve(in); kind(p.Problem) != want {
			t.Errorf("%s asks %s: problem %+v", at, upstream, p.Problem)
		}
	}
}
