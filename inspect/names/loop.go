package names

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxCircle bounds how many servers are followed from one to the next.
const maxCircle = 8

// itself is what comes of a question that a server is asked while it is being
// answered: nothing, and that is the fault.
func (w *walker) itself(from string, server netip.AddrPort, name string) outcome {
	o := outcome{verdict: Timeout}
	o.fail(Timeout, Step{Where: where("", server), Asked: name, LeavesFrom: from}, &Problem{
		Kind: ForwardLoop, Server: server, Ref: w.refResolver(), Because: w.because(),
		Detail: fmt.Sprintf("%s in %s forwards to itself: what it does not know it is asked again", server.Addr(), w.nsName(w.s.Ns(from))),
	})
	return o
}

// looped makes of a server that gives no good answer one that waits for itself,
// where its own way leads back to it.
func (w *walker) looped(p *Problem) *Problem {
	if l := w.circle(p.Server); l != nil {
		p.Kind, p.Container, p.Ref = ForwardLoop, l.Container, l.Ref
		p.Because = append(p.Because, l.Because...)
		p.Detail += "; " + l.Detail
	}
	return p
}

// circle follows a silent server that runs in a container here to the servers
// that its container asks by its resolv.conf, and on, and tells when they lead
// back to it; nil when they don't. Whether the program there goes by its
// resolv.conf is not known, so that a circle alone is no fault.
func (w *walker) circle(server netip.AddrPort) *Problem {
	start := w.serves(server)
	if start == nil {
		return nil
	}
	p := &Problem{Kind: ForwardLoop, Container: start.Ref, Ref: snap.RefContainer(start.Ref)}
	way := []string{start.Name}
	seen := []*snap.Container{start}
	for c := start; len(way) < maxCircle; {
		r := w.s.Resolver(c.Ref)
		if r == nil {
			return nil
		}
		p.Because = append(p.Because, snap.RefResolver(r.Owner))
		var next *snap.Container
		for _, a := range w.asked(c, r) {
			n := w.serves(netip.AddrPortFrom(a, 53))
			if n == nil {
				return nil // somebody else answers
			}
			if next == nil {
				next, way = n, append(way, a.String())
			}
		}
		switch {
		case next == nil:
			return nil
		case next == start:
			p.Detail = fmt.Sprintf("%s serves %s, and by its own resolv.conf asks %s, which is itself", start.Name, server.Addr(), strings.Join(way[1:], ", then "))
			return p
		case slices.Contains(seen, next):
			return nil
		}
		seen = append(seen, next)
		c = next
	}
	return nil
}

// asked are the servers that a container's programs ask in the end: those of
// its resolv.conf, and for the engine's resolver those that it forwards to.
func (w *walker) asked(c *snap.Container, r *snap.Resolver) []netip.Addr {
	if !slices.Contains(r.ResolvConf.Nameservers, snap.DockerResolver()) {
		return r.ResolvConf.Nameservers
	}
	own := newWalker(Input{Snap: w.s, Netns: c.Netns, Container: c.Ref})
	if own.ns == nil || own.r == nil {
		return nil
	}
	list, unknown := own.upstreams(own.ns)
	if unknown != "" {
		return nil
	}
	var out []netip.Addr
	for _, x := range list {
		out = append(out, x.addr)
	}
	return out
}

// serves is the running container that takes questions at an address: its own,
// or one of the host where its port is published; nil for none.
func (w *walker) serves(srv netip.AddrPort) *snap.Container {
	local := w.owner(srv.Addr()) != nil && w.owner(srv.Addr()).ID == w.s.Host.Netns
	for i := range w.s.Containers {
		c := &w.s.Containers[i]
		if !c.Running() {
			continue
		}
		for j := range c.Endpoints {
			if e := &c.Endpoints[j]; e.IPv4.Addr() == srv.Addr() || e.IPv6.Addr() == srv.Addr() {
				return c
			}
		}
		for _, p := range c.Ports {
			if local && p.Proto == snap.UDP && p.HostPort == srv.Port() && (p.HostIP == srv.Addr() || !p.HostIP.IsValid() || p.HostIP.IsUnspecified()) {
				return c
			}
		}
	}
	return nil
}
