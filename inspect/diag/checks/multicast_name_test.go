package checks

import (
	"strings"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/diag"
)

// TestNamesOfMulticastDNS: one label before .local is of multicast DNS (RFC 6762), more are
// somebody's zone.
func TestNamesOfMulticastDNS(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"nas.local": true, "NAS.local.": true, "local": false, "nas.local.example.org": false,
		"web.default.svc.cluster.local": false, "nas.lan": false,
	} {
		n := &diag.NameCase{}
		n.Ask.Name = name
		f := diag.Finding{Summary: "s", Advice: "a"}
		sayMulticast(&nameGroup{first: n}, &f)
		if said := strings.Contains(f.Summary, "multicast DNS") && strings.Contains(f.Advice, "--add-host nas.local:ADDRESS"); said != want || !want && f.Advice != "a" {
			t.Errorf("%s: %q, %q", name, f.Summary, f.Advice)
		}
	}
}
