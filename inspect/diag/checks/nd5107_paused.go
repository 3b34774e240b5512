package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd5107: a container is paused.
//
// A paused container's processes are frozen. Its network stack is the kernel's and
// goes on: ARP is answered, TCP connections are completed into the listener's
// queue, and then nothing comes. Programs hang instead of failing. Somebody ran
// "docker pause", or a backup or commit froze it and died.
//
// See it by hand:
//
//	docker ps                                Up 3 hours (Paused)
//	docker unpause NAME
//
// False positives: a container that is paused by will. One that publishes nothing,
// and that no other container can have used by a network, is a warning only.
//
// Sources: docker-pause(1); Documentation/admin-guide/cgroup-v2.rst, cgroup.freeze
func nd5107() diag.Check {
	return diag.Check{
		Code: "ND5107", Name: "container-paused", Severity: diag.Error, Since: "0.1",
		Title: "The container is paused: it takes connections and never answers",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for i := range in.Snap.Containers {
				c := &in.Snap.Containers[i]
				if c.State != "paused" {
					continue
				}
				f := diag.Finding{
					Summary:  fmt.Sprintf("%s is paused: its processes are frozen, connections to it hang", c.Name),
					Cause:    fmt.Sprintf("the container %s is paused, so the kernel takes packets for it and no program answers them", c.Name),
					Subject:  diag.Subject{Kind: "container", Name: c.Name, Netns: c.Netns},
					Evidence: []diag.Evidence{ev(diag.ListCommand(c), c.Name+" (Paused)", snap.RefContainer(c.Ref))},
					Covers:   coverTarget(in, c),
					Advice:   diag.UnpauseCommand(c),
					Weight:   88,
				}
				if len(f.Covers.Traces) == 0 && !serves(in, c) { // nobody needs it now
					f.Severity = diag.Warning
				}
				out = append(out, f)
			}
			return out
		},
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			for i := range in.Snap.Containers {
				if c := &in.Snap.Containers[i]; c.Name == f.Subject.Name && c.State == "paused" && (c.Engine == "docker" || c.Engine == "podman") {
					return []fixups.Op{&fixups.ContainerUnpause{Ctr: fixups.CtrOf(c)}}
				}
			}
			return nil
		},
	}
}

// serves says whether others may be talking to a container: by a port that it
// publishes, or on a network where it listens and is not alone.
func serves(in *diag.Input, c *snap.Container) bool {
	if publishes(c) != "" {
		return true
	}
	ns := in.Snap.Ns(c.Netns)
	return ns != nil && slices.ContainsFunc(c.Endpoints, func(e snap.Endpoint) bool { return e.IPv4.IsValid() && len(tcpPorts(ns, e.IPv4.Addr())) > 0 }) &&
		slices.ContainsFunc(in.Snap.Containers, func(o snap.Container) bool { return o.Ref != c.Ref && o.Running() && len(diag.Shared(&o, c)) > 0 })
}

// coverTarget covers the flows that a container should answer, whatever the
// kernel says of them: its programs are what fails.
func coverTarget(in *diag.Input, c *snap.Container) diag.Cover {
	var cover diag.Cover
	for i := range in.Flows {
		f := &in.Flows[i]
		if f.Target == c.Ref || f.Target == "" && c.Netns != "" && f.Trace.Arrived == c.Netns || f.Flow.From == c.Netns && f.Asked {
			cover.Traces = append(cover.Traces, i)
		}
	}
	return cover
}
