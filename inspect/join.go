package inspect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// join ties together what was read apart: containers and namespaces, the two
// ends of links, sockets and where their processes live. Namespaces come in
// named by inode and go out with their real names. inodes are those of the
// containers' namespaces, by index.
func join(s *snap.Snapshot, inodes map[int]uint64) {
	members := map[string][]int{} // containers by namespace, the sandbox's owner first
	for i := range s.Containers {
		if inode, ok := inodes[i]; ok {
			id := kernel.InodeID(inode)
			members[id] = append(members[id], i)
		}
	}
	for id, list := range members {
		snap.Sort(list, func(a, b int) int {
			return guest(&s.Containers[a]) - guest(&s.Containers[b])
		})
		members[id] = list
	}
	rename(s, nameAll(s, members))
	for i := range s.Netns {
		peers(s, &s.Netns[i])
	}
	for i := range s.Netns {
		verifyPeers(s, &s.Netns[i])
	}
	for i := range s.Containers {
		endpoints(s, &s.Containers[i])
	}
	classify(s)
	for i := range s.Netns {
		if n := &s.Netns[i]; n.Class == snap.ClassForeign {
			continue
		}
		unknownPeers(s, &s.Netns[i])
	}
	// What can't be read of somebody else's namespace is no gap in the picture of
	// this host.
	s.Gaps = snap.Without(s.Gaps, func(g snap.Gap) bool {
		n := s.Ns(g.Netns)
		return n != nil && n.Class == snap.ClassForeign
	})
}

// guest is 1 for a container that lives in another one's namespace.
func guest(c *snap.Container) int {
	if strings.HasPrefix(c.NetworkMode, "container:") || strings.HasPrefix(c.NetworkMode, "ns:") {
		return 1
	}
	return 0
}

// rename replaces the names by inode everywhere.
func rename(s *snap.Snapshot, names map[string]string) {
	to := func(id string) string {
		if n, ok := names[id]; ok {
			return n
		}
		return id
	}
	s.Host.Netns = to(s.Host.Netns)
	for i := range s.Gaps {
		s.Gaps[i].Netns = to(s.Gaps[i].Netns)
	}
	for i := range s.Netns {
		n := &s.Netns[i]
		n.ID = to(n.ID)
		for id, other := range n.NSIDs {
			n.NSIDs[id] = to(other)
		}
		for i := range n.Links {
			if p := n.Links[i].Reader; p != nil {
				p.Netns = to(p.Netns)
			}
		}
		done := map[*snap.Process]bool{} // sockets of one process share it
		for _, s := range slices.Concat(n.Sockets, n.Trying, n.Held) {
			if p := s.Process; p != nil && !done[p] {
				done[p] = true
				p.Netns = to(p.Netns)
			}
		}
	}
	for i := range s.Containers {
		if p := s.Containers[i].Process; p != nil {
			p.Netns = s.Containers[i].Netns
		}
	}
	snap.Sort(s.Netns, func(a, b snap.Netns) int {
		switch {
		case a.ID == s.Host.Netns:
			return -1
		case b.ID == s.Host.Netns:
			return 1
		}
		return snap.CompareNames(a.ID, b.ID)
	})
}

// peers fills in where the other ends of the links are.
func peers(s *snap.Snapshot, n *snap.Netns) {
	for i := range n.Links {
		l := &n.Links[i]
		if l.PeerNSID < 0 {
			l.PeerNetns = n.ID
			continue
		}
		if id := n.NSIDs[l.PeerNSID]; s.Ns(id) != nil {
			l.PeerNetns = id
		}
	}
}

// verifyPeers takes back what the other end contradicts. Netns ids are reused: one
// that was read with the link may stand for another namespace by the time it is
// asked for. The two ends of a veth name each other's ifindex, so both must agree.
func verifyPeers(s *snap.Snapshot, n *snap.Netns) {
	for i := range n.Links {
		l := &n.Links[i]
		if l.Kind != "veth" || l.PeerNetns == "" || l.Peer == 0 {
			continue
		}
		if len(s.Ns(l.PeerNetns).Links) == 0 {
			continue // it may not be read, which is a gap of its own
		}
		other := s.Ns(l.PeerNetns).LinkAt(l.Peer)
		if other != nil && other.Kind == l.Kind && other.Peer == l.Index && (other.PeerNetns == n.ID || other.PeerNetns == "") {
			continue
		}
		s.Gaps = append(s.Gaps, snap.Gap{
			What: "link", Netns: n.ID, Ref: snap.RefLink(n.ID, l.Name), Kind: snap.Kind(snap.ErrTorn),
			Why: fmt.Sprintf("the other end of %s should be device %d of %s, which is another one or gone: it changed while it was read", l.Name, l.Peer, l.PeerNetns),
		})
		l.PeerNetns = ""
	}
}

// unknownPeers notes the namespaces that only a netns id tells of: no process,
// file, mount or descriptor leads there, or none that we may see.
func unknownPeers(s *snap.Snapshot, n *snap.Netns) {
	for i := range n.Links {
		l := &n.Links[i]
		if l.PeerNetns != "" || s.Ns(n.NSIDs[l.PeerNSID]) != nil {
			continue
		}
		s.Gaps = append(s.Gaps, snap.Gap{
			What: "namespace", Netns: n.ID, Ref: snap.RefLink(n.ID, l.Name), Kind: snap.Kind(snap.ErrNotFound),
			Why: fmt.Sprintf("the other end of %s is in a namespace (netns id %d) that no process or file leads to", l.Name, l.PeerNSID),
		})
	}
}

// endpoints finds the devices of a container's endpoints by their addresses.
func endpoints(s *snap.Snapshot, c *snap.Container) {
	n := s.Ns(c.Netns)
	if n == nil || n.ID == s.Host.Netns {
		return
	}
	for i := range c.Endpoints {
		e := &c.Endpoints[i]
		l := n.Holder(e.IPv4.Addr())
		if l == nil {
			l = n.Holder(e.IPv6.Addr())
		}
		if l == nil {
			continue
		}
		e.Link = l.Name
		if l.Kind != "veth" || l.PeerNetns != s.Host.Netns {
			continue
		}
		if peer := s.HostNs().LinkAt(l.Peer); peer != nil {
			e.HostLink = peer.Name
		}
	}
}
