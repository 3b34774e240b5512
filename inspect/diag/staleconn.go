package diag

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// StaleConn is a UDP entry of the host's conntrack to a published port that does
// not lead to the container that publishes it, or one of a container's packets that
// leave with its own address, or with one that this host has no more, where those of a new
// flow are masqueraded.
type StaleConn struct {
	Conn      *snap.Conn
	Ref       snap.Ref
	Container *snap.Container
	Port      *snap.Port // nil: the container sends
}

// maxStale bounds the entries that are told of.
const maxStale = 256

// StaleConns are those of the host.
func (in *Input) StaleConns() []StaleConn {
	host := in.Snap.HostNs()
	var out []StaleConn
	if host == nil {
		return nil
	}
	for i := range host.Conntrack {
		x := &host.Conntrack[i]
		if x.Proto != snap.UDP.Number() || len(out) >= maxStale {
			continue
		}
		dst := x.Orig.Dst
		if c := in.unmapped(host, x); c != nil {
			out = append(out, StaleConn{x, snap.RefItem(host.ID, "conn", i), c, nil})
			continue
		}
		if _, mine := host.HasAddr(dst.Addr()); !mine || dst.Addr().IsLoopback() {
			continue
		}
		if _, own := host.HasAddr(x.Orig.Src.Addr()); own {
			continue // the host's own, and the proxy's
		}
		c, p, at := in.PublishedAt(dst.Addr(), dst.Port(), snap.UDP)
		if !at || holds(c, x.Reply.Src) || in.Graph.ContainerOfAddr(x.Orig.Src.Addr()) != nil {
			continue
		}
		if x.Reply.Src == dst && in.proxied(c) {
			continue // the userland proxy serves it
		}
		out = append(out, StaleConn{x, snap.RefItem(host.ID, "conn", i), c, p})
	}
	return out
}

// unmapped is the container whose packets an entry sends out with its own address,
// unanswered, or with an address that the host had before it was renumbered, while a new
// flow to the same place would be translated to another one. Its socket is
// open still: what asked once, and is over, does not suffer any more. Who asks for names
// does so from a new port each time (RFC 5452).
func (in *Input) unmapped(host *snap.Netns, x *snap.Conn) *snap.Container {
	src, dst := x.Orig.Src.Addr(), x.Orig.Dst
	n, c := in.Graph.NetworkOfAddr(src), in.Graph.ContainerOfAddr(src)
	if n == nil || c == nil || !n.Masquerade || x.Reply.Src != dst || dst.Port() == 53 || in.Graph.NetworkOfAddr(dst.Addr()) != nil || !dst.Addr().IsGlobalUnicast() {
		return nil
	}
	as := x.Reply.Dst.Addr()
	if _, own := host.HasAddr(as); own || as == src && slices.Contains(x.Status, "seen-reply") {
		return nil
	}
	ns := in.Snap.Ns(c.Netns)
	if ns == nil || !slices.ContainsFunc(ns.Sockets, func(s snap.Socket) bool {
		return s.Proto == snap.UDP && s.Local.Port() == x.Orig.Src.Port()
	}) {
		return nil
	}
	t := in.World.Trace(sim.Flow{From: c.Netns, Dst: dst.Addr(), Dport: dst.Port(), Proto: snap.UDP, Anew: true, StopOutside: true})
	if t.LeftNetns != host.ID || !t.ExitSrc.IsValid() || t.ExitSrc.Addr() == as {
		return nil
	}
	return c
}

// holds says whether an address is one of a container's.
func holds(c *snap.Container, a netip.AddrPort) bool {
	return slices.ContainsFunc(c.Endpoints, func(e snap.Endpoint) bool {
		return e.IPv4.IsValid() && e.IPv4.Addr() == a.Addr() || e.IPv6.IsValid() && e.IPv6.Addr() == a.Addr()
	})
}

// proxied says whether the engine of a container runs userland proxies.
func (in *Input) proxied(c *snap.Container) bool {
	e := in.Snap.Engine(c.Engine)
	return e != nil && e.UserlandProxy
}
