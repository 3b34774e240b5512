package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd5111: the port is published for another protocol than the service speaks.
//
// "-p 5300:5300" publishes TCP alone; a UDP service (DNS, syslog, WireGuard, games)
// needs "-p 5300:5300/udp", and one that speaks both needs two -p.
//
// See it by hand:
//
//	docker port NAME                         5300/tcp, not 5300/udp
//	nsenter -t PID -n ss -lntu               the service has a udp socket
//
// Sources: docs.docker.com, port publishing
func nd5111() diag.Check {
	return diag.Check{
		Code: "ND5111", Name: "published-wrong-protocol", Severity: diag.Error, Since: "0.1",
		Title: "The port is published for TCP, and the service speaks UDP (or the other way round)",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for i := range in.Flows {
				f := &in.Flows[i]
				if f.Excused || !f.Broken() {
					continue
				}
				c, p := mismatch(in, f)
				if c == nil {
					continue
				}
				other := swapped(p.Proto)
				x := diag.Finding{
					Summary: fmt.Sprintf("port %d of %s is published for %s, but what listens in %s on port %d is %s", p.HostPort, c.Name, p.Proto, c.Name, p.ContainerPort, other),
					Cause:   fmt.Sprintf("%s was started with -p %d:%d/%s, and its service has a %s socket", c.Name, p.HostPort, p.ContainerPort, p.Proto, other),
					Subject: diag.Subject{Kind: "port", Name: fmt.Sprintf("%d/%s", p.HostPort, c.Name), Netns: in.Snap.Host.Netns},
					Evidence: []diag.Evidence{
						ev(diag.PortCommand(c), fmt.Sprintf("%d/%s -> %s:%d", p.ContainerPort, p.Proto, p.HostIP, p.HostPort), snap.RefContainer(c.Ref)),
						ev(in.IPCommand(c.Netns, "ss -lntu"), socketList(in.Netns(c.Netns), other), snap.RefNetns(c.Netns)),
					},
					Covers: diag.Cover{Traces: []int{i}},
					Advice: fmt.Sprintf("recreate %s with -p %d:%d/%s", c.Name, p.HostPort, p.ContainerPort, other),
					Weight: 59,
				}
				if at := sameSubject(out, x.Subject); at >= 0 {
					out[at].Covers.Traces = append(out[at].Covers.Traces, i)
					continue
				}
				out = append(out, x)
			}
			return out
		},
	}
}

func swapped(p snap.Proto) snap.Proto {
	if p == snap.UDP {
		return snap.TCP
	}
	return snap.UDP
}

// mismatch is the container, and its published port, whose service speaks the
// other protocol: the flow was refused in it, or asks the host for a protocol
// in which the port is not published.
func mismatch(in *diag.Input, f *diag.FlowCase) (*snap.Container, *snap.Port) {
	if c := in.Snap.Container(f.Target); c != nil && f.Port != nil {
		w := f.Trace.Where
		if f.Trace.Proxy != nil {
			w = f.Trace.Proxy.Where
		}
		both := slices.ContainsFunc(c.Ports, func(p snap.Port) bool { // who publishes both has confused nothing
			return p.ContainerPort == f.Port.ContainerPort && p.Proto == swapped(f.Port.Proto)
		})
		if w != nil && w.Cause == sim.CauseNoListener && w.Netns == c.Netns && !both && speaks(in.Netns(c.Netns), swapped(f.Port.Proto), f.Port.ContainerPort) && !speaks(in.Netns(c.Netns), f.Port.Proto, f.Port.ContainerPort) {
			return c, f.Port
		}
		return nil, nil
	}
	return otherProto(in, f)
}

// otherProto is the container that publishes a flow's port in the other
// protocol than the one asked for, and listens in the one asked for.
func otherProto(in *diag.Input, f *diag.FlowCase) (*snap.Container, *snap.Port) {
	host := in.Snap.HostNs()
	w := f.Trace.Where
	if host == nil || w == nil || w.Netns != host.ID || w.Cause != sim.CauseNoListener {
		return nil, nil
	}
	c, p, at := in.PublishedAt(f.Flow.Dst, f.Flow.Dport, swapped(f.Flow.Proto))
	if !at || !speaks(in.Netns(c.Netns), f.Flow.Proto, p.ContainerPort) {
		return nil, nil
	}
	return c, p
}

// speaks says whether something in the namespace has a socket on the port.
func speaks(ns *snap.Netns, proto snap.Proto, port uint16) bool {
	if ns == nil {
		return false
	}
	for i := range ns.Sockets {
		s := &ns.Sockets[i]
		if s.Proto == proto && s.Local.Port() == port && !s.Remote.IsValid() && !engineSocket(s) {
			return true
		}
	}
	return false
}

// unlessTCP is what -p has behind its ports for another protocol than TCP.
func unlessTCP(p snap.Proto) string {
	if p == snap.TCP {
		return ""
	}
	return "/" + string(p)
}
