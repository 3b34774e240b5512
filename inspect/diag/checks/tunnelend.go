package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// deadEnd is a tunnel's other end whose outer packets never leave this host: the next
// hop on the way to it has no MAC, though it was just asked for.
type deadEnd struct {
	host  *snap.Netns
	entry int // of the FDB: who names the end
	hop   netip.Addr
	dev   string
	route sim.RouteResult
}

// deadEndOf is the one that packets of a flow go to by a VXLAN device: that of the
// destination's own MAC, else all of those that unknown frames are flooded to (RFC 7348
// section 4.2). False when that is not known, or one of them may answer.
func deadEndOf(in *diag.Input, f *diag.FlowCase, host *snap.Netns, l *snap.Link) (deadEnd, bool) {
	mac := ""
	if ns := in.Netns(f.Flow.From); ns != nil {
		for _, n := range ns.Neighs {
			if n.IP == f.Flow.Dst {
				mac = n.MAC
			}
		}
	}
	var flood, own []int
	for i, e := range host.FDB {
		switch {
		case e.Index != l.Index || !e.Dst.IsValid():
		case e.MAC == "00:00:00:00:00:00":
			flood = append(flood, i)
		case mac != "" && e.MAC == mac:
			own = append(own, i)
		}
	}
	if len(own) > 0 {
		flood = own
	}
	var dead deadEnd
	for _, i := range flood {
		d, ok := endIsDead(in, host, i)
		if !ok {
			return d, false
		}
		dead = d
	}
	return dead, len(flood) > 0
}

func endIsDead(in *diag.Input, host *snap.Netns, entry int) (deadEnd, bool) {
	end := host.FDB[entry].Dst
	d := deadEnd{host: host, entry: entry, route: in.World.Route(host.ID, sim.RouteQuery{Dst: end})}
	if d.route.Unknown != "" || len(d.route.Ways) != 1 {
		return d, false
	}
	w := d.route.Ways[0]
	if d.hop, d.dev = w.Gateway, w.Dev; !d.hop.IsValid() {
		d.hop = end
	}
	dev := host.Link(d.dev)
	return d, dev != nil && slices.ContainsFunc(host.Neighs, func(n snap.Neigh) bool {
		return n.Index == dev.Index && n.IP == d.hop && (n.State == "failed" || n.State == "incomplete")
	})
}

// tell makes the finding of a silent tunnel one of its dead end.
func (d *deadEnd) tell(f *diag.Finding, flow *diag.FlowCase, l *snap.Link) {
	e := d.host.FDB[d.entry]
	by := "which answers no ARP"
	if d.hop != e.Dst {
		by = fmt.Sprintf("by way of %s, which answers no ARP", d.hop)
	}
	f.Summary = fmt.Sprintf("packets of %s to %s go into VXLAN %s for %s, %s on %s: they never leave this host", flow.From, flow.To, l.Name, e.Dst, by, d.dev)
	f.Cause = fmt.Sprintf("the forwarding entry %s dst %s of %s names that end", e.MAC, e.Dst, l.Name)
	f.Evidence = append(f.Evidence,
		ev("bridge fdb show dev "+l.Name, fmt.Sprintf("%s dst %s self %s", e.MAC, e.Dst, e.State), snap.RefItem(d.host.ID, "fdb", d.entry)),
		ev("ip route get "+e.Dst.String(), d.route.Text, snap.RefNetns(d.host.ID)))
	f.Advice = fmt.Sprintf("if the other host has another address: bridge fdb replace %s dev %s dst ADDRESS self; if it is right: find out why %s is silent on %s", e.MAC, l.Name, d.hop, d.dev)
	f.Weight = 72
}

// fix takes away the route by a dead next hop to an end that is this host's neighbour,
// or the entry by which one MAC is looked for elsewhere than all that are not known.
func (d *deadEnd) fix(in *diag.Input, l *snap.Link) []fixups.Op {
	e := d.host.FDB[d.entry]
	if d.hop != e.Dst {
		v, err := in.Snap.At(d.route.Route)
		r, ok := v.(*snap.Route)
		if err != nil || !ok || r.Dst.Bits() == 0 || r.Protocol != "boot" && r.Protocol != "static" {
			return nil
		}
		ops := []fixups.Op{fixups.NewRouteDel(in.Snap, d.host.ID, *r)}
		s := in.Snap.Clone()
		if ops[0].On(s) != nil {
			return nil
		}
		after := sim.New(s).Route(d.host.ID, sim.RouteQuery{Dst: e.Dst})
		if len(after.Ways) != 1 || after.Ways[0].Gateway.IsValid() || !d.answers(after.Ways[0].Dev, e.Dst) {
			return nil
		}
		return ops
	}
	if e.MAC == "00:00:00:00:00:00" || e.State == "reachable" {
		return nil
	}
	for i, o := range d.host.FDB {
		if o.Index == l.Index && o.MAC == "00:00:00:00:00:00" && o.Dst.IsValid() && o.Dst != e.Dst {
			if other, dead := endIsDead(in, d.host, i); !dead && other.hop == o.Dst && d.answers(other.dev, o.Dst) {
				return []fixups.Op{&fixups.FDBDel{Where: at(in, d.host.ID), Dev: l.Name, Entry: e}}
			}
		}
	}
	return nil
}

// answers says whether a neighbour is known to be there.
func (d *deadEnd) answers(dev string, ip netip.Addr) bool {
	l := d.host.Link(dev)
	return l != nil && slices.ContainsFunc(d.host.Neighs, func(n snap.Neigh) bool {
		return n.Index == l.Index && n.IP == ip && n.MAC != "" && n.State != "failed" && n.State != "incomplete"
	})
}
