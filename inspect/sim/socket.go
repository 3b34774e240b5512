package sim

import (
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// socketFor is the socket that takes a packet which came in by dev: the best by
// the kernel's scores (compute_score in net/ipv4/udp.c and inet_hashtables.c).
// nil when there is none.
func (n *netns) socketFor(k *skb, dev *snap.Link) *snap.Socket {
	var best *snap.Socket
	top := -1
	for i := range n.n.Sockets {
		s := &n.n.Sockets[i]
		if score := n.socketScore(s, k, dev); score > top {
			best, top = s, score
		}
	}
	return best
}

// socketScore is how well a socket fits; -1 not at all.
func (n *netns) socketScore(s *snap.Socket, k *skb, dev *snap.Link) int {
	if s.Proto.Number() != k.Proto || s.Local.Port() != k.Dport || k.Dport == 0 {
		return -1
	}
	score := 0
	local := s.Local.Addr().Unmap()
	v6 := s.Family == snap.IPv6
	switch {
	case k.Family == snap.IPv4 && v6 && (s.V6Only || local.Is6() && !local.IsUnspecified()):
		return -1
	case k.Family == snap.IPv6 && !v6:
		return -1
	case local.IsValid() && !local.IsUnspecified():
		if local != k.Dst {
			return -1
		}
		score += 4
	}
	if k.Family == snap.IPv4 && !v6 {
		score++ // a socket of the packet's own family comes before a dual one
	}
	if s.Remote.IsValid() && !s.Remote.Addr().IsUnspecified() {
		if s.Remote.Addr().Unmap() != k.Src || s.Remote.Port() != k.Sport {
			return -1
		}
		score += 8
	}
	if s.Device != 0 {
		vrf := n.vrfOf(dev)
		if dev == nil || s.Device != dev.Index && (vrf == nil || s.Device != vrf.Index) {
			return -1
		}
		score += 4
	}
	return score
}
