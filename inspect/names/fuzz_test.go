package names

import (
	"net/netip"
	"testing"
)

// FuzzReverse: a reverse name gives back its address, and nothing panics.
func FuzzReverse(f *testing.F) {
	for _, s := range []string{"192.0.2.1", "2001:db8::1", "1.2.0.192.in-addr.arpa.", "x.in-addr.arpa", "1.ip6.arpa", "", "::ffff:192.0.2.1", "fe80::1%eth0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, ok := address(s)
		if !ok || a.Zone() != "" {
			return
		}
		if b, ok := address(reverse(a.String())); !ok || b != a {
			t.Errorf("%q is %v, its reverse name %s is %v", s, a, reverse(a.String()), b)
		}
	})
}

// FuzzResolve: any name from any file ends in a verdict, and an answer is never
// made up.
func FuzzResolve(f *testing.F) {
	f.Add("web", "a.example", 1)
	f.Add("web.", ".", 0)
	f.Add("..", "", 15)
	f.Add("\x00.app", "app", -1)
	f.Add("web.app.web.app", "app app", 3)
	f.Fuzz(func(t *testing.T, name, search string, ndots int) {
		s := lab()
		rc := &resolver(s, "client").ResolvConf
		rc.Search, rc.Ndots = []string{search}, ndots
		for _, from := range []string{"client", "plain", "host"} {
			p := Resolve(ask(s, from, name))
			if p.Verdict == "" || (p.Verdict == Resolved) != (len(p.Answers) > 0) {
				t.Errorf("%q from %s: %q %v", name, from, p.Verdict, p.Answers)
			}
			for _, a := range p.Answers {
				if _, err := netip.ParseAddr(a); err != nil {
					t.Errorf("%q from %s: answer %q is no address", name, from, a)
				}
			}
		}
	})
}
