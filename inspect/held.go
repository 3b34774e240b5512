package inspect

import (
	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// held finds the connections of the host that have the port of a container which
// could not start. Only these are asked for: a host may have many thousands.
func (c *collector) held(s *snap.Snapshot) {
	ports := map[uint16]bool{}
	for i := range s.Containers {
		k := &s.Containers[i]
		if k.Running() || !k.PortInUse() {
			continue
		}
		for _, p := range k.Ports {
			if p.HostPort != 0 && p.Proto == snap.TCP {
				ports[p.HostPort] = true
			}
		}
	}
	host := s.HostNs()
	if len(ports) == 0 || host == nil {
		return
	}
	var err error
	if host.Held, err = kernel.AskHeld(c.ctx, c.places[0].h, c.procs, ports); err != nil {
		s.Gaps = append(s.Gaps, snap.GapOf("connections", host.ID, err))
	}
}
