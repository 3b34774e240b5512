package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd6502: a container can use the engine's API.
//
// Whoever may write to the engine's socket is root on the host: he starts a
// privileged container with / mounted. A read-only mount changes nothing, since
// connecting is not writing to the file. Proxies, dashboards and CI runners often have
// it; a socket proxy that lets only some calls through is the way to give them less.
//
// See it by hand:
//
//	docker inspect -f '{{range .Mounts}}{{.Source}} {{end}}' NAME
//	grep sock /proc/PID/mountinfo
//
// Sources: docs.docker.com: Docker daemon attack surface; unix(7)
func nd6502() diag.Check {
	return diag.Check{
		Code: "ND6502", Name: "socket-inside", Severity: diag.Warning, Since: "0.1", Audit: true,
		Title: "The engine's socket is mounted into a container",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for i := range in.Snap.Containers {
				c := &in.Snap.Containers[i]
				if !c.Running() || len(c.Sockets) == 0 {
					continue
				}
				f := diag.Finding{
					Summary: fmt.Sprintf("%s has %s at %s: who takes it over is root on this host", c.Name, c.Sockets[0].Socket, c.Sockets[0].At),
					Cause:   "the engine's socket is mounted into it",
					Subject: diag.Subject{Kind: "container", Name: c.Name, Netns: c.Netns},
					Advice:  "put a socket proxy between them that lets through the calls it needs, or give it none",
					Weight:  20,
				}
				for _, s := range c.Sockets {
					f.Evidence = append(f.Evidence, ev(fmt.Sprintf("cat /proc/%d/mountinfo", c.PID), s.Socket+" at "+s.At, snap.RefContainer(c.Ref)))
				}
				out = append(out, f)
			}
			return out
		},
	}
}
