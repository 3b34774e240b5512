package names

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// What came of the name as it stands is told, whatever came of the search list's names;
// glibc itself gives that back where it asked for it first (resolv/res_query.c:
// __res_context_search, saved_herrno).
func TestTheNameAsItStands(t *testing.T) {
	t.Parallel()
	const name, longer = "www.example.org", "www.example.org.corp.example.net"
	tests := []struct {
		name           string
		ndots          int
		self, listed   string
		verdict, glibc Verdict
		kind, sentence string
	}{
		{"not there, and the list is refused", 1, "NXDOMAIN", "REFUSED", NXDomain, NXDomain, NoSuchName, "says NXDOMAIN"},
		{"silence, and the list is refused", 1, "timeout", "REFUSED", Timeout, Timeout, SilentForName, "does not answer for www.example.org, and answers other questions"},
		{"refused after the list was", 5, "REFUSED", "REFUSED", Refused, Refused, UpstreamRefuses, "REFUSED for www.example.org when"},
		{"not there after a list that fails", 5, "NXDOMAIN", "SERVFAIL", NXDomain, ServFail, NoSuchName, "says NXDOMAIN"},
		{"silence to both", 1, "timeout", "timeout", Timeout, Timeout, UpstreamDead, "does not answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := listed("corp.example.net")
			resolver(s, "plain").ResolvConf.Ndots = tt.ndots
			asked(s, "plain", "198.51.100.53", name, tt.self)
			asked(s, "plain", "198.51.100.53", longer, tt.listed)
			in := ask(s, "plain", name)
			in.Reach = healthy
			p := Resolve(in)
			if p.Verdict != tt.verdict || p.Libc["glibc"] != tt.glibc || kind(p.Problem) != tt.kind {
				t.Fatalf("%s, glibc %s, problem %+v", p.Verdict, p.Libc["glibc"], p.Problem)
			}
			if !strings.Contains(p.Problem.Detail, tt.sentence) {
				t.Errorf("%q", p.Problem.Detail)
			}
			remark := slices.ContainsFunc(p.Others, func(x Problem) bool { return x.Kind == UpstreamRefuses })
			if want := tt.listed != "timeout"; remark != want {
				t.Errorf("the search list's trouble is a remark: %t, want %t", remark, want)
			}
		})
	}
}

// A server that is silent to one name, and answers for the root's servers, lives; what it
// answers for a third name is not known.
func TestAServerThatIsSilentForOneName(t *testing.T) {
	t.Parallel()
	s := lab()
	resolver(s, "plain").ResolvConf = conf("198.51.100.53")
	asked(s, "plain", "198.51.100.53", ".", "REFUSED")
	s.Probes[len(s.Probes)-1].DNS.Type = "NS"
	asked(s, "plain", "198.51.100.53", "git.example.org", "timeout")
	for name, want := range map[string]string{"git.example.org": SilentForName, "www.example.org": ""} {
		in := ask(s, "plain", name)
		in.Reach = healthy
		if p := Resolve(in); kind(p.Problem) != want {
			t.Errorf("%s: %s, problem %+v", name, p.Verdict, p.Problem)
		}
	}
}

// A name with an IPv6 address alone, whatever its server says of the other kind.
func TestAnIPv6AddressAlone(t *testing.T) {
	t.Parallel()
	for _, says := range []string{"REFUSED", "NXDOMAIN", "NOERROR"} {
		s := lab()
		resolver(s, "plain").ResolvConf = conf("198.51.100.53")
		asked(s, "plain", "198.51.100.53", "six.example.org", says)
		asked(s, "plain", "198.51.100.53", "six.example.org", "2001:db8::20")
		d := s.Probes[len(s.Probes)-1].DNS
		d.Type, d.Answers = "AAAA", []string{"AAAA 2001:db8::20"}
		in := ask(s, "plain", "six.example.org")
		in.Reach = healthy
		p := Resolve(in)
		if p.Verdict != NoData || kind(p.Problem) != OnlyIPv6 || p.Problem.Detail != "six.example.org has an IPv6 address only (2001:db8::20), and plain has no IPv6" {
			t.Errorf("%s: %s, problem %+v", says, p.Verdict, p.Problem)
		}
		ns := s.Ns("plain")
		ns.Addrs = append(ns.Addrs, snap.Addr{Prefix: netip.MustParsePrefix("2001:db8:1::2/64")})
		if p = Resolve(in); kind(p.Problem) != NoSuchName {
			t.Errorf("with IPv6: %+v", p.Problem)
		}
	}
}
