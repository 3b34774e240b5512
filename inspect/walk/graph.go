// Package walk joins what a snapshot holds: veth to peer to bridge port to
// container to network, always by (namespace, ifindex), never by name alone.
package walk

import (
	"net/netip"
	"sync"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Graph is the joined snapshot.
type Graph struct {
	snap   *snap.Snapshot
	owners func() map[netip.Addr][]End // see Owners
}

// New joins a snapshot.
func New(s *snap.Snapshot) *Graph {
	g := &Graph{snap: s}
	g.owners = sync.OnceValue(g.byAddr)
	return g
}

// End is one device in one namespace.
type End struct {
	Netns *snap.Netns
	Link  *snap.Link
}

// Peer is the other end of a veth; ok is false when it is not in the snapshot.
func (g *Graph) Peer(l *snap.Link) (End, bool) {
	if l == nil || l.Kind != "veth" || l.Peer == 0 || l.PeerNetns == "" {
		return End{}, false
	}
	p := g.snap.Ns(l.PeerNetns)
	if p == nil {
		return End{}, false
	}
	pl := p.LinkAt(l.Peer)
	if pl == nil {
		return End{}, false
	}
	return End{p, pl}, true
}

// Owners are the devices that hold an address, in every namespace that is ours.
func (g *Graph) Owners(ip netip.Addr) []End { return g.owners()[ip] }

// byAddr sorts the devices by address: with a thousand namespaces, each asks for
// its gateway.
func (g *Graph) byAddr() map[netip.Addr][]End {
	out := map[netip.Addr][]End{}
	for i := range g.snap.Netns {
		ns := &g.snap.Netns[i]
		if !ns.Class.Ours() {
			continue
		}
		for _, a := range ns.Addrs {
			ip, l := a.Prefix.Addr(), ns.LinkAt(a.Index)
			if had := out[ip]; l != nil && (len(had) == 0 || had[len(had)-1].Netns != ns) {
				out[ip] = append(had, End{ns, l})
			}
		}
	}
	return out
}

// ContainersOf are the running containers in a namespace, the sandbox's owner first.
func (g *Graph) ContainersOf(netns string) []*snap.Container {
	ns := g.snap.Ns(netns)
	if ns == nil {
		return nil
	}
	var out []*snap.Container
	for _, ref := range ns.Containers {
		if c := g.snap.Container(ref); c != nil {
			out = append(out, c)
		}
	}
	return out
}

// Ports are the ports of a bridge.
func (g *Graph) Ports(ns *snap.Netns, bridge *snap.Link) []*snap.Link {
	var out []*snap.Link
	for i := range ns.Links {
		if l := &ns.Links[i]; l.Master == bridge.Index {
			out = append(out, l)
		}
	}
	return out
}

// NetworkOfBridge is the engine's network that has this bridge in the host's
// namespace; nil when it is nobody's.
func (g *Graph) NetworkOfBridge(name string) *snap.Network {
	for i := range g.snap.Networks {
		if n := &g.snap.Networks[i]; n.Bridge == name && name != "" {
			return n
		}
	}
	return nil
}

// NetworkOfAddr is the network whose subnet holds the address, the most
// specific; nil when none does.
func (g *Graph) NetworkOfAddr(ip netip.Addr) *snap.Network {
	var best *snap.Network
	bits := -1
	for i := range g.snap.Networks {
		n := &g.snap.Networks[i]
		for _, p := range n.Pools {
			if p.Subnet.IsValid() && p.Subnet.Contains(ip) && p.Subnet.Bits() > bits {
				best, bits = n, p.Subnet.Bits()
			}
		}
	}
	return best
}

// ContainerOfAddr is the running container that its engine gave the address
// to; nil when none.
func (g *Graph) ContainerOfAddr(ip netip.Addr) *snap.Container {
	for i := range g.snap.Containers {
		c := &g.snap.Containers[i]
		if !c.Running() {
			continue
		}
		for _, e := range c.Endpoints {
			if e.IPv4.IsValid() && e.IPv4.Addr() == ip || e.IPv6.IsValid() && e.IPv6.Addr() == ip {
				return c
			}
		}
	}
	return nil
}
