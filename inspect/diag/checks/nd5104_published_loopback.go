package checks

import (
	"fmt"
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd5104: the port is published at another address of the host than the one asked for.
//
// "-p 127.0.0.1:8080:80" publishes a port for programs on this host only; "-p
// 192.0.2.1:8080:80" at that address only; "-p 0.0.0.0:8080:80" on IPv4 only, while programs
// that prefer IPv6 (localhost is ::1 first) are refused.
//
// See it by hand:
//
//	docker port NAME                         127.0.0.1:8080
//	ss -lnt                                  the proxy listens at that address
//
// Sources: docs.docker.com, port publishing; moby portmapper
func nd5104() diag.Check {
	return diag.Check{
		Code: "ND5104", Name: "published-elsewhere", Severity: diag.Error, Since: "0.1",
		Title: "The port is published at another host address than the one asked for",
		Detect: func(in *diag.Input) []diag.Finding {
			return atHost(in, func(f *diag.FlowCase) *diag.Finding {
				c, p, at := in.PublishedAt(f.Flow.Dst, f.Flow.Dport, f.Flow.Proto)
				if c == nil || at {
					return nil
				}
				where := netip.AddrPortFrom(p.HostIP, p.HostPort)
				x := &diag.Finding{
					Summary:  fmt.Sprintf("port %d of %s is published on %s only, not on %s", p.ContainerPort, c.Name, where, f.Flow.Dst),
					Cause:    fmt.Sprintf("%s was started with -p %s:%d", c.Name, where, p.ContainerPort),
					Evidence: []diag.Evidence{ev(diag.PortCommand(c), fmt.Sprintf("%d/%s -> %s:%d", p.ContainerPort, p.Proto, p.HostIP, p.HostPort), snap.RefContainer(c.Ref))},
					Advice:   fmt.Sprintf("recreate %s with -p %d:%d%s if others are meant to reach it", c.Name, p.HostPort, p.ContainerPort, unlessTCP(p.Proto)),
				}
				if o, near := published(in, f); o == c && near.ContainerPort == p.ContainerPort {
					sayNear(f, x, c, near)
				}
				return x
			})
		},
	}
}

// atHost makes findings of flows to the host itself that it refuses, or drops
// in a place that a published port would have avoided.
func atHost(in *diag.Input, found func(*diag.FlowCase) *diag.Finding) []diag.Finding {
	var out []diag.Finding
	host := in.Snap.HostNs()
	for i := range in.Flows {
		f := &in.Flows[i]
		w := f.Trace.Where
		if f.Excused || f.Kind == "tunnel" || f.Kind == "diverted" || f.Kind == diag.HTTPProxy || !f.Broken() || w == nil || host == nil || w.Netns != host.ID || w.Cause != sim.CauseNoListener || w.Reply {
			continue
		}
		x := found(f)
		if x == nil {
			continue
		}
		x.Subject = diag.Subject{Kind: "port", Name: fmt.Sprintf("%d/%s/host", f.Flow.Dport, f.Flow.Proto), Netns: host.ID}
		x.Covers.Traces = []int{i}
		x.Weight = 58
		out = append(out, *x)
	}
	return out
}
