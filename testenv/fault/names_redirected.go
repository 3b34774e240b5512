package fault

import (
	"fmt"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

func namesRedirected() Fault {
	return Fault{
		Name: "names-redirected", Code: "ND3205", Title: "a NAT rule sends all questions for names to an address that nobody has any more", Suffers: "web ? www.example.org",
		Break: func(s *snap.Snapshot, target string) ([]fixups.Op, error) {
			v, err := find(s, target)
			if err != nil {
				return nil, err
			}
			return hookedAs(v, "nat", "filterdns", "prerouting", -110, fmt.Sprintf("iifname %q udp dport 53 counter dnat to %s", v.bridge.Name, lastOf(v.ep.IPv4))), nil
		},
	}
}
