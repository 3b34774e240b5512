package app

import (
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/walk"
)

// graph joins the snapshot.
func (t *tracer) graph() *walk.Graph { return walk.New(t.s) }

// back is the device by which the host's packets to an address leave; "" when
// there is no way, or none that is known.
func (t *tracer) back(a netip.Addr) string {
	if t.world == nil {
		t.world = sim.New(t.s)
	}
	host := t.s.HostNs()
	if host == nil {
		return ""
	}
	r := t.world.Route(host.ID, sim.RouteQuery{Dst: a})
	dev := ""
	for i, w := range r.Ways {
		if i > 0 && w.Dev != dev {
			return "" // several ways, and a hash decides
		}
		dev = w.Dev
	}
	if r.Errno != "" || r.Unknown != "" {
		return ""
	}
	return dev
}
