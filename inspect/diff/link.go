package diff

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// links compares devices. The host's end of a container's veth has a new random
// name after each start: it is the same device when it leads to the same one.
func (n *nsDiffer) links() {
	n.went = map[string]bool{}
	key := func(s *snap.Snapshot, ns *snap.Netns) func(*snap.Link) string {
		return func(l *snap.Link) string {
			if peer := s.Ns(l.PeerNetns); l.Kind == "veth" && peer != nil && peer.ID != ns.ID && peer.Class == snap.ClassContainer {
				if p := peer.LinkAt(l.Peer); p != nil {
					return "veth of " + peer.ID + " " + p.Name
				}
			}
			return l.Name
		}
	}
	ka, kb := key(n.differ.a, n.a), key(n.differ.b, n.b)
	type end struct {
		l   *snap.Link
		key string
	}
	ends := func(ns *snap.Netns, k func(*snap.Link) string) []end {
		var out []end
		for i := range ns.Links {
			out = append(out, end{&ns.Links[i], k(&ns.Links[i])})
		}
		return out
	}
	pair(ends(n.a, ka), ends(n.b, kb), func(e *end) string { return e.key }, func(_ string, x, y *end) {
		switch {
		case y == nil:
			gone := *x.l
			routes := n.along(n.a, n.b, gone.Index, "", "-")
			n.add(Change{Sign: "-", Noun: "link", Name: gone.Name, Text: gone.Name + " is gone", Ref: snap.RefLink(n.a.ID, gone.Name), on: n.in(func(ns *snap.Netns) {
				ns.Links = snap.Without(ns.Links, func(l snap.Link) bool { return l.Name == gone.Name })
				ns.Addrs = snap.Without(ns.Addrs, func(a snap.Addr) bool { return a.Index == gone.Index })
				drop(ns, routes)
			})})
		case x == nil:
			what := y.l.Kind
			if what == "" {
				what = "device"
			}
			n.add(Change{Sign: "+", Noun: "link", Name: y.l.Name, Text: fmt.Sprintf("%s %s is new", what, y.l.Name), Ref: snap.RefLink(n.b.ID, y.l.Name)})
		default:
			n.link(x.l, y.l)
		}
	})
}

// link compares one device with itself.
func (n *nsDiffer) link(a, b *snap.Link) {
	name := b.Name
	set := func(text string, do func(*snap.Netns, *snap.Link)) {
		n.add(Change{Sign: "~", Noun: "link", Name: name, Text: text, Ref: snap.RefLink(n.b.ID, name), on: n.in(func(ns *snap.Netns) {
			if l := ns.Link(a.Name); l != nil {
				do(ns, l)
			}
		})})
	}
	if a.Name != b.Name && a.Kind != "veth" {
		set(fmt.Sprintf("%s is called %s now", a.Name, b.Name), func(_ *snap.Netns, l *snap.Link) { l.Name = b.Name })
	}
	state := func(l *snap.Link) (bool, bool, bool, string) { return l.Up, l.LowerUp, l.Running, l.OperState }
	switch {
	case a.Up && !b.Up:
		routes := n.along(n.a, n.b, a.Index, "", "-")
		set(name+" is down", func(ns *snap.Netns, l *snap.Link) {
			l.Up, l.LowerUp, l.Running, l.OperState = state(b)
			drop(ns, routes)
		})
	case !a.Up && b.Up:
		n.along(n.a, n.b, b.Index, "", "+")
		set(name+" is up", func(_ *snap.Netns, l *snap.Link) { l.Up, l.LowerUp, l.Running, l.OperState = state(b) })
	case a.Up && a.LowerUp && !b.LowerUp && b.Kind != "bridge":
		set(name+" has no carrier any more", func(_ *snap.Netns, l *snap.Link) { l.Up, l.LowerUp, l.Running, l.OperState = state(b) })
	}
	ma, mb := masterName(n.a, a), masterName(n.b, b)
	switch {
	case ma == mb:
	case mb == "":
		set(fmt.Sprintf("%s left %s", name, ma), func(_ *snap.Netns, l *snap.Link) { l.Master, l.Port = 0, nil })
	default:
		text := fmt.Sprintf("%s joined %s", name, mb)
		if ma != "" {
			text = fmt.Sprintf("%s moved from %s to %s", name, ma, mb)
		}
		set(text, func(ns *snap.Netns, l *snap.Link) {
			if m := ns.Link(mb); m != nil {
				l.Master, l.Port = m.Index, b.Port
			}
		})
	}
	if a.MTU != b.MTU {
		set(fmt.Sprintf("mtu of %s %d → %d", name, a.MTU, b.MTU), func(_ *snap.Netns, l *snap.Link) { l.MTU = b.MTU })
	}
	if a.MAC != b.MAC && a.Index == b.Index && a.Kind != "bridge" { // a bridge takes over the lowest of its ports
		set(fmt.Sprintf("address of %s %s → %s", name, a.MAC, b.MAC), func(_ *snap.Netns, l *snap.Link) { l.MAC = b.MAC })
	}
	if pa, pb := a.Port, b.Port; pa != nil && pb != nil && ma == mb {
		for _, f := range []struct {
			what string
			a, b bool
		}{{"isolated", pa.Isolated, pb.Isolated}, {"hairpin", pa.Hairpin, pb.Hairpin}, {"locked", pa.Locked, pb.Locked}, {"learning", pa.Learning, pb.Learning}, {"flood", pa.Flood, pb.Flood}} {
			if f.a != f.b {
				set(fmt.Sprintf("%s of port %s %s → %s", f.what, name, onOff(f.a), onOff(f.b)), func(_ *snap.Netns, l *snap.Link) { l.Port = pb })
			}
		}
		if pa.State != pb.State && (pa.State == snap.PortForwarding || pb.State == snap.PortForwarding) && b.Up {
			set(fmt.Sprintf("port %s forwards %s → %s", name, onOff(pa.State == snap.PortForwarding), onOff(pb.State == snap.PortForwarding)), func(_ *snap.Netns, l *snap.Link) { l.Port = pb })
		}
	}
	if ba, bb := a.Bridge, b.Bridge; ba != nil && bb != nil && ba.VlanFiltering != bb.VlanFiltering {
		set(fmt.Sprintf("VLAN filtering of %s %s → %s", name, onOff(ba.VlanFiltering), onOff(bb.VlanFiltering)), func(_ *snap.Netns, l *snap.Link) { l.Bridge = bb })
	}
	n.qdiscs(a, b, set)
}

func (n *nsDiffer) qdiscs(a, b *snap.Link, set func(string, func(*snap.Netns, *snap.Link))) {
	text := func(l *snap.Link) (out []string) {
		for _, q := range l.Qdiscs {
			t := q.Kind
			if q.LossPct > 0 {
				t += fmt.Sprintf(" loss %g%%", q.LossPct)
			}
			if q.DelayMs > 0 {
				t += fmt.Sprintf(" delay %gms", q.DelayMs)
			}
			if q.RateBps > 0 {
				t += fmt.Sprintf(" rate %d bit/s", q.RateBps)
			}
			out = append(out, t)
		}
		for _, f := range l.Filters {
			out = append(out, "filter "+f.Kind)
		}
		return out
	}
	gone, come := lists(text(a), text(b))
	do := func(_ *snap.Netns, l *snap.Link) { l.Qdiscs, l.Filters = b.Qdiscs, b.Filters }
	for _, q := range gone {
		set(fmt.Sprintf("%s removed from %s", q, b.Name), do)
	}
	for _, q := range come {
		set(fmt.Sprintf("%s added to %s", q, b.Name), do)
	}
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

func masterName(ns *snap.Netns, l *snap.Link) string {
	if m := ns.LinkAt(l.Master); l.Master != 0 && m != nil {
		return m.Name
	}
	return ""
}
