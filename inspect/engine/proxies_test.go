package engine

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func TestProxies(t *testing.T) {
	t.Parallel()
	list, none := proxies([]string{
		"http_proxy=http://me:s3cr@et@Proxy.example.org:3128/", "HTTPS_PROXY=192.0.2.1:8080", "all_proxy=socks5h://[2001:db8::1]",
		"HTTP_PROXY=", "https_proxy=http://x:port", "ftp_proxy=http://192.0.2.9:1", "NO_PROXY=localhost, .example.org,10.0.0.0/8",
	})
	want := []snap.Proxy{{By: "http_proxy", Host: "proxy.example.org", Port: 3128}, {By: "HTTPS_PROXY", Host: "192.0.2.1", Port: 8080}, {By: "all_proxy", Host: "2001:db8::1", Port: 1080}}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"localhost", ".example.org", "10.0.0.0/8"}, none); diff != "" {
		t.Errorf("no_proxy (-want +got)\n%s", diff)
	}
}
