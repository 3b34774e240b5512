package checks

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd5101: nothing listens where the packet arrives.
func nd5101() diag.Check {
	return diag.Check{
		Code: "ND5101", Name: "nothing-listening", Severity: diag.Error, Since: "0.1",
		Title: "Nothing listens on the port in the container",
		Doc: `The packet arrives, and the container's own stack refuses it: no process listens
on that port. The program is still starting, has crashed in place, or was never
told to open the port. The network is fine.

See it by hand:
    nsenter -t PID -n ss -lntu               the port is not listed
    docker logs NAME

Sources: net/ipv4/tcp_ipv4.c: tcp_v4_rcv, NO_SOCKET; RFC 9293 section 3.10.7.1`,
		After: []diag.Code{"ND4204", "ND8102"},
		Detect: func(in *diag.Input) []diag.Finding {
			return listeners(in, func(s seat) *diag.Finding {
				if len(s.loopback) > 0 || len(s.others) > 0 || s.target == nil {
					return nil
				}
				return &diag.Finding{
					Summary: fmt.Sprintf("nothing listens on port %s in %s: it refuses the connection", portOf(s.flow), s.target.Name),
					Cause:   fmt.Sprintf("no process in %s has a socket on port %s", s.target.Name, portOf(s.flow)),
					Advice:  fmt.Sprintf("start the program in %s, or look why it does not listen%s", s.target.Name, logOf(s.target)),
				}
			})
		},
	}
}

// logOf is the command that shows a container's output, as the end of a sentence;
// "" where the engine keeps none.
func logOf(c *snap.Container) string {
	switch {
	case c.Engine == "docker" || c.Engine == "podman":
		return ": " + c.Engine + " logs " + c.Name
	case c.Engine == "netdoctor" && c.HostsPath != "":
		return ": cat " + path.Dir(c.HostsPath) + "/log"
	}
	return ""
}

// seat is where a refused flow arrived, and who sits there.
type seat struct {
	flow     *diag.FlowCase
	ns       *snap.Netns
	target   *snap.Container // nil for the host or a plain namespace
	dst      uint16          // port on arrival
	loopback []*snap.Socket  // listeners on that port, at loopback addresses only
	others   []*snap.Socket  // listeners of the protocol on other ports, reachable ones
}

// listeners makes findings of refused flows, one for each place and port.
func listeners(in *diag.Input, found func(seat) *diag.Finding) []diag.Finding {
	var out []diag.Finding
	for i := range in.Flows {
		f := &in.Flows[i]
		t := f.Trace
		if t.Proxy != nil && t.Verdict != sim.Delivered {
			t = t.Proxy
		}
		w := t.Where
		if f.Excused || !f.Broken() || w == nil || w.Cause != sim.CauseNoListener {
			continue
		}
		ns := in.Netns(w.Netns)
		if ns == nil || !ns.Class.Ours() || ns.Light {
			continue
		}
		s := sit(in, f, ns, t)
		x := found(s)
		if x == nil {
			continue
		}
		x.Subject = diag.Subject{Kind: "port", Name: fmt.Sprintf("%s/%s", portOf(f), in.Who(ns.ID)), Netns: ns.ID}
		if at := slices.IndexFunc(out, func(o diag.Finding) bool { return o.Subject == x.Subject }); at >= 0 {
			out[at].Covers.Traces = append(out[at].Covers.Traces, i)
			continue
		}
		x.Covers.Traces = []int{i}
		x.Weight = max(x.Weight, 55)
		x.Evidence = append(x.Evidence, ev(in.IPCommand(ns.ID, "ss -lntup"), socketList(ns, f.Flow.Proto), snap.RefNetns(ns.ID)))
		out = append(out, *x)
	}
	return out
}

// sit looks at the sockets of the namespace in which a flow was refused.
func sit(in *diag.Input, f *diag.FlowCase, ns *snap.Netns, t *sim.Trace) seat {
	s := seat{flow: f, ns: ns, dst: t.ArrivedAs.Port()}
	if s.dst == 0 {
		s.dst = f.Flow.Dport
	}
	if ns.ID != in.Snap.Host.Netns {
		s.target = container(in, ns.ID)
	}
	for i := range ns.Sockets {
		x := &ns.Sockets[i]
		if x.Proto != f.Flow.Proto || x.Remote.IsValid() || engineSocket(x) {
			continue
		}
		lo := x.Local.Addr().Unmap().IsLoopback()
		switch {
		case x.Local.Port() == s.dst && lo:
			s.loopback = append(s.loopback, x)
		case x.Local.Port() != s.dst && !lo:
			s.others = append(s.others, x)
		}
	}
	return s
}

// engineSocket says whether a socket is an engine's own (the embedded
// resolver's in a container).
func engineSocket(x *snap.Socket) bool {
	if x.Local.Addr().Unmap().String() == "127.0.0.11" {
		return true
	}
	return x.Process != nil && (x.Process.Name == "dockerd" || x.Process.Name == "aardvark-dns")
}

// portOf writes a flow's port on arrival with its protocol.
func portOf(f *diag.FlowCase) string {
	port := f.Trace.ArrivedAs.Port()
	if f.Trace.Proxy != nil && f.Trace.Proxy.ArrivedAs.IsValid() {
		port = f.Trace.Proxy.ArrivedAs.Port()
	}
	if port == 0 {
		port = f.Flow.Dport
	}
	return fmt.Sprintf("%d/%s", port, f.Flow.Proto)
}

// socketList writes the listeners of a namespace in one line each.
func socketList(ns *snap.Netns, p snap.Proto) string {
	var out []string
	for i := range ns.Sockets {
		s := &ns.Sockets[i]
		if s.Proto != p || s.Remote.IsValid() || engineSocket(s) {
			continue
		}
		line := string(s.Proto) + " " + s.Local.String()
		if s.Process != nil {
			line += fmt.Sprintf(" %s (pid %d)", s.Process.Name, s.Process.PID)
		}
		out = append(out, line)
	}
	if len(out) == 0 {
		return "(no " + string(p) + " listener)"
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}
