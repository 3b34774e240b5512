package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd4102: resolv.conf names a loopback server that is not there.
//
// 127.0.0.53 is systemd-resolved's stub, 127.0.0.1 a local dnsmasq or unbound: they
// listen in the host's namespace. In a container the same address is the
// container's own loopback, where nobody listens; so is what --dns 127.0.0.1 gives to
// the engine's resolver. The real upstream servers are in
// /run/systemd/resolve/resolv.conf on the host.
//
// See it by hand:
//
//	docker exec NAME cat /etc/resolv.conf
//	nsenter -t PID -n ss -lnu                nobody on :53
//
// Sources: systemd-resolved.service(8); moby internal/resolvconf/resolvconf_path.go
func nd4102() diag.Check {
	return diag.Check{
		Code: "ND4102", Name: "loopback-stub", Severity: diag.Error, Since: "0.1",
		Title: "resolv.conf names a loopback server that does not exist in this namespace",
		After: []diag.Code{"ND1104"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range nameGroups(in, names.LoopbackStub) {
				f := g.finding(in)
				f.Summary = fmt.Sprintf("%s asks %s, a loopback server that nobody serves in its namespace", in.Who(g.first.Ask.Netns), g.problem.Server.Addr())
				f.Subject.Kind, f.Subject.Name = "resolver", in.Who(g.first.Ask.Netns)
				f.Weight = 70
				if c := in.Snap.Container(g.first.Ask.Container); c != nil && slices.Contains(c.DNS, g.problem.Server.Addr().String()) {
					f.Summary += ": it was given by --dns"
					f.Evidence = append(f.Evidence, ev(diag.InspectCommand(c), "Dns: "+strings.Join(c.DNS, ", "), snap.RefContainer(c.Ref)))
					f.Advice = fmt.Sprintf("make %s again without --dns %s (dns: in the compose file), which means its own loopback, or with an address of a server that it reaches", c.Name, g.problem.Server.Addr())
				}
				out = append(out, f)
			}
			return out
		},
		Fix: fixResolvConf,
	}
}
