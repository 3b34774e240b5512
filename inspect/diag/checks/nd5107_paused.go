package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd5107: a container is paused.
func nd5107() diag.Check {
	return diag.Check{
		Code: "ND5107", Name: "container-paused", Severity: diag.Error, Since: "0.1",
		Title: "The container is paused: it takes connections and never answers",
		Doc: `A paused container's processes are frozen. Its network stack is the kernel's and
goes on: ARP is answered, TCP connections are completed into the listener's
queue, and then nothing comes. Programs hang instead of failing. Somebody ran
"docker pause", or a backup or commit froze it and died.

See it by hand:
    docker ps                                Up 3 hours (Paused)
    docker unpause NAME

False positives: a container that is paused by will.

Sources: docker-pause(1); Documentation/admin-guide/cgroup-v2.rst, cgroup.freeze`,
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for i := range in.Snap.Containers {
				c := &in.Snap.Containers[i]
				if c.State != "paused" {
					continue
				}
				out = append(out, diag.Finding{
					Summary:  fmt.Sprintf("%s is paused: its processes are frozen, connections to it hang", c.Name),
					Cause:    fmt.Sprintf("the container %s is paused, so the kernel takes packets for it and no program answers them", c.Name),
					Subject:  diag.Subject{Kind: "container", Name: c.Name, Netns: c.Netns},
					Evidence: []diag.Evidence{ev(c.Engine+" ps", c.Name+" (Paused)", snap.RefContainer(c.Ref))},
					Covers:   coverTarget(in, c),
					Advice:   fmt.Sprintf("%s unpause %s", c.Engine, c.Name),
					Weight:   88,
				})
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
