package diag

import (
	"fmt"
	"strings"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func TestForwarders(t *testing.T) {
	t.Parallel()
	const line = "dnsmasq -k --server=192.0.2.1 -S192.0.2.2#5353 --server=/corp.example/10.0.0.1 --server=/eu.corp.example/de.example/10.0.0.2@eth1 -S /late.example/2001:db8::53 --local=/home.example/ --server=/open.corp.example/#"
	for name, want := range map[string]string{
		"www.example.org":       "[192.0.2.1:53 192.0.2.2:5353] --server=192.0.2.1",
		"corp.example":          "[10.0.0.1:53] --server=/corp.example/10.0.0.1",
		"git.CORP.example.":     "[10.0.0.1:53] --server=/corp.example/10.0.0.1",
		"notcorp.example":       "[192.0.2.1:53 192.0.2.2:5353] --server=192.0.2.1",
		"a.eu.corp.example":     "[10.0.0.2:53] --server=/eu.corp.example/de.example/10.0.0.2@eth1",
		"b.de.example":          "[10.0.0.2:53] --server=/eu.corp.example/de.example/10.0.0.2@eth1",
		"x.late.example":        "[[2001:db8::53]:53] -S /late.example/2001:db8::53",
		"nas.home.example":      "[] --local=/home.example/",
		"www.open.corp.example": "[192.0.2.1:53 192.0.2.2:5353] --server=192.0.2.1",
	} {
		at, by := Forwarders(&snap.Process{Name: "dnsmasq", Args: strings.Fields(line)}, name)
		if got := fmt.Sprint(at, " ", by); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	if at, _ := Forwarders(&snap.Process{Name: "unbound", Args: strings.Fields(line)}, "a"); at != nil {
		t.Errorf("another program: %v", at)
	}
}
