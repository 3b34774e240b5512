package diff

import (
	"fmt"
	"strconv"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// neighs compares the neighbours that somebody pinned: what the kernel learned
// comes and goes by itself. A device that is new or gone took its own along.
func (n *nsDiffer) neighs() {
	type pinned struct {
		snap.Neigh
		dev string
	}
	of := func(ns, other *snap.Netns) (out []pinned) {
		for _, x := range ns.Neighs {
			if l := ns.LinkAt(x.Index); l != nil && other.Link(l.Name) != nil && x.State == "permanent" && !x.IP.IsMulticast() {
				out = append(out, pinned{x, l.Name})
			}
		}
		return out
	}
	// put leaves one entry for the address, or none.
	put := func(dev string, x *snap.Neigh, e *snap.Neigh) func(*snap.Snapshot) {
		return n.in(func(ns *snap.Netns) {
			l := ns.Link(dev)
			if l == nil {
				return
			}
			ns.Neighs = snap.Without(ns.Neighs, func(o snap.Neigh) bool { return o.Index == l.Index && o.IP == x.IP })
			if e != nil {
				made := *e
				made.Index = l.Index
				ns.Neighs = append(ns.Neighs, made)
			}
		})
	}
	key := func(p *pinned) string { return p.dev + " " + p.IP.String() + " " + strconv.FormatBool(p.Proxy) }
	pair(of(n.a, n.b), of(n.b, n.a), key, func(_ string, x, y *pinned) {
		switch {
		case y == nil:
			n.add(Change{Sign: "-", Noun: "neigh", Name: x.dev, Text: fmt.Sprintf("neighbour unpinned: %s dev %s was at %s for good", x.IP, x.dev, x.MAC), Ref: snap.RefLink(n.a.ID, x.dev), on: put(x.dev, &x.Neigh, nil)})
		case x == nil:
			n.add(Change{Sign: "+", Noun: "neigh", Name: y.dev, Text: fmt.Sprintf("neighbour pinned: %s dev %s is at %s for good", y.IP, y.dev, y.MAC), Ref: snap.RefLink(n.b.ID, y.dev), on: put(y.dev, &y.Neigh, &y.Neigh)})
		case x.MAC != y.MAC:
			n.add(Change{Sign: "~", Noun: "neigh", Name: y.dev, Text: fmt.Sprintf("pinned neighbour %s dev %s %s → %s", y.IP, y.dev, x.MAC, y.MAC), Ref: snap.RefLink(n.b.ID, y.dev), on: put(y.dev, &x.Neigh, &y.Neigh)})
		}
	})
}

// fdb compares the forwarding entries that somebody made: static ones of bridges,
// and those of VXLAN devices with where they lead.
func (n *nsDiffer) fdb() {
	type made struct {
		snap.FDBEntry
		dev string
	}
	of := func(ns, other *snap.Netns) (out []made) {
		for _, e := range ns.FDB {
			l := ns.LinkAt(e.Index)
			if l == nil || other.Link(l.Name) == nil || e.Local || e.ExtLearn || e.State != "static" && !(e.State == "permanent" && e.Dst.IsValid()) {
				continue
			}
			out = append(out, made{e, l.Name})
		}
		return out
	}
	text := func(m *made) string {
		t := m.MAC + " dev " + m.dev
		if m.Dst.IsValid() {
			t += " dst " + m.Dst.String()
		}
		if m.Vlan != 0 {
			t += fmt.Sprintf(" vlan %d", m.Vlan)
		}
		return t
	}
	same := func(m *made, index int) func(snap.FDBEntry) bool {
		return func(e snap.FDBEntry) bool {
			return e.Index == index && e.MAC == m.MAC && e.Vlan == m.Vlan && e.Dst == m.Dst && e.Self == m.Self
		}
	}
	pair(of(n.a, n.b), of(n.b, n.a), text, func(what string, x, y *made) {
		switch {
		case y == nil:
			n.add(Change{Sign: "-", Noun: "fdb", Name: x.dev, Text: "forwarding entry removed: " + what, Ref: snap.RefLink(n.a.ID, x.dev), on: n.in(func(ns *snap.Netns) {
				if l := ns.Link(x.dev); l != nil {
					ns.FDB = snap.Without(ns.FDB, same(x, l.Index))
				}
			})})
		case x == nil:
			n.add(Change{Sign: "+", Noun: "fdb", Name: y.dev, Text: "forwarding entry added: " + what, Ref: snap.RefLink(n.b.ID, y.dev), on: n.in(func(ns *snap.Netns) {
				l := ns.Link(y.dev)
				if l == nil {
					return
				}
				e := y.FDBEntry
				e.Index = l.Index
				if e.Master != 0 {
					e.Master = l.Master
				}
				// One MAC is behind one port of a bridge (net/bridge/br_fdb.c: fdb_add_entry).
				ns.FDB = snap.Without(ns.FDB, func(o snap.FDBEntry) bool {
					return e.Master != 0 && o.Master == e.Master && o.MAC == e.MAC && o.Vlan == e.Vlan
				})
				ns.FDB = append(ns.FDB, e)
			})})
		}
	})
}
