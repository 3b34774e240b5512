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

// maxAnswers is how many of a name's addresses are tried in the model.
const maxAnswers = 8

// weakest is the address to follow of those that a name resolves to: the first
// that fails, since the sender takes any of them, else the first.
func (t *tracer) weakest(q *ask, all []netip.Addr) netip.Addr {
	if len(all) == 1 || q.src.Kind == kindAddress {
		return all[0]
	}
	w := sim.New(t.s)
	for i, a := range all[:min(len(all), maxAnswers)] {
		fl := sim.Flow{From: q.src.Netns, Dst: a, Proto: q.dst.Proto, Dport: q.dst.Port}
		if v := w.Trace(fl).Verdict; v == sim.Dropped || v == sim.Refused {
			if i > 0 {
				t.a.note("%s resolves to %d addresses; this is the way to %s, which fails", q.name.Name, len(all), a)
			}
			return a
		}
	}
	return all[0]
}
