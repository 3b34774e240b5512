package checks

import (
	"cmp"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd5101: nothing listens where the packet arrives.
//
// The packet arrives, and the container's own stack refuses it: no process listens
// on that port. The program is still starting, has crashed in place, or was never
// told to open the port. The network is fine. Only a remark where nobody asked for
// the port and the program is at work: its health check says that it still starts, or
// it serves another of its published ports.
//
// See it by hand:
//
//	nsenter -t PID -n ss -lntu               the port is not listed
//	docker logs NAME
//
// Sources: net/ipv4/tcp_ipv4.c: tcp_v4_rcv, NO_SOCKET; RFC 9293 section 3.10.7.1
func nd5101() diag.Check {
	return diag.Check{
		Code: "ND5101", Name: "nothing-listening", Severity: diag.Error, Since: "0.1",
		Title: "Nothing listens on the port in the container",
		After: []diag.Code{"ND4204", "ND8102", "ND5121", "ND5111", "ND4306"},
		Detect: func(in *diag.Input) []diag.Finding {
			return listeners(in, func(s seat) *diag.Finding {
				if len(s.elsewhere) > 0 && len(s.loopback) == 0 {
					return listensElsewhere(in, &s)
				}
				if len(s.loopback) > 0 || len(s.others) > 0 || s.target == nil {
					return nil
				}
				if r, l := ledHere(in, &s); l != nil {
					name := diag.NameAsked(s.flow)
					return &diag.Finding{
						Summary:  fmt.Sprintf("/etc/hosts of %s sends %s to %s, which is %s itself, and nothing there listens on port %s", s.target.Name, name, l.Addr, s.target.Name, s.portText()),
						Cause:    fmt.Sprintf("line %d of /etc/hosts in %s comes before DNS", l.Line, s.target.Name),
						Evidence: []diag.Evidence{ev(catIn(in, r, "/etc/hosts"), hostsLine(r.HostsRaw, l.Line, l.Addr, name), snap.RefResolver(r.Owner))},
						Advice:   fmt.Sprintf("if that is not meant, take the line out of /etc/hosts of %s; where it was given by --add-host or extra_hosts, there too", s.target.Name),
					}
				}
				if o, at := servesInstead(in, &s); o != nil {
					return &diag.Finding{
						Summary: fmt.Sprintf("nothing listens on port %s in %s, where %s is %s itself; %s, on the same network, listens there", s.portText(), s.target.Name, s.flow.Flow.Dst, s.target.Name, o.Name),
						Cause:   "localhost in a container is that container alone, not its host and not its neighbours",
						Advice:  fmt.Sprintf("have %s connect to %s:%d (%s)", s.target.Name, o.NetName(), s.dst, at),
					}
				}
				if x := servesOnHost(in, &s); x != nil {
					return &diag.Finding{
						Summary: fmt.Sprintf("nothing listens on port %s in %s, where %s is %s itself; %s on this host listens on %s", s.portText(), s.target.Name, s.flow.Flow.Dst, s.target.Name, x.Holder("a program"), x.Local),
						Cause:   "localhost in a container is that container alone, not its host and not its neighbours",
						Advice:  fmt.Sprintf("if that one is meant, have it listen on the address of the bridge of %s, too, and %s ask that one, or host.docker.internal (--add-host host.docker.internal:host-gateway)", s.target.Name, s.target.Name),
					}
				}
				return sentHere(in, &s, &diag.Finding{
					Summary: fmt.Sprintf("nothing listens on %s %s in %s: it refuses the connection", s.portWord(), s.portText(), s.target.Name),
					Cause:   fmt.Sprintf("no process in %s has a socket on %s %s", s.target.Name, s.portWord(), s.portText()),
					Advice:  fmt.Sprintf("start the program in %s, or look why it does not listen%s", s.target.Name, logOf(s.target)),
				})
			})
		},
	}
}

// ledHere is the line of a container's hosts file that has it ask itself for a name.
func ledHere(in *diag.Input, s *seat) (*snap.Resolver, *snap.HostsLine) {
	r := in.Snap.Resolver(s.target.Ref)
	if r == nil || s.flow.Flow.From != s.ns.ID {
		return nil, nil
	}
	name := diag.NameAsked(s.flow)
	for i := range r.Hosts {
		l := &r.Hosts[i]
		if l.Addr == s.flow.Flow.Dst && name != "localhost" && slices.Contains(l.Names, name) {
			return r, l
		}
	}
	return nil, nil
}

// servesInstead is the one neighbour of a container that asked itself, by a loopback
// address, for a port that only the neighbour serves, and its address; nil for none or
// several.
func servesInstead(in *diag.Input, s *seat) (*snap.Container, netip.Addr) {
	if !s.flow.Asked || !s.flow.Flow.Dst.IsLoopback() || s.flow.Flow.From != s.ns.ID {
		return nil, netip.Addr{}
	}
	var who *snap.Container
	var at netip.Addr
	for _, a := range attachments(in) {
		if a.ns == s.ns || !a.e.IPv4.IsValid() || !slices.ContainsFunc(s.target.Endpoints, func(e snap.Endpoint) bool { return in.Snap.NetworkOf(s.target.Engine, &e) == a.n }) {
			continue
		}
		if slices.ContainsFunc(a.ns.Sockets, func(x snap.Socket) bool {
			return x.Proto == s.flow.Flow.Proto && x.Local.Port() == s.dst && !x.Remote.IsValid() && diag.TakesAddr(&x, a.e.IPv4.Addr())
		}) {
			if who != nil && who != a.c {
				return nil, netip.Addr{}
			}
			who, at = a.c, a.e.IPv4.Addr()
		}
	}
	return who, at
}

// servesOnHost is the program of this host that listens on the port for which a container
// asked itself, by a loopback address; nil for none.
func servesOnHost(in *diag.Input, s *seat) *snap.Socket {
	host := in.Snap.HostNs()
	if host == nil || s.ns == host || !s.flow.Asked || !s.flow.Flow.Dst.IsLoopback() || s.flow.Flow.From != s.ns.ID {
		return nil
	}
	for i := range host.Sockets {
		if x := &host.Sockets[i]; x.Proto == s.flow.Flow.Proto && x.Local.Port() == s.dst && !x.Remote.IsValid() {
			return x
		}
	}
	return nil
}

// listensElsewhere: the port is open, but not for what arrives there.
func listensElsewhere(in *diag.Input, s *seat) *diag.Finding {
	x, who := s.elsewhere[0], in.Who(s.ns.ID)
	var only string
	want := s.flow.Trace.ArrivedAs.Addr()
	if t := s.flow.Trace.Proxy; t != nil && t.ArrivedAs.IsValid() {
		want = t.ArrivedAs.Addr()
	}
	if !want.IsValid() {
		want = s.flow.Flow.Dst
	}
	switch {
	case x.Device != 0:
		only = "what comes in by the device " + s.ns.LinkName(x.Device)
	case x.Local.Addr().IsUnspecified() && x.Local.Addr().Is6() && want.Is4():
		only = "IPv6"
	default:
		only = x.Local.Addr().String()
	}
	all := fmt.Sprintf("[::]:%d", s.dst)
	if want.Is4() {
		all = fmt.Sprintf("0.0.0.0:%d (or %s)", s.dst, all)
	}
	advice := fmt.Sprintf("make the program listen on %s, on no device of its own; nothing in the network is to be changed", all)
	if x.Local.Addr().IsUnspecified() && x.V6Only && want.Is4() {
		advice = fmt.Sprintf("make the program listen on 0.0.0.0:%d, too, or leave its socket open to IPv4 (IPV6_V6ONLY; its default is net.ipv6.bindv6only of %s); nothing in the network is to be changed", s.dst, who)
	}
	return &diag.Finding{
		Summary: fmt.Sprintf("the program in %s listens on %s for %s only: %s is refused", who, s.portText(), only, netip.AddrPortFrom(want, s.dst)),
		Cause:   fmt.Sprintf("the listener in %s is bound to %s", who, socketAt(s.ns, x)),
		Advice:  advice,
	}
}

// socketAt writes where a socket is bound as ss does: 0.0.0.0%lo:80, and *:80 where one of
// IPv6 takes IPv4, too.
func socketAt(ns *snap.Netns, x *snap.Socket) string {
	if x.Device == 0 && x.Local.Addr().IsUnspecified() && x.Local.Addr().Is6() && !x.V6Only {
		return fmt.Sprintf("*:%d", x.Local.Port())
	}
	if x.Device == 0 {
		return x.Local.String()
	}
	return fmt.Sprintf("%s%%%s:%d", x.Local.Addr(), ns.LinkName(x.Device), x.Local.Port())
}

// logOf is the command that shows a container's output, as the end of a sentence;
// "" where the engine keeps none.
func logOf(c *snap.Container) string {
	tool := diag.ToolOf(c.Engine, c.Name)
	switch {
	case snap.IsDocker(c.Engine) || snap.IsPodman(c.Engine):
		return ": " + tool + " logs " + c.Name
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
	// elsewhere are listeners on that port at another address, a device of their
	// own, or for another family.
	elsewhere []*snap.Socket
	others    []*snap.Socket // listeners of the protocol on other ports, reachable ones

	flows []int    // into Input.Flows: of this port, or of all published ones that fare alike
	ports []uint16 // those on arrival, each once
}

// listeners makes findings of refused flows: one for each place and port that was
// asked for, and one for all ports of a container that are published in vain.
func listeners(in *diag.Input, found func(seat) *diag.Finding) []diag.Finding {
	var seats []seat
	for _, asked := range []bool{true, false} { // what was asked for comes first, and takes in the same port of others
		for i := range in.Flows {
			if s := refusedAt(in, &in.Flows[i]); s != nil && s.flow.Asked == asked {
				seats = taken(seats, s, i)
			}
		}
	}
	var out []diag.Finding
	proxy := func(x *snap.Socket) bool { return x.Process != nil && x.Process.Name == "docker-proxy" }
	for _, s := range seats {
		if slices.ContainsFunc(s.loopback, proxy) || slices.ContainsFunc(s.elsewhere, proxy) {
			continue // no program of its own: what is published where is ND5104's
		}
		x := found(s)
		if x == nil {
			continue
		}
		x.Subject = diag.Subject{Kind: "port", Name: fmt.Sprintf("%s/%s", s.portText(), in.Who(s.ns.ID)), Netns: s.ns.ID}
		x.Covers.Traces = s.flows
		x.Weight = max(x.Weight, 55)
		x.Evidence = append(x.Evidence, ev(in.IPCommand(s.ns.ID, "ss -lntup"), socketList(s.ns, s.flow.Flow.Proto), snap.RefNetns(s.ns.ID)))
		if len(s.loopback) == 0 && s.optional() {
			x.Severity = diag.Info
		}
		out = append(out, *x)
	}
	return out
}

// refusedAt is where a broken flow was refused for want of a listener; nil where
// that is not what stopped it.
func refusedAt(in *diag.Input, f *diag.FlowCase) *seat {
	t := f.Trace
	if t.Proxy != nil && t.Verdict != sim.Delivered {
		t = t.Proxy
	}
	w := t.Where
	if f.Excused || f.Kind == diag.HTTPProxy || !f.Broken() || w == nil || w.Cause != sim.CauseNoListener || w.Reply { // an answer that nobody waits for
		return nil
	}
	ns := in.Netns(w.Netns)
	if ns == nil || !ns.Class.Ours() || ns.Light {
		return nil
	}
	return sit(in, f, ns, t)
}

// taken adds a flow's seat to the others: one finding tells of the same port, and
// of all ports that one program has published in vain.
func taken(seats []seat, s *seat, flow int) []seat {
	at := slices.IndexFunc(seats, func(o seat) bool {
		return o.ns == s.ns && o.flow.Flow.Proto == s.flow.Flow.Proto &&
			(o.dst == s.dst || o.published() && s.published() && len(o.loopback)+len(s.loopback) == 0)
	})
	if at < 0 {
		at = len(seats)
		seats = append(seats, *s)
	}
	o := &seats[at]
	o.flows = append(o.flows, flow)
	if !slices.Contains(o.ports, s.dst) {
		o.ports = append(o.ports, s.dst)
	}
	return seats
}

// published says that nobody asked for the port; it is published, that is all.
func (s *seat) published() bool { return !s.flow.Asked && s.flow.Port != nil && s.target != nil }

// optional says that the program is at work though nobody listens on the port:
// its own health check says that it still starts, or another of its published
// ports is served, and this one may be opened on demand (FTP's passive range,
// RTP) or belong to a part of it that is not in use (443/udp without HTTP/3).
func (s *seat) optional() bool {
	return s.published() && (s.target.Health == "starting" || slices.ContainsFunc(s.target.Ports, func(p snap.Port) bool {
		return slices.ContainsFunc(s.ns.Sockets, func(x snap.Socket) bool {
			asked := p.Proto == s.flow.Flow.Proto && slices.Contains(s.ports, p.ContainerPort)
			return x.Proto == p.Proto && x.Local.Port() == p.ContainerPort && !asked && !x.Remote.IsValid() && !x.Local.Addr().Unmap().IsLoopback() && !engineSocket(&x)
		})
	}))
}

// portText writes the ports with their protocol: "80/tcp", "30000-30009/tcp".
func (s *seat) portText() string { return portRanges(s.ports) + "/" + string(s.flow.Flow.Proto) }

// portWord is "port" or "ports".
func (s *seat) portWord() string {
	if len(s.ports) == 1 {
		return "port"
	}
	return "ports"
}

// portRanges writes ports in order, those in a row as one: "80, 8000-8009".
func portRanges(ports []uint16) string {
	ports = slices.Clone(ports)
	snap.Sort(ports, cmp.Compare[uint16])
	var out []string
	for i := 0; i < len(ports); {
		j := i
		for j+1 < len(ports) && ports[j+1] == ports[j]+1 {
			j++
		}
		if i == j {
			out = append(out, fmt.Sprint(ports[i]))
		} else {
			out = append(out, fmt.Sprintf("%d-%d", ports[i], ports[j]))
		}
		i = j + 1
	}
	return strings.Join(out, ", ")
}

// sit looks at the sockets of the namespace in which a flow was refused.
func sit(in *diag.Input, f *diag.FlowCase, ns *snap.Netns, t *sim.Trace) *seat {
	s := &seat{flow: f, ns: ns, dst: t.ArrivedAs.Port()}
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
		case x.Local.Port() == s.dst:
			s.elsewhere = append(s.elsewhere, x)
		case x.Local.Port() != s.dst && !lo:
			s.others = append(s.others, x)
		}
	}
	return s
}

// engineSocket says whether a socket is an engine's own (the embedded
// resolver's in a container).
func engineSocket(x *snap.Socket) bool {
	if x.Local.Addr().Unmap() == snap.DockerResolver() {
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
		line := string(s.Proto) + " " + socketAt(ns, s)
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
