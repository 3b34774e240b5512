package resolv

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// asFile writes a parsed file back as a plain one.
func asFile(rc snap.ResolvConf) string {
	var b strings.Builder
	for _, a := range rc.Nameservers {
		b.WriteString("nameserver " + a.String() + "\n")
	}
	if len(rc.Search) > 0 {
		b.WriteString("search " + strings.Join(rc.Search, " ") + "\n")
	}
	if len(rc.Options) > 0 {
		b.WriteString("options " + strings.Join(rc.Options, " ") + "\n")
	}
	return b.String()
}

func FuzzParseResolvConf(f *testing.F) {
	f.Add([]byte("nameserver fe80::1%eth0\nsearch a b\noptions ndots:5 rotate\n# ExtServers: [host(192.0.2.1)]\n"))
	f.Add([]byte("nameserver 1.2.3.4\r\n\x00domain x\n; no\noptions timeout:-1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		ParseResolvConfAs(b, Musl)
		rc := ParseResolvConf(b)
		for _, a := range rc.Nameservers {
			if !a.IsValid() {
				t.Fatal("a zero nameserver")
			}
		}
		again := ParseResolvConf([]byte(asFile(rc)))
		if diff := cmp.Diff(rc, again, byAddr, cmpopts.IgnoreFields(snap.ResolvConf{}, "Raw", "BadLines", "ExtServers", "BasedOn", "Internal")); diff != "" {
			t.Errorf("printed and parsed again (-want +got):\n%s", diff)
		}
	})
}

func FuzzParseHosts(f *testing.F) {
	f.Add([]byte("127.0.0.1 localhost\n::1 a b # c\nbad x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, h := range ParseHosts(b) {
			if !h.Addr.IsValid() || len(h.Names) == 0 || h.Line < 1 {
				t.Errorf("a line without address, name or number: %+v", h)
			}
		}
	})
}

func FuzzParseNSSwitch(f *testing.F) {
	f.Add([]byte("hosts: files [!UNAVAIL=return] dns\n"))
	f.Add([]byte("hosts: [ x ] ] [\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := ParseNSSwitch(b)
		again := ParseNSSwitch([]byte("hosts: " + strings.Join(got, " ") + "\n"))
		if got != nil && !cmp.Equal(got, again) {
			t.Errorf("printed and parsed again: %q, then %q", got, again)
		}
	})
}
