package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd5112: the userland proxy of a published port is gone.
//
// With the userland proxy on (the default) one docker-proxy process listens on the
// host for each published port. Connections from outside are rewritten by DNAT and
// never meet it, but those of the host itself to 127.0.0.1 do: the rule in nat
// OUTPUT leaves 127.0.0.0/8 out. When the process is killed (the OOM killer, a
// clean-up script), the port works from other machines and is refused on localhost.
// The engine starts the process only when it sets up the endpoint: reconnecting the
// container to its network does, and so does restarting it. One that
// outlived its engine keeps the port, and leads to an address of yesterday.
//
// See it by hand:
//
//	ss -lntp 'sport = :PORT'                 nobody listens
//	ps -C docker-proxy -o args               no line with -host-port PORT
//
// Sources: moby cmd/docker-proxy; libnetwork/portmapper/proxy_linux.go
func nd5112() diag.Check {
	return diag.Check{
		Code: "ND5112", Name: "userland-proxy-gone", Severity: diag.Error, Since: "0.1",
		Title: "The docker-proxy of a published port is not running",
		After: []diag.Code{"ND6101", "ND6201"},
		Detect: func(in *diag.Input) []diag.Finding {
			return append(strayProxies(in), atHost(in, func(f *diag.FlowCase) *diag.Finding {
				c, p := byProxy(in, f)
				if c == nil || rewritten(f) {
					return nil
				}
				return &diag.Finding{
					Summary: fmt.Sprintf("no docker-proxy listens on port %d/%s, which %s publishes: the host itself is refused", p.HostPort, p.Proto, c.Name),
					Cause:   fmt.Sprintf("the userland proxy process of port %d is gone; %s is not rewritten by DNAT and needs it", p.HostPort, f.Flow.Dst),
					Evidence: []diag.Evidence{
						ev(fmt.Sprintf("ss -lntup 'sport = :%d'", p.HostPort), "(nobody listens)", snap.RefNetns(in.Snap.Host.Netns)),
						ev(diag.PortCommand(c), fmt.Sprintf("%d/%s -> %s:%d", p.ContainerPort, p.Proto, p.HostIP, p.HostPort), snap.RefContainer(c.Ref)),
					},
					Advice: fmt.Sprintf("reconnecting %s to its network starts the proxy again, cuts its open connections, and may give its device another name; restarting the container does the same", c.Name),
				}
			})...)
		},
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			if f.Subject.Kind == "process" { // it is in the way of the engine's own
				return nil
			}
			return fixND5112(in, f)
		},
	}
}

// strayProxies are docker-proxies that lead elsewhere than to the container that
// publishes their port.
func strayProxies(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Flows {
		f := &in.Flows[i]
		if !f.Broken() || f.Trace.Proxy == nil || f.Trace.Socket == nil || f.Trace.Socket.Process == nil {
			continue
		}
		c, p := byProxy(in, f)
		to, pid := f.Trace.Proxy.Flow.Dst, f.Trace.Socket.Process.PID
		if c == nil || slices.ContainsFunc(c.Endpoints, func(e snap.Endpoint) bool { return e.IPv4.Addr() == to || e.IPv6.Addr() == to }) {
			continue
		}
		subject := diag.Subject{Kind: "process", Name: fmt.Sprint(pid), Netns: in.Snap.Host.Netns}
		k := sameSubject(out, subject)
		if k < 0 {
			k = len(out)
			out = append(out, diag.Finding{
				Summary: fmt.Sprintf("the docker-proxy (pid %d) of port %d/%s leads to %s, where %s, which publishes the port, is not", pid, p.HostPort, p.Proto, to, c.Name),
				Cause:   "it keeps the port from the right one; an engine that was killed leaves such behind",
				Subject: subject, Weight: 70,
				Evidence: []diag.Evidence{
					ev(fmt.Sprintf("ps -o args -p %d", pid), fmt.Sprintf("docker-proxy ... -host-port %d -container-ip %s", p.HostPort, to), snap.RefNetns(in.Snap.Host.Netns)),
					ev(diag.PortCommand(c), fmt.Sprintf("%d/%s -> %s:%d", p.ContainerPort, p.Proto, p.HostIP, p.HostPort), snap.RefContainer(c.Ref)),
				},
				Advice: fmt.Sprintf("end it (kill %d), and start the right one: docker restart %s", pid, c.Name),
			})
		}
		out[k].Covers.Traces = append(out[k].Covers.Traces, i)
	}
	return out
}

// rewritten says whether a flow was at its end for another address or port than it was
// sent to: DNAT took it, and no proxy has to.
func rewritten(f *diag.FlowCase) bool {
	h := f.Trace.Forward
	return len(h) > 0 && h[len(h)-1].Dst.Port() != 0 && h[len(h)-1].Dst != netip.AddrPortFrom(f.Flow.Dst, f.Flow.Dport)
}

// byProxy is the container for whose port a userland proxy would answer the flow.
func byProxy(in *diag.Input, f *diag.FlowCase) (*snap.Container, *snap.Port) {
	c, p, at := in.PublishedAt(f.Flow.Dst, f.Flow.Dport, f.Flow.Proto)
	if c == nil || !at {
		return nil, nil
	}
	if e := in.Snap.Engine(c.Engine); e == nil || !e.UserlandProxy || e.Name == ownEngine { // ND6103 tells of our own
		return nil, nil
	}
	return c, p
}

// fixND5112 takes the container off the network that carries its ports and
// puts it back with the address, the names and the gateway that it had: the
// engine then starts its proxies anew. The container itself goes on. A
// container on several networks is left alone: its device names could change.
func fixND5112(in *diag.Input, f *diag.Finding) []fixups.Op {
	flow := in.Flows[f.Covers.Traces[0]].Flow
	c, _, _ := in.PublishedAt(flow.Dst, flow.Dport, flow.Proto)
	if c == nil || c.Engine != "docker" || len(c.Endpoints) != 1 {
		return nil
	}
	e := &c.Endpoints[0]
	n := in.Snap.NetworkOf(c.Engine, e)
	if n == nil {
		return nil
	}
	return reconnect(c, e, n)
}

// reconnect renews an endpoint.
func reconnect(c *snap.Container, e *snap.Endpoint, n *snap.Network) []fixups.Op {
	ctr := fixups.CtrOf(c)
	return []fixups.Op{
		&fixups.EngineDisconnect{Ctr: ctr, Network: n.Name, NetworkID: n.ID},
		&fixups.EngineConnect{Ctr: ctr, Network: n.Name, NetworkID: n.ID, IPv4: e.StaticIPv4, IPv6: e.StaticIPv6, Aliases: e.Aliases},
	}
}
