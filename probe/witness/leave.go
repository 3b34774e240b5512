package witness

import (
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

type device struct {
	netns string
	index int
}

// within are kinds of devices that hand a packet on to another one of the same
// host as it is.
var within = []string{"loopback", "bridge", "bond", "team", "vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "vrf", "ifb"}

// leaving are the devices behind which nobody watches: the world's, tunnels,
// programs, and veths whose other end is in no known namespace.
func leaving(s *snap.Snapshot) map[device]bool {
	out := map[device]bool{}
	for i := range s.Netns {
		n := &s.Netns[i]
		for j := range n.Links {
			l := &n.Links[j]
			peer := s.Ns(l.PeerNetns)
			inside := slices.Contains(within, l.Kind) || l.Kind == "veth" && peer != nil && peer.Inode != 0
			if !inside {
				out[device{n.ID, l.Index}] = true
			}
		}
	}
	return out
}
