package resolv

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

var byAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

// conf is the value of an empty file, changed by f.
func conf(f func(*snap.ResolvConf)) snap.ResolvConf {
	rc := NoResolvConf()
	rc.Exists = true
	f(&rc)
	return rc
}

func addrs(s ...string) []netip.Addr {
	out := []netip.Addr{}
	for _, a := range s {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

func TestParseResolvConf(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, libc, in string
		want           snap.ResolvConf
	}{
		{"an empty file has the defaults", Glibc, "", conf(func(*snap.ResolvConf) {})},
		{
			"servers stay in order, all of them", Glibc,
			"nameserver 198.51.100.53\nnameserver\t2001:db8::53\nnameserver 198.51.100.54\nnameserver 198.51.100.55\n",
			conf(func(rc *snap.ResolvConf) {
				rc.Nameservers = addrs("198.51.100.53", "2001:db8::53", "198.51.100.54", "198.51.100.55")
			}),
		},
		{
			"a scope is kept", Glibc, "nameserver fe80::1%eth0\n",
			conf(func(rc *snap.ResolvConf) { rc.Nameservers = addrs("fe80::1%eth0") }),
		},
		{
			"a comment ends an address", Glibc, "nameserver 198.51.100.53;old\nnameserver 198.51.100.54#new\n",
			conf(func(rc *snap.ResolvConf) { rc.Nameservers = addrs("198.51.100.53", "198.51.100.54") }),
		},
		{
			"old forms of IPv4 are addresses", Glibc, "nameserver 127.1\nnameserver 0x7f.0.0.1\nnameserver 010.0.0.1\nnameserver 3325256704\n",
			conf(func(rc *snap.ResolvConf) { rc.Nameservers = addrs("127.0.0.1", "127.0.0.1", "8.0.0.1", "198.51.100.0") }),
		},
		{
			"bad addresses are kept as bad lines", Glibc, "nameserver dns.example.org\nnameserver 1.2.3.400\nnameserver 1.2.3.4.5\nnameserver 0b1.2.3.4\nnameserver\t\n",
			conf(func(rc *snap.ResolvConf) {
				rc.BadLines = []string{"nameserver dns.example.org", "nameserver 1.2.3.400", "nameserver 1.2.3.4.5", "nameserver 0b1.2.3.4", "nameserver\t"}
			}),
		},
		{
			"a keyword needs the first column and a blank", Glibc, " nameserver 198.51.100.53\nnameserver198.51.100.53\nnameserver\n",
			conf(func(*snap.ResolvConf) {}),
		},
		{
			"the last search or domain wins", Glibc, "search a.example.org b.example.org\ndomain c.example.org d.example.org\nsearch\n",
			conf(func(rc *snap.ResolvConf) { rc.Search = []string{"c.example.org"} }),
		},
		{
			"a dot alone is a search list", Glibc, "search .\n",
			conf(func(rc *snap.ResolvConf) { rc.Search = []string{"."} }),
		},
		{
			"options are clamped and add up", Glibc, "options ndots:99 timeout:99\noptions attempts:99 rotate use-vc edns0 single-request trust-ad\n",
			conf(func(rc *snap.ResolvConf) {
				rc.Options = []string{"ndots:99", "timeout:99", "attempts:99", "rotate", "use-vc", "edns0", "single-request", "trust-ad"}
				rc.Ndots, rc.TimeoutS, rc.Attempts = 15, 30, 5
				rc.Rotate, rc.UseVC, rc.EDNS0, rc.SingleRequest = true, true, true, true
			}),
		},
		{
			"numbers are C's", Glibc, "options ndots: timeout:7s attempts:-1\n",
			conf(func(rc *snap.ResolvConf) {
				rc.Options = []string{"ndots:", "timeout:7s", "attempts:-1"}
				rc.Ndots, rc.TimeoutS = 0, 7
			}),
		},
		{
			"a number beyond all bounds is the limit", Glibc, "options ndots:99999999999999999999\n",
			conf(func(rc *snap.ResolvConf) {
				rc.Options, rc.Ndots = []string{"ndots:99999999999999999999"}, 15
			}),
		},
		{
			"a carriage return spoils the address for glibc", Glibc, "nameserver 198.51.100.53\r\n",
			conf(func(rc *snap.ResolvConf) { rc.BadLines = []string{"nameserver 198.51.100.53\r"} }),
		},
		{
			"a carriage return is white space for musl", Musl, "nameserver 198.51.100.53\r\nsearch a.example.org\r\n",
			conf(func(rc *snap.ResolvConf) {
				rc.Nameservers, rc.Search = addrs("198.51.100.53"), []string{"a.example.org"}
			}),
		},
		{
			"musl has limits of its own and three options", Musl, "options rotate ndots:99 timeout:99 attempts:99\n",
			conf(func(rc *snap.ResolvConf) {
				rc.Options = []string{"rotate", "ndots:99", "timeout:99", "attempts:99"}
				rc.Ndots, rc.TimeoutS, rc.Attempts = 15, 60, 10
			}),
		},
		{
			"musl skips a line that is too long", Musl, "search " + strings.Repeat("a", 300) + "\nnameserver 198.51.100.53\n",
			conf(func(rc *snap.ResolvConf) { rc.Nameservers = addrs("198.51.100.53") }),
		},
		{
			"musl takes a whole domain line", Musl, "domain a.example.org b.example.org\n",
			conf(func(rc *snap.ResolvConf) { rc.Search = []string{"a.example.org", "b.example.org"} }),
		},
		{
			"a NUL ends the line", Glibc, "nameserver 198.51.100.53\x00junk\nnameserver 198.51.100.54\n",
			conf(func(rc *snap.ResolvConf) { rc.Nameservers = addrs("198.51.100.53", "198.51.100.54") }),
		},
		{
			"Docker's own resolver tells its upstreams", Glibc,
			"nameserver 127.0.0.11\nsearch example.org\noptions ndots:0\n\n# Based on host file: '/etc/resolv.conf' (internal resolver)\n# ExtServers: [host(198.51.100.53) 198.51.100.54]\n# Overrides: [nameservers]\n# Option ndots from: internal\n",
			conf(func(rc *snap.ResolvConf) {
				rc.Nameservers, rc.Search, rc.Options, rc.Ndots = addrs("127.0.0.11"), []string{"example.org"}, []string{"ndots:0"}, 0
				rc.BasedOn, rc.Internal, rc.ExtServers = "/etc/resolv.conf", true, []string{"host(198.51.100.53)", "198.51.100.54"}
			}),
		},
		{
			"Docker's copy for the default bridge is not its resolver's", Glibc,
			"nameserver 198.51.100.53\n\n# Based on host file: '/run/systemd/resolve/resolv.conf' (legacy)\n# Overrides: []\n",
			conf(func(rc *snap.ResolvConf) {
				rc.Nameservers, rc.BasedOn = addrs("198.51.100.53"), "/run/systemd/resolve/resolv.conf"
			}),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := ParseResolvConfAs([]byte(tt.in), tt.libc)
			if got.Raw != strings.ToValidUTF8(tt.in, "\uFFFD") {
				t.Errorf("Raw = %q, want the file", got.Raw)
			}
			if diff := cmp.Diff(tt.want, got, byAddr, cmpopts.IgnoreFields(snap.ResolvConf{}, "Raw")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestHugeFilesAreBounded(t *testing.T) {
	t.Parallel()
	rc := ParseResolvConf([]byte(strings.Repeat("nameserver 198.51.100.53\nnameserver x\noptions rotate\n", 200000)))
	if len(rc.Raw) != maxRaw || len(rc.Nameservers) != maxItems || len(rc.BadLines) != maxItems || len(rc.Options) != maxItems {
		t.Errorf("raw %d, servers %d, bad %d, options %d: not bounded", len(rc.Raw), len(rc.Nameservers), len(rc.BadLines), len(rc.Options))
	}
	if got := ParseHosts([]byte(strings.Repeat("192.0.2.1 a\n", 100000))); len(got) != maxHosts {
		t.Errorf("hosts lines = %d, want %d", len(got), maxHosts)
	}
}
