package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd5113: a container can't start because its host port is in use.
//
// A published port is a port of the host; a container with --network host binds its
// ports on the host itself. Either can be had once: "bind: address already in use"
// (another process has it) or "port is already allocated" (another container
// publishes it).
//
// A connection of the host has a port, too, mostly chosen by the kernel from
// net.ipv4.ip_local_port_range, and keeps listeners off it while it lasts and for a
// minute after: who publishes a port of that range has it reserved.
//
// See it by hand:
//
//	ss -lntup 'sport = :PORT'                who listens on it
//	ss -antup 'sport = :PORT'                whose connection has it
//	docker inspect -f '{{.State.Error}}' NAME; docker logs --tail 5 NAME
//
// Sources: moby libnetwork/portallocator; bind(2), EADDRINUSE;
// net/ipv4/inet_connection_sock.c: inet_csk_bind_conflict; ip-sysctl.rst: ip_local_reserved_ports
func nd5113() diag.Check {
	return diag.Check{
		Code: "ND5113", Name: "host-port-taken", Severity: diag.Error, Since: "0.1",
		Title:  "A container does not run because somebody else has its port on the host",
		Detect: detectND5113,
	}
}

func detectND5113(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Snap.Containers {
		c := &in.Snap.Containers[i]
		if c.Running() || c.State == snap.Vanished {
			continue
		}
		for _, p := range wanted(c) {
			who, line, ref := portHolder(in, c, p)
			which, cause, advice := "l", "listens on it", fmt.Sprintf("stop %s, or give %s another port", who, c.Name)
			if who == "" {
				if who, line, ref = connHolder(in, c, p); who == "" {
					continue
				}
				which, cause, advice = "a", "has it", fmt.Sprintf("start %s when that connection has ended", c.Name)+keepPort(in, p.HostPort)
			}
			f := diag.Finding{
				Summary:  fmt.Sprintf("%s can't run: port %d/%s of this host is in use by %s", c.Name, p.HostPort, p.Proto, who),
				Cause:    fmt.Sprintf("%s needs port %d of the host, and %s %s", c.Name, p.HostPort, who, cause),
				Subject:  diag.Subject{Kind: "container", Name: c.Name},
				Evidence: []diag.Evidence{ev(fmt.Sprintf("ss -%sntup 'sport = :%d'", which, p.HostPort), line, ref), ev(diag.ListCommand(c), fmt.Sprintf("%s %s (%d)", c.Name, c.State, c.ExitCode), snap.RefContainer(c.Ref))},
				Advice:   advice,
				Weight:   63,
			}
			if c.Error != "" {
				f.Evidence = append(f.Evidence, ev(diag.InspectCommand(c), strings.TrimSpace(c.Error), snap.RefContainer(c.Ref)))
			}
			for k := range in.Flows {
				if fl := &in.Flows[k]; fl.Asked && fl.Flow.Dport == p.HostPort && fl.Flow.Proto == p.Proto && fl.Trace.Arrived == in.Snap.Host.Netns {
					f.Covers.Traces = append(f.Covers.Traces, k)
				}
			}
			out = append(out, f)
			break
		}
	}
	return out
}

// held says whether somebody has what a container that failed to start would need, which
// findings of their own tell: a port of the host (ND5113), or its address (ND6303).
func held(in *diag.Input, c *snap.Container) bool {
	for _, p := range wanted(c) {
		who, _, _ := portHolder(in, c, p)
		if by, _, _ := connHolder(in, c, p); who != "" || by != "" {
			return true
		}
	}
	for j := range c.Endpoints {
		e := &c.Endpoints[j]
		if o, _ := holder(in, in.Snap.NetworkOf(c.Engine, e), c, e); o != nil {
			return true
		}
	}
	return false
}

// wanted are the host ports that a container that does not run would need:
// those it publishes, if it failed to start or never ran; with --network host
// those that it exposes or names in its command line, if it ended with an error.
func wanted(c *snap.Container) []snap.Port {
	if c.NetworkMode != "host" {
		if !failedToStart(c) {
			return nil
		}
		return snap.Without(slices.Clone(c.Ports), func(p snap.Port) bool { return p.HostPort == 0 })
	}
	if c.State == "created" || c.ExitCode == 0 || c.ExitCode > 125 {
		return nil
	}
	var out []snap.Port
	for _, e := range c.Exposed {
		out = append(out, snap.Port{Proto: e.Proto, HostPort: e.Port})
	}
	for _, n := range c.ArgPorts {
		out = append(out, snap.Port{Proto: snap.TCP, HostPort: n})
	}
	return out
}

// failedToStart says whether a container that does not run may be one whose start
// failed: it left an error, or it never ran. Of a start that failed Docker keeps the
// exit code 128 (moby daemon/start.go: containerStart): without it nobody has tried.
func failedToStart(c *snap.Container) bool {
	return c.Error != "" || c.State == "created" && (!snap.IsDocker(c.Engine) || c.ExitCode != 0)
}

// portHolder is who has a port of the host, in words, with the line and place
// that show it; "" when it is free.
func portHolder(in *diag.Input, c *snap.Container, p snap.Port) (who, line string, ref snap.Ref) {
	if o, q, at := in.PublishedAt(p.HostIP, p.HostPort, p.Proto); o != nil && o != c && (at || !p.HostIP.IsValid() || p.HostIP.IsUnspecified() || q.HostIP.IsUnspecified()) {
		return "container " + o.Name, fmt.Sprintf("%s publishes %d/%s", o.Name, q.HostPort, q.Proto), snap.RefContainer(o.Ref)
	}
	host := in.Snap.HostNs()
	if host == nil {
		return "", "", ""
	}
	for i := range host.Sockets {
		s := &host.Sockets[i]
		if s.Proto != p.Proto || s.Local.Port() != p.HostPort || s.Remote.IsValid() {
			continue
		}
		l := s.Local.Addr().Unmap()
		if p.HostIP.IsValid() && !p.HostIP.IsUnspecified() && !l.IsUnspecified() && l != p.HostIP.Unmap() {
			continue
		}
		if c.NetworkMode == "host" && l.IsLoopback() {
			continue // it may well have wanted another address
		}
		who = s.Holder("a process")
		return who, fmt.Sprintf("%s %s %s", s.Proto, s.Local, who), snap.RefItem(host.ID, "socket", i)
	}
	return "", "", ""
}

// connHolder is whose connection has a port that a container could not have.
func connHolder(in *diag.Input, c *snap.Container, p snap.Port) (who, line string, ref snap.Ref) {
	host := in.Snap.HostNs()
	if host == nil || !c.PortInUse() {
		return "", "", ""
	}
	for i, s := range slices.Concat(host.Held, host.Sockets) {
		if s.Proto != p.Proto || s.Local.Port() != p.HostPort || !s.Remote.IsValid() {
			continue
		}
		ref = snap.RefItem(host.ID, "held", i)
		if n := len(host.Held); i >= n {
			ref = snap.RefItem(host.ID, "socket", i-n)
		}
		who = fmt.Sprintf("a connection to %s that is ending", s.Remote)
		if s.Process != nil {
			who = fmt.Sprintf("a connection of %s (pid %d) to %s", s.Process.Name, s.Process.PID, s.Remote)
		}
		return who, fmt.Sprintf("%s %s %s", s.Proto, s.Local, s.Remote), ref
	}
	return "", "", ""
}

// keepPort says how connections are kept off a port that they are given by chance.
func keepPort(in *diag.Input, port uint16) string {
	host := in.Snap.HostNs()
	low, high, ok := localPorts(host)
	if !ok || int(port) < low || int(port) > high || reservedPorts(host, int(port), int(port)) > 0 {
		return ""
	}
	kept, _ := host.Sysctl(portsKept)
	if kept != "" {
		kept += ","
	}
	return fmt.Sprintf("; so that no connection is given the port again: sysctl -w net.ipv4.ip_local_reserved_ports=%s%d", kept, port)
}
