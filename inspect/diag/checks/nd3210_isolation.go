package checks

import (
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd3210: two containers share no network.
//
// Containers reach each other on networks they share. Between networks the engine
// drops on purpose: Docker in DOCKER-ISOLATION-STAGE-1/2 (up to 27), in DOCKER and
// raw PREROUTING (28 and later), in the chains of table docker-bridges (nftables);
// Podman in NETAVARK-ISOLATION when networks are isolated. The way to mend it is
// a common network, never the removal of those rules.
//
// See it by hand:
//
//	docker inspect -f '{{json .NetworkSettings.Networks}}' A B
//	docker network connect NETWORK CONTAINER
//
// Sources: docs.docker.com, bridge network driver; moby drivers/bridge/setup_ip_tables.go
func nd3210() diag.Check {
	return diag.Check{
		Code: "ND3210", Name: "networks-isolated", Severity: diag.Error, Since: "0.1",
		Title:  "Two containers share no network, and networks are kept apart",
		After:  []diag.Code{"ND6401"},
		Detect: detectND3210,
		Fix:    fixND3210,
	}
}

func detectND3210(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Flows {
		f := &in.Flows[i]
		w := f.Trace.Where
		if !f.Broken() || f.Excused || w == nil || !(w.Cause == sim.CauseRule || w.Cause == sim.CausePolicy || w.Cause == sim.CauseNoRoute) {
			continue
		}
		from, to := container(in, f.Flow.From), in.Snap.Container(f.Target)
		if to == nil {
			to = in.Graph.ContainerOfAddr(f.Flow.Dst)
		}
		if from == nil || to == nil || from == to || len(diag.Shared(from, to)) > 0 || f.Port != nil {
			continue
		}
		if w.Cause != sim.CauseNoRoute && !keepsApart(w) || len(from.Endpoints) == 0 && strings.HasPrefix(from.NetworkMode, "container:") {
			continue // in another's namespace, it is on no network and can't be connected to one
		}
		text, source := in.RuleLine(w)
		finding := diag.Finding{
			Summary: fmt.Sprintf("%s (network %s) and %s (network %s) share no network; %s keeps networks isolated from each other",
				from.Name, networks(from), to.Name, networks(to), from.Engine),
			Cause:   fmt.Sprintf("%s is not attached to a network of %s, and traffic between networks is dropped by design", from.Name, to.Name),
			Subject: diag.Subject{Kind: "container", Name: from.Name, Netns: f.Flow.From},
			Covers:  diag.Cover{Traces: []int{i}},
			Advice:  diag.ConnectCommand(from.Engine, "", firstNetwork(to), from.Name),
			Weight:  75,
		}
		if text != "" {
			finding.Evidence = append(finding.Evidence, ev(source, text, w.Ref))
		}
		finding.Evidence = append(finding.Evidence,
			ev(diag.InspectCommand(from), "networks: "+networks(from), snap.RefContainer(from.Ref)),
			ev(diag.InspectCommand(to), "networks: "+networks(to), snap.RefContainer(to.Ref)))
		out = append(out, finding)
	}
	return out
}

// fixND3210 connects the sender to the network that its destination's address is of,
// when a person asked for the flow: whom else to bring together is a person's choice.
func fixND3210(in *diag.Input, f *diag.Finding) []fixups.Op {
	flow := &in.Flows[f.Covers.Traces[0]]
	from, to := container(in, flow.Flow.From), in.Graph.ContainerOfAddr(flow.Flow.Dst)
	if !flow.Asked || from == nil || to == nil || from.Engine != to.Engine || from.Engine != "docker" && from.Engine != "podman" || len(from.Endpoints) == 0 || !to.Running() {
		return nil // without an endpoint it may live in another's namespace
	}
	for i := range to.Endpoints {
		e := &to.Endpoints[i]
		n := in.Snap.NetworkOf(to.Engine, e)
		if n != nil && n.Driver == "bridge" && (e.IPv4.Addr() == flow.Flow.Dst || e.IPv6.Addr() == flow.Flow.Dst) {
			return []fixups.Op{&fixups.EngineConnect{Ctr: fixups.CtrOf(from), Network: n.Name, NetworkID: n.ID}}
		}
	}
	return nil
}

// keepsApart says whether a place is one of an engine's that isolates networks.
func keepsApart(w *sim.Where) bool {
	p := w.Rule
	if p == nil {
		return false
	}
	return strings.HasPrefix(p.Chain, "DOCKER") && p.Chain != "DOCKER-USER" || p.Table == "docker-bridges" || strings.HasPrefix(p.Chain, "NETAVARK-ISOLATION") ||
		p.Table == "raw" && p.Chain == "PREROUTING"
}

// container is the one whose sandbox a namespace is; nil none.
func container(in *diag.Input, netns string) *snap.Container {
	if cs := in.Graph.ContainersOf(netns); len(cs) > 0 {
		return cs[0]
	}
	return nil
}

// networks are the names of a container's networks.
func networks(c *snap.Container) string {
	var out []string
	for _, e := range c.Endpoints {
		out = append(out, e.Network)
	}
	if len(out) == 0 {
		return "none"
	}
	snap.Sort(out, snap.CompareNames)
	return strings.Join(out, ", ")
}

func firstNetwork(c *snap.Container) string {
	if len(c.Endpoints) == 0 {
		return "NETWORK"
	}
	return c.Endpoints[0].Network
}
