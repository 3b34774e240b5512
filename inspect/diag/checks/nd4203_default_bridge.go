package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd4203: names do not resolve on the default bridge.
//
// Docker's default network "bridge" has no embedded DNS: containers on it get a copy
// of the host's resolv.conf, and the host's servers do not know containers. Names
// work on user-defined networks only (or by the old --link).
//
// See it by hand:
//
//	docker exec NAME cat /etc/resolv.conf    not 127.0.0.11
//	docker network create app; docker network connect app NAME
//
// A network of Podman's has none either where it was made with --disable-dns, or by CNI
// without its dnsname plugin.
//
// Sources: docs.docker.com, bridge network driver, "differences"; podman-network-create(1), --disable-dns
func nd4203() diag.Check {
	return diag.Check{
		Code: "ND4203", Name: "default-bridge-no-names", Severity: diag.Error, Since: "0.1",
		Title: "Container names do not resolve on the default bridge",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range nameGroups(in, names.DefaultBridge) {
				f := g.finding(in)
				asker, owner := container(in, g.first.Ask.Netns), in.Snap.Container(g.problem.Container)
				if asker == nil {
					continue
				}
				f.Summary = fmt.Sprintf("%s is on the default bridge only, which has no names; %s does not resolve there", asker.Name, g.first.Ask.Name)
				off := nameless(in, asker)
				if off != nil {
					f.Summary = fmt.Sprintf("%s does not resolve for %s: its network %s was made with DNS disabled (dns_enabled is false)", g.first.Ask.Name, asker.Name, off.Name)
					f.Evidence = append(f.Evidence, ev(diag.NetworkCommand(off), "dns_enabled: false", snap.RefNetwork(off.Ref)))
				}
				f.Summary += wantedBy(in, g.first, &f)
				f.Advice = "use a user-defined network for both: " + asker.Engine + " network create NET, then " + diag.ConnectCommand(asker.Engine, "", "NET", asker.Name)
				if owner != nil {
					f.Summary += fmt.Sprintf(" (it is a container on network %s)", networks(owner))
					if firstNetwork(owner) != "bridge" {
						f.Advice = diag.ConnectCommand(asker.Engine, "", firstNetwork(owner), asker.Name)
					}
				}
				if off != nil {
					f.Advice = fmt.Sprintf("make network %s anew without --disable-dns, and its containers with it; until then connect both to a network with names", off.Name)
				}
				f.Weight = ofName(in, g.first)
				out = append(out, f)
			}
			return out
		},
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			asker, owner := apart(in, f)
			return join(in, asker, owner)
		},
	}
}

// nameless is the network of Podman's, not its default one, that a container is on and that
// was made without DNS; nil when it is on another one.
func nameless(in *diag.Input, c *snap.Container) *snap.Network {
	for k := range c.Endpoints {
		n := in.Snap.NetworkOf(c.Engine, &c.Endpoints[k])
		if n != nil && snap.IsPodman(n.Engine) && !n.DNS && !n.Default {
			return n
		}
	}
	return nil
}
