package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd4103: a container on a network with names does not ask the resolver that knows them.
//
// On networks of its own making Docker writes "nameserver 127.0.0.11", its
// embedded resolver, which alone knows the other containers' names. A resolv.conf
// that names another server (edited by hand, by an entrypoint or a VPN client)
// resolves the world, but no container.
//
// See it by hand:
//
//	docker exec NAME cat /etc/resolv.conf    no 127.0.0.11
//
// Sources: docs.docker.com, networking, DNS services
func nd4103() diag.Check {
	return diag.Check{
		Code: "ND4103", Name: "bypasses-embedded-dns", Severity: diag.Error, Since: "0.1",
		Title: "resolv.conf goes past the embedded DNS: container names do not resolve",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range nameGroups(in, names.BypassesEmbedded) {
				f := g.finding(in)
				f.Summary = g.problem.Detail
				if c := in.Snap.Container(g.first.Ask.Container); c != nil && !snap.IsDocker(c.Engine) {
					f.Summary = fmt.Sprintf("%s bypasses its network's resolver: %s", in.Who(g.first.Ask.Netns), g.problem.Detail)
				}
				f.Subject.Kind, f.Subject.Name = "resolver", in.Who(g.first.Ask.Netns)
				f.Weight = 65
				out = append(out, f)
			}
			return out
		},
		Fix: fixResolvConf,
	}
}
