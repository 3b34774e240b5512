package resolv

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func TestParseHosts(t *testing.T) {
	t.Parallel()
	in := "127.0.0.1\tlocalhost\n# a remark\n\n::1 localhost ip6-localhost # both\nfe80::1%lo0 link\n192.0.2.7\n" +
		"not.an.address web\n  192.0.2.8   web.example.org\tweb\r\n192.0.2.9 cut\x00off\n"
	want := []snap.HostsLine{
		{Line: 1, Addr: netip.MustParseAddr("127.0.0.1"), Names: []string{"localhost"}},
		{Line: 4, Addr: netip.MustParseAddr("::1"), Names: []string{"localhost", "ip6-localhost"}},
		{Line: 5, Addr: netip.MustParseAddr("fe80::1%lo0"), Names: []string{"link"}},
		{Line: 8, Addr: netip.MustParseAddr("192.0.2.8"), Names: []string{"web.example.org", "web"}},
		{Line: 9, Addr: netip.MustParseAddr("192.0.2.9"), Names: []string{"cut"}},
	}
	if diff := cmp.Diff(want, ParseHosts([]byte(in)), byAddr); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := ParseHosts(nil); got == nil || len(got) != 0 {
		t.Errorf("an empty file gives %#v, want an empty list", got)
	}
}

func TestParseNSSwitch(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		want     []string
	}{
		{"no hosts line", "passwd: files\n", nil},
		{"plain", "passwd: files\nhosts:          files dns # end\n", []string{"files", "dns"}},
		{
			"actions are one word", "hosts: mymachines resolve [ !UNAVAIL=return  success=merge ] files myhostname dns\n",
			[]string{"mymachines", "resolve", "[!UNAVAIL=return success=merge]", "files", "myhostname", "dns"},
		},
		{"an action may touch its service", "hosts: mdns4_minimal[NOTFOUND=return]dns\n", []string{"mdns4_minimal", "[NOTFOUND=return]", "dns"}},
		{"the last line wins", "hosts: files\n hosts : dns\n", []string{"dns"}},
		{"an open bracket ends the list", "hosts: files [NOTFOUND=return dns\n", []string{"files"}},
		{"nothing after the colon is no source at all", "hosts:\n", []string{}},
		{"a carriage return is white space", "hosts: files dns\r\n", []string{"files", "dns"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, ParseNSSwitch([]byte(tt.in))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
