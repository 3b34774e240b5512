package app

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
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

// hasSix says whether a namespace has an IPv6 address of the Internet, for which programs
// try IPv6 before IPv4 (RFC 6724, section 2.1).
func hasSix(ns *snap.Netns) bool {
	return ns != nil && slices.ContainsFunc(ns.Addrs, func(a snap.Addr) bool {
		ip := a.Prefix.Addr()
		return ip.Is6() && ip.IsGlobalUnicast() && !ip.IsPrivate()
	})
}

// weakest is the address to follow of those that a name resolves to: the first
// that fails, since the sender takes any of them, else the first.
func (t *tracer) weakest(q *ask, all []netip.Addr) netip.Addr {
	if len(all) == 1 || q.src.Kind == kindAddress {
		return all[0]
	}
	w := sim.New(t.s)
	for i, a := range all[:min(len(all), maxAnswers)] {
		fl := sim.Flow{From: q.src.Netns, Dst: a, Proto: q.dst.Proto, Dport: q.dst.Port}
		other := a.Is4() != all[0].Is4()
		if other && w.Route(q.src.Netns, sim.RouteQuery{Dst: a}).Errno != "" {
			continue // RFC 6724, section 6, rule 1: what has no route comes last
		}
		if v := w.Trace(fl).Verdict; v == sim.Dropped || v == sim.Refused {
			switch {
			case other:
				t.a.note("%s resolves to %s, too, which %s tries first, as it has IPv6 (RFC 6724); this is the way there, which fails: programs wait, or give up, before they try %s", q.name.Name, a, q.src.Label(), all[0])
			case i > 0:
				t.a.note("%s resolves to %d addresses; this is the way to %s, which fails", q.name.Name, len(all), a)
			}
			return a
		}
	}
	return all[0]
}
