package inspect

import (
	"net/netip"
	"regexp"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// classify says of each namespace what it is to this host, see
// snap.Netns.Class. It is a function of the joined snapshot alone.
func classify(s *snap.Snapshot) {
	k := &classer{s: s, edges: edges(s)}
	for i := range s.Netns {
		n := &s.Netns[i]
		n.Class = ""
		switch {
		case n.ID == s.Host.Netns:
			n.Class = snap.ClassHost
		case k.ownContainer(n):
			n.Class = snap.ClassContainer
		}
	}
	k.helpers()
	k.neighbours()
	// From the outside first: what lies behind the uplink is outside, even if a
	// second way leads there.
	k.spread(snap.ClassOutside, snap.ClassOutside)
	k.spread(snap.ClassContainer, snap.ClassAttached)
	k.spread(snap.ClassAttached, snap.ClassAttached)
	k.spread(snap.ClassSandbox, snap.ClassAttached)
	for i := range s.Netns {
		if s.Netns[i].Class == "" {
			s.Netns[i].Class = snap.ClassForeign
		}
	}
}

type classer struct {
	s     *snap.Snapshot
	edges map[string]map[string]bool // namespaces that a link connects
}

// edges are the pairs of namespaces that links connect, both ways.
func edges(s *snap.Snapshot) map[string]map[string]bool {
	out := map[string]map[string]bool{}
	add := func(a, b string) {
		if out[a] == nil {
			out[a] = map[string]bool{}
		}
		out[a][b] = true
	}
	for i := range s.Netns {
		n := &s.Netns[i]
		for _, l := range n.Links {
			if l.PeerNetns != "" && l.PeerNetns != n.ID {
				add(n.ID, l.PeerNetns)
				add(l.PeerNetns, n.ID)
			}
		}
	}
	return out
}

func (k *classer) ownContainer(n *snap.Netns) bool { return len(n.Containers) > 0 }

// overlayName is what Docker calls the namespace of an overlay network:
// a number, a dash and ten digits of the network's id
// (moby daemon/libnetwork/drivers/overlay/ov_network.go).
func overlayName(s string) bool {
	return regexp.MustCompile(`^[0-9]+-[0-9a-z]{10}$`).MatchString(s)
}

// helpers finds the namespaces that this host's engine made for itself: a link
// leads from them to the host, to a container, or to another helper. Those of an
// engine on another host of this kernel (a container with a dockerd in it, a
// practice host) have the same names.
func (k *classer) helpers() {
	for found := true; found; {
		found = false
		for i := range k.s.Netns {
			n := &k.s.Netns[i]
			if n.Class != "" || !helper(n) {
				continue
			}
			for to := range k.edges[n.ID] {
				if o := k.s.Ns(to); o != nil && (o.Class == snap.ClassHost || o.Class == snap.ClassContainer || o.Class == snap.ClassSandbox) {
					n.Class, found = snap.ClassSandbox, true
				}
			}
		}
	}
}

// helper says whether a namespace is called as one that an engine made for itself.
func helper(n *snap.Netns) bool {
	for _, name := range n.Names {
		if name == "ingress_sbox" || strings.HasPrefix(name, "lb_") || overlayName(name) {
			return true
		}
	}
	return false
}

// hop is one way from the host to a neighbour: the host's device.
type hop struct {
	to     string
	dev    *snap.Link
	direct bool // the neighbour's device sits on dev itself: macvlan, ipvlan, vlan
}

// hops are all ways from the host to its neighbours.
func (k *classer) hops() []hop {
	host := k.s.HostNs()
	var out []hop
	for i := range host.Links {
		l := &host.Links[i]
		if l.PeerNetns != "" && l.PeerNetns != host.ID {
			out = append(out, hop{to: l.PeerNetns, dev: l})
		}
	}
	for i := range k.s.Netns {
		n := &k.s.Netns[i]
		for _, l := range n.Links {
			if n.ID != host.ID && l.PeerNetns == host.ID && l.Kind != "veth" {
				if dev := host.LinkAt(l.Peer); dev != nil {
					out = append(out, hop{to: n.ID, dev: dev, direct: true})
				}
			}
		}
	}
	return out
}

// neighbours classifies the namespaces next to the host.
func (k *classer) neighbours() {
	host := k.s.HostNs()
	if host == nil {
		return
	}
	up := uplinks(k.s)
	gateways := gateways(host)
	class := map[string]snap.NetnsClass{}
	for _, h := range k.hops() {
		n := k.s.Ns(h.to)
		if n == nil || n.Class != "" {
			continue
		}
		was := class[n.ID]
		var is snap.NetnsClass
		master := host.LinkAt(h.dev.Master)
		switch {
		case h.direct:
			is = snap.ClassAttached
		case up[h.dev.Index], holdsAny(n, gateways):
			is = snap.ClassOutside
		case master != nil && master.Kind == "bridge":
			is = snap.ClassAttached
		case k.onlyHost(n):
			is = snap.ClassAttached
		default:
			is = snap.ClassOutside
		}
		if was != snap.ClassOutside {
			class[n.ID] = is
		}
	}
	for id, c := range class {
		k.s.Ns(id).Class = c
	}
}

// onlyHost says whether all links of a namespace lead to the host.
func (k *classer) onlyHost(n *snap.Netns) bool {
	for _, l := range n.Links {
		if l.PeerNSID >= 0 && l.PeerNetns != k.s.Host.Netns {
			return false
		}
	}
	return true
}

// spread gives every namespace without a class that a link connects to one of
// class from the class to, and so on from there.
func (k *classer) spread(from, to snap.NetnsClass) {
	var front []string
	for i := range k.s.Netns {
		if k.s.Netns[i].Class == from {
			front = append(front, k.s.Netns[i].ID)
		}
	}
	for len(front) > 0 {
		var next []string
		for _, id := range front {
			for other := range k.edges[id] {
				if n := k.s.Ns(other); n != nil && n.Class == "" {
					n.Class = to
					next = append(next, other)
				}
			}
		}
		front = next
	}
}

// uplinks are the host's devices that default routes leave by, and the devices
// below them: the lower device of a VLAN or macvlan, the members of a bond.
func uplinks(s *snap.Snapshot) map[int]bool {
	host := s.HostNs()
	out := map[int]bool{}
	var add func(index int)
	add = func(index int) {
		l := host.LinkAt(index)
		if l == nil || out[index] {
			return
		}
		out[index] = true
		if l.Kind != "veth" && l.PeerNSID < 0 && l.Peer != 0 {
			add(l.Peer)
		}
		if l.Kind == "bond" || l.Kind == "team" {
			for i := range host.Links {
				if host.Links[i].Master == index {
					add(host.Links[i].Index)
				}
			}
		}
	}
	for _, r := range host.Routes {
		if r.Dst.Bits() != 0 || r.Type != "unicast" {
			continue
		}
		if r.Oif != 0 {
			add(r.Oif)
		}
		for _, h := range r.Nexthops {
			add(h.Oif)
		}
	}
	return out
}

// gateways are the next hops of the host's default routes. Whoever holds one
// is outside, also behind a bridge that is the uplink.
func gateways(host *snap.Netns) map[netip.Addr]bool {
	out := map[netip.Addr]bool{}
	for _, r := range host.Routes {
		if r.Dst.Bits() != 0 || r.Type != "unicast" {
			continue
		}
		for _, a := range []netip.Addr{r.Gateway, r.Via} {
			if a.IsValid() {
				out[a] = true
			}
		}
		for _, h := range r.Nexthops {
			if h.Gateway.IsValid() {
				out[h.Gateway] = true
			}
		}
	}
	return out
}

func holdsAny(n *snap.Netns, addrs map[netip.Addr]bool) bool {
	for _, a := range n.Addrs {
		if addrs[a.Prefix.Addr()] {
			return true
		}
	}
	return false
}
