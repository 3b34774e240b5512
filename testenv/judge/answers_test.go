package judge

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// answers compares sim's routing decisions with the kernel's own (RTM_GETROUTE):
// in every namespace, for local senders and for packets that come in by each
// device, between all addresses of the scene and those of the flows.
func (s *scene) answers(w *sim.World, flows []flow) {
	s.t.Helper()
	var all []netip.Addr
	add := func(a netip.Addr) {
		if a.IsValid() && !a.IsLinkLocalUnicast() && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	for _, id := range s.ids {
		for _, a := range s.snap.Ns(id).Addrs {
			add(a.Prefix.Addr())
		}
	}
	for _, f := range flows {
		add(f.sim.Dst)
	}
	for name, id := range s.ids {
		n := s.snap.Ns(id)
		var qs []kernel.RouteQuery
		var mine []sim.RouteQuery
		ask := func(q kernel.RouteQuery) {
			m := sim.RouteQuery{Dst: q.Dst, Src: q.Src, Mark: q.Mark, Proto: q.Proto, Sport: q.Sport, Dport: q.Dport}
			if l := n.LinkAt(q.Iif); l != nil {
				m.Iif = l.Name
			}
			qs, mine = append(qs, q), append(mine, m)
		}
		for i, dst := range all {
			ask(kernel.RouteQuery{Dst: dst, Proto: snap.TCP, Sport: 4000, Dport: 80})
			for j, l := range n.Links {
				src := all[(i+j+1)%len(all)]
				if l.Loopback || !l.Up || l.Master != 0 || src.Is4() != dst.Is4() {
					continue
				}
				ask(kernel.RouteQuery{Dst: dst, Src: src, Iif: l.Index, Proto: snap.UDP, Sport: 4000, Dport: 53})
			}
		}
		got, err := kernel.AskRoutes(s.t.Context(), s.ns[name], qs)
		if err != nil {
			s.t.Fatal(err)
		}
		for i, k := range got {
			r := w.Route(id, mine[i])
			if said := r.Contradicts(n, k); said != "" || r.Unknown != "" {
				s.t.Errorf("%s: route for %+v: %s%s (%s)", name, mine[i], said, r.Unknown, r.Detail)
			}
		}
	}
}
