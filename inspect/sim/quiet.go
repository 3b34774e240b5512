package sim

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// A question for a neighbour goes to all ports of a bridge, and most of what
// hangs there has nothing to say: a container that does not hold the address
// and stands in for nobody. Those are left out beforehand; of 200 containers
// on a bridge they were nearly all the work of a prediction.

// ends are the ports of one bridge, sorted by what a question can do there.
type ends struct {
	busy []*snap.Link            // lead on, or nobody knows where
	leaf map[*netns][]*snap.Link // lead to one namespace and no further
}

// sortPorts fills in the ends of all bridges.
func (w *World) sortPorts() {
	for _, n := range w.order {
		for _, i := range n.addrAll() {
			if a := i; !slices.Contains(w.holders[a], n) {
				w.holders[a] = append(w.holders[a], n)
			}
		}
		if n.answersMore() {
			w.eager = append(w.eager, n)
		}
	}
	for _, n := range w.order {
		for master, ports := range n.ports {
			e := &ends{leaf: map[*netns][]*snap.Link{}}
			for _, p := range ports {
				if far := w.leafBehind(n, p); far != nil {
					e.leaf[far] = append(e.leaf[far], p)
				} else {
					e.busy = append(e.busy, p)
				}
			}
			n.ends[master] = e
		}
	}
}

func (n *netns) addrAll() []netip.Addr {
	out := make([]netip.Addr, 0, len(n.addrs))
	for a := range n.addrs {
		out = append(out, a)
	}
	return out
}

// leafBehind is the namespace at the other end of a port's wire, if a question
// ends there: nothing rides on that end, and it is no port itself.
func (w *World) leafBehind(n *netns, p *snap.Link) *netns {
	far := w.ns[p.PeerNetns]
	if p.Kind != "veth" || p.Peer == 0 || far == nil || far == n || far.n.Light || far.undecided != "" {
		return nil
	}
	peer := far.links[p.Peer]
	if peer == nil || peer.Master != 0 || peer.XDP != nil || len(peer.Filters) > 0 || len(w.stacked[devKey{far.n.ID, peer.Index}]) > 0 {
		return nil
	}
	return far
}

// answersMore says whether the namespace may answer for addresses that it does
// not hold: as a proxy, or by local routes that no address of its own made.
func (n *netns) answersMore() bool {
	for i := range n.n.Neighs {
		if n.n.Neighs[i].Proxy {
			return true
		}
	}
	for i := range n.n.Links {
		l := &n.n.Links[i]
		if n.on("ipv4", l.Name, "proxy_arp") || n.on("ipv4", l.Name, "proxy_arp_pvlan") || n.on("ipv6", l.Name, "proxy_ndp") {
			return true
		}
	}
	if n.on("ipv4", "all", "proxy_arp") || n.on("ipv4", "all", "proxy_arp_pvlan") || n.on("ipv6", "all", "proxy_ndp") {
		return true
	}
	for i := range n.n.Routes {
		if r := &n.n.Routes[i]; r.Type == "local" && !r.Dst.Addr().IsLoopback() && (!r.Dst.IsSingleIP() || n.addrs[r.Dst.Addr()] == nil) {
			return true
		}
	}
	return false
}

// on says whether a device's sysctl is set, from the values as they were read: it
// is asked of every namespace, of which most never see a packet (sortSysctls).
func (n *netns) on(fam, dev, key string) bool {
	i, err := strconv.Atoi(strings.TrimSpace(n.n.Sysctls["net/"+fam+"/conf/"+dev+"/"+key]))
	return err == nil && i != 0
}

// hearing are the ports of a bridge where a question for ip can come to
// anything, in the order of floods.
func (n *netns) hearing(br *snap.Link, ip netip.Addr) []*snap.Link {
	e := n.ends[br.Index]
	if e == nil {
		return n.ports[br.Index]
	}
	out := slices.Clone(e.busy)
	for _, list := range [][]*netns{n.w.holders[ip], n.w.eager} {
		for _, far := range list {
			for _, p := range e.leaf[far] {
				if !slices.Contains(out, p) {
					out = append(out, p)
				}
			}
		}
	}
	if len(out) > 1 {
		sortFlood(out)
	}
	return out
}
