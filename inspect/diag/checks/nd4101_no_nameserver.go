package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
)

// nd4101: resolv.conf names no server.
func nd4101() diag.Check {
	return diag.Check{
		Code: "ND4101", Name: "no-nameserver", Severity: diag.Error, Since: "0.1",
		Title: "resolv.conf names no name server",
		Doc: `A container's /etc/resolv.conf is empty, missing, or holds no valid nameserver
line. The C libraries then ask 127.0.0.1, where nothing answers. On a network of
Docker's own making the file must say 127.0.0.11. DHCP and VPN clients inside
containers empty it, and an empty file on the host at start is copied.

See it by hand:
    docker exec NAME cat /etc/resolv.conf

Sources: resolv.conf(5); moby libnetwork/internal/resolvconf`,
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range nameGroups(in, names.NoNameserver) {
				f := g.finding(in)
				f.Summary = fmt.Sprintf("/etc/resolv.conf of %s has no nameserver line: %s", in.Who(g.first.Ask.Netns), g.problem.Detail)
				f.Subject.Kind, f.Subject.Name = "resolver", in.Who(g.first.Ask.Netns)
				f.Weight = 70
				if !g.first.Asked && g.first.Ask.Netns == in.Snap.Host.Netns {
					f.Severity = diag.Warning // a host may well do without names
				}
				out = append(out, f)
			}
			return out
		},
		Fix: fixResolvConf,
	}
}
