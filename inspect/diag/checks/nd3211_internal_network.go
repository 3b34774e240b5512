package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd3211: a container on internal networks only was asked to reach the world.
//
// A network that was created with --internal (compose: internal: true) is cut off from
// everything else on purpose: the engine gives its containers no default route, or
// drops what they send elsewhere and what others send to them. It can't be changed
// afterwards; a container that needs the world joins a second network, that is not
// internal. Taking the engine's rules away would open the network for all of it.
//
// See it by hand:
//
//	docker network inspect -f '{{.Internal}}' NETWORK
//	docker network connect NETWORK CONTAINER
//
// Sources: docker-network-create(1), --internal; moby drivers/bridge/setup_ip_tables_linux.go:
// setupInternalNetworkRules
func nd3211() diag.Check {
	return diag.Check{
		Code: "ND3211", Name: "internal-network", Severity: diag.Error, Since: "0.2",
		Title:  "The container is on an internal network, which has no way out or in",
		Detect: detectND3211,
	}
}

func detectND3211(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Flows {
		f := &in.Flows[i]
		w := f.Trace.Where
		if !f.Broken() || f.Excused || w == nil || !(w.Cause == sim.CauseRule || w.Cause == sim.CausePolicy || w.Cause == sim.CauseNoRoute) || w.Cause != sim.CauseNoRoute && !keepsApart(w) {
			continue
		}
		from, to := container(in, f.Flow.From), in.Graph.ContainerOfAddr(f.Flow.Dst)
		shut, way := from, "out"
		if from == nil || internalOnly(in, from) == nil {
			shut, way = to, "in"
		}
		if shut == nil || from != nil && to != nil { // two containers that share no network are ND3210's
			continue
		}
		n := internalOnly(in, shut)
		if n == nil || n.Driver != "bridge" || w.Cause == sim.CauseNoRoute && (way != "out" || w.Netns != shut.Netns) {
			continue
		}
		if k := sameSubject(out, diag.Subject{Kind: "container", Name: shut.Name, Netns: shut.Netns}); k >= 0 {
			out[k].Covers.Traces = append(out[k].Covers.Traces, i)
			continue
		}
		finding := diag.Finding{
			Summary:  fmt.Sprintf("%s is on the internal network %s only: there is no way %s (%s → %s)", shut.Name, n.Name, way, f.From, f.To),
			Cause:    fmt.Sprintf("%s was created as internal, so %s keeps it apart from everything else", n.Name, shut.Engine),
			Subject:  diag.Subject{Kind: "container", Name: shut.Name, Netns: shut.Netns},
			Evidence: []diag.Evidence{ev(diag.InspectCommand(shut), "networks: "+networks(shut)+" (internal)", snap.RefContainer(shut.Ref))},
			Covers:   diag.Cover{Traces: []int{i}},
			Advice:   diag.ConnectCommand(shut.Engine, "", "NETWORK", shut.Name) + ", with a network that is not internal",
			Weight:   76,
		}
		if text, source := in.RuleLine(w); text != "" {
			finding.Evidence = append(finding.Evidence, ev(source, text, w.Ref))
		}
		out = append(out, finding)
	}
	return out
}

// internalOnly is an internal network of a container that is on no other kind;
// nil when it is, or on none.
func internalOnly(in *diag.Input, c *snap.Container) *snap.Network {
	var found *snap.Network
	for i := range c.Endpoints {
		n := in.Snap.NetworkOf(c.Engine, &c.Endpoints[i])
		if n == nil || !n.Internal {
			return nil
		}
		found = n
	}
	return found
}
