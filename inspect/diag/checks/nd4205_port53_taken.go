package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
)

// nd4205: another program has port 53 of a podman network's gateway.
//
// aardvark-dns answers for the containers of a podman network at the network's
// gateway, port 53. A dnsmasq, unbound or bind of the host that listens on all
// addresses has that place already: aardvark-dns does not start, the containers ask
// the other server, and it does not know them.
//
// See it by hand:
//
//	ss -lnup 'sport = 53'                    who holds GATEWAY:53 or 0.0.0.0:53
//	podman exec NAME cat /etc/resolv.conf    nameserver GATEWAY
//
// Sources: containers/aardvark-dns#13, containers/podman#15452, #18463
func nd4205() diag.Check {
	return diag.Check{
		Code: "ND4205", Name: "port53-taken", Severity: diag.Error, Since: "0.2",
		Title: "Another server listens in the place of aardvark-dns",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range nameGroups(in, names.Port53Taken) {
				f := g.finding(in)
				f.Summary = fmt.Sprintf("%s asked by %s%s: %s", g.first.Ask.Name, in.Who(g.first.Ask.Netns), g.more(), g.problem.Detail)
				if n := in.Snap.Network(g.problem.Network); n != nil {
					f.Advice = fmt.Sprintf("let the other server leave %s alone (dnsmasq: except-interface, bind-interfaces), or give aardvark-dns another port (dns_bind_port under [network] in containers.conf); then start a container on %s anew", g.problem.Server, n.Name)
				}
				f.Weight = 60
				out = append(out, f)
			}
			return out
		},
	}
}
