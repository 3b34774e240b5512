package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd4202: the name belongs to a container on another network.
//
// Names are known per network: the embedded resolver answers a container only
// with names of networks that it is attached to itself. Anything else it asks of
// the outside servers, which say NXDOMAIN. Where the container that has the name is of
// another compose project it may be a stranger, and nothing is connected unasked.
//
// See it by hand:
//
//	docker inspect -f '{{json .NetworkSettings.Networks}}' ASKER NAME
//	docker network connect NETWORK ASKER
//
// Sources: moby libnetwork/sandbox_dns_unix.go: ResolveName
func nd4202() diag.Check {
	return diag.Check{
		Code: "ND4202", Name: "name-on-other-network", Severity: diag.Error, Since: "0.1",
		Title: "The name belongs to a container on a network that the asker is not on",
		After: []diag.Code{"ND6402"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range nameGroups(in, names.NotShared) {
				f := g.finding(in)
				asker, owner := container(in, g.first.Ask.Netns), in.Snap.Container(g.problem.Container)
				if asker == nil || owner == nil {
					continue
				}
				f.Summary = fmt.Sprintf("%s belongs to %s on network %s; %s is on network %s: they share no network, so the name is unknown to it",
					g.first.Ask.Name, owner.Name, networks(owner), asker.Name, networks(asker))
				f.Advice = diag.ConnectCommand(asker.Engine, "", firstNetwork(asker), owner.Name)
				if strings.HasPrefix(owner.NetworkMode, "container:") {
					f.Summary = fmt.Sprintf("%s asked by %s: %s", g.first.Ask.Name, asker.Name, g.problem.Detail)
					f.Advice = "ask for the other one, which has the network and the name"
				}
				if owner.NetworkMode == "host" {
					f.Summary = fmt.Sprintf("%s shares this host's own network (--network host), where no engine serves names: it is unknown to %s", owner.Name, asker.Name)
					f.Advice = fmt.Sprintf("give %s a name for this host (--add-host %s:host-gateway, extra_hosts:), or start %s on network %s instead", asker.Name, g.first.Ask.Name, owner.Name, firstNetwork(asker))
				}
				if asker.NetworkMode == "host" {
					f.Summary = fmt.Sprintf("%s belongs to %s on network %s; %s runs in the host's own network (--network host), where no engine serves names", g.first.Ask.Name, owner.Name, networks(owner), asker.Name)
					f.Advice = fmt.Sprintf("start %s on network %s instead", asker.Name, firstNetwork(owner))
					if p := slices.IndexFunc(owner.Ports, func(p snap.Port) bool { return p.HostPort != 0 }); p >= 0 {
						at, ip := owner.Ports[p], "localhost"
						if at.HostIP.IsValid() && !at.HostIP.IsUnspecified() {
							ip = at.HostIP.String()
						}
						f.Advice = fmt.Sprintf("ask %s:%d, where %s publishes its port %d, or ", ip, at.HostPort, owner.Name, at.ContainerPort) + f.Advice
					}
				}
				if foreignProject(asker, owner) {
					f.Summary += fmt.Sprintf("; it is of project %s, not of %s, the project of %s", owner.Project, asker.Project, asker.Name)
					f.Advice = fmt.Sprintf("see whether %s is meant at all: project %s has no service here that answers to %s; if it is: %s", owner.Name, asker.Project, g.first.Ask.Name, f.Advice)
				}
				f.Summary += wantedBy(in, g.first, &f)
				f.Weight = ofName(in, g.first)
				out = append(out, f)
			}
			return out
		},
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			asker, owner := apart(in, f)
			if foreignProject(asker, owner) {
				return nil
			}
			ops := join(in, owner, asker)
			if len(ops) > 0 {
				f.Advice = fmt.Sprintf("in a compose file put the network into networks: of %s, too", owner.Name)
			}
			return ops
		},
	}
}

// foreignProject says whether a container is known to be of another compose project: what
// it is to do with the asker is for a person to say.
func foreignProject(asker, owner *snap.Container) bool {
	return asker != nil && owner != nil && asker.Project != "" && owner.Project != "" && asker.Project != owner.Project
}

// askedOf is the name of a finding that a person asked for, nil for none.
func askedOf(in *diag.Input, f *diag.Finding) *diag.NameCase {
	for _, i := range f.Covers.Names {
		if n := &in.Names[i]; n.Asked && n.Path != nil && n.Path.Problem != nil {
			return n
		}
	}
	return nil
}

// apart are who asked for a name and whose it is, when a person asked: whom else to
// bring together is a person's choice.
func apart(in *diag.Input, f *diag.Finding) (asker, owner *snap.Container) {
	n := askedOf(in, f)
	if n == nil {
		return nil, nil
	}
	asker, owner = in.Snap.Container(n.Ask.Container), in.Snap.Container(n.Path.Problem.Container)
	if owner == nil || !owner.Running() || strings.HasPrefix(owner.NetworkMode, "container:") || owner.NetworkMode == "host" || owner.NetworkMode == "none" {
		return nil, nil // an engine connects none of these
	}
	return asker, owner
}

// join connects a container to the first network with names that another one is on.
func join(in *diag.Input, c, other *snap.Container) []fixups.Op {
	if c == nil || other == nil {
		return nil
	}
	for i := range other.Endpoints {
		n := in.Snap.NetworkOf(other.Engine, &other.Endpoints[i])
		if n == nil || !n.DNS || n.Default || n.Driver != "bridge" || n.Engine != c.Engine || c.Engine != "docker" && c.Engine != "podman" {
			continue
		}
		return []fixups.Op{&fixups.EngineConnect{Ctr: fixups.CtrOf(c), Network: n.Name, NetworkID: n.ID}}
	}
	return nil
}
