package inspect

import (
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// strangers leaves out what engines tell of that is not on this host: none of an
// engine's containers can be seen, and no bridge of its networks is here. It is so in
// a container that was handed the engine's socket and nothing else; what is missing
// there was never meant to be there. Where a bridge is here only the processes can't
// be seen, as with --net=host without --pid=host.
func strangers(s *snap.Snapshot) {
	host := s.HostNs()
	for i := range s.Engines {
		e := &s.Engines[i]
		if !e.Remote || host == nil {
			continue
		}
		here := slices.ContainsFunc(s.Networks, func(n snap.Network) bool {
			return n.Engine == e.Name && n.Bridge != "" && host.Link(n.Bridge) != nil
		})
		if here {
			continue
		}
		s.Networks = snap.Without(s.Networks, func(n snap.Network) bool { return n.Engine == e.Name })
		s.Containers = snap.Without(s.Containers, func(c snap.Container) bool { return c.Engine == e.Name })
	}
}
