package diag

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// StaleConn is a UDP entry of the host's conntrack to a published port that does
// not lead to the container that publishes it.
type StaleConn struct {
	Conn      *snap.Conn
	Ref       snap.Ref
	Container *snap.Container
	Port      *snap.Port
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
