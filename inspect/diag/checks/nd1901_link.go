package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd1901 names whatever breaks a flow on layer 2 that no other check explains.
//
// The packet dies at a device: it is down, has no carrier, is no port of a
// bridge, or the port is in a state or a VLAN in which it passes nothing, or frames for
// MACs that the bridge does not know are not flooded to it. Or it is a VXLAN device that
// floods nothing (flannel's, Calico's) and has no forwarding entry for the MAC of the
// neighbour by which the route goes, as when that host was set up anew.
//
// See it by hand:
//
//	ip -d link show DEVICE
//	bridge -d link show dev DEVICE           state, hairpin, learning, flood
//	bridge vlan show dev DEVICE
//	ip neigh show dev VXLAN; bridge fdb show dev VXLAN
//
// Sources: net/bridge/br_input.c, br_forward.c: should_deliver; br_vlan.c;
// drivers/net/vxlan/vxlan_core.c: vxlan_xmit; k3s-io/k3s#9957
func nd1901() diag.Check {
	return diag.Check{
		Code: "ND1901", Name: "layer-2", Severity: diag.Error, Since: "0.1",
		Title:    "A device or a bridge port stops the packet",
		CatchAll: true,
		After:    []diag.Code{"ND1101", "ND1102", "ND1103", "ND1104", "ND1106", "ND1107", "ND1108", "ND1109", "ND1124", "ND1110", "ND2205", "ND2206", "ND2207", "ND3205", "ND8103", "ND5121"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range in.Groups(sim.CauseLinkDown, sim.CauseNoCarrier, sim.CauseBridgeNoPort, sim.CausePortState,
				sim.CauseHairpin, sim.CauseVlan, sim.CauseBridgeFlood, sim.CauseTC, sim.CauseVxlan) {
				f := placeFinding(in, g)
				if !owned(in, g.Where.Netns) || g.Where.Cause == sim.CauseTC && !byQueue(g.Where) {
					continue
				}
				f.Covers.Names = coverSenders(in, g.Flows)
				if k := slices.IndexFunc(out, func(o diag.Finding) bool { return samePort(in, &o, g.Where) }); k >= 0 {
					out[k].Covers.Traces = append(out[k].Covers.Traces, f.Covers.Traces...)
					out[k].Covers.Names = mergeInts(out[k].Covers.Names, f.Covers.Names)
					continue
				}
				if ns := in.Netns(g.Where.Netns); ns != nil {
					if l := ns.Link(g.Where.Device); l != nil {
						f.Evidence = append(f.Evidence, ev(ipIn(in, ns.ID, "-d link show "+l.Name), linkLine(l), snap.RefLink(ns.ID, l.Name)))
					}
				}
				if p, ns := portBehind(in, g.Where); p != nil {
					f.Evidence = append(f.Evidence, ev("bridge -d link show dev "+p.Name, portLine(ns, p), snap.RefLink(ns.ID, p.Name)))
				}
				f.Subject = diag.Subject{Kind: "link", Name: g.Where.Device, Netns: g.Where.Netns}
				f.Advice = adviceLayer2(in, g.Where)
				out = append(out, f)
			}
			return out
		},
		Fix: fixPort,
	}
}

// fixPort gives a bridge port the setting that lets the packet pass, tried on
// the value first.
func fixPort(in *diag.Input, f *diag.Finding) []fixups.Op {
	w := in.Flows[f.Covers.Traces[0]].Trace.Where
	if w.Behind != nil {
		w = w.Behind
	}
	set := &fixups.PortSet{Where: at(in, w.Netns), Name: w.Device}
	on, off, forwarding := true, false, snap.PortForwarding
	port := portAt(in, w)
	if port != nil {
		set.Name = port.Name
		if v, err := in.Snap.At(w.Ref); err == nil && v == any(port) {
			set.Where = at(in, w.Ref.Netns()) // a flooded frame dies in another namespace
		}
	}
	switch w.Cause {
	case sim.CausePortState:
		if port != nil && port.Port.Locked && port.Port.State == snap.PortForwarding {
			set.Locked = &off
			break
		}
		if port != nil && port.OperState == "dormant" {
			return openOps(in, f, set.Where, port, "mode", "default")
		}
		set.State = &forwarding
	case sim.CauseNoCarrier:
		if port != nil && port.ProtoDown {
			return openOps(in, f, set.Where, port, "protodown", "off")
		}
		if l := in.Netns(w.Netns).Link(w.Device); l != nil && l.Kind == "veth" {
			if there := in.Snap.Ns(l.PeerNetns); there != nil {
				return upFix(in, f, there, there.LinkAt(l.Peer))
			}
		}
		return nil
	case sim.CauseLinkDown:
		if ns := in.Netns(w.Netns); ns != nil {
			return upFix(in, f, ns, ns.Link(w.Device))
		}
		return nil
	case sim.CauseVxlan:
		if ops := movedEnd(in, f, w); len(ops) > 0 && heals(in, f.Covers.Traces[0], ops) {
			return ops
		}
		return nil
	case sim.CauseHairpin:
		set.Hairpin = &on
	case sim.CauseBridgeFlood:
		if port == nil {
			return nil
		}
		if ops := renamed(in, set.Where, port); len(ops) > 0 && heals(in, f.Covers.Traces[0], ops) {
			f.Advice = "what wrote the entry for the old MAC has to learn the new one: a container that is made anew may have another"
			return ops
		}
		if p := port.Port; !p.Flood && !p.Learning {
			set.Flood, set.Learning = &on, &on
		} else if !p.Flood {
			set.Flood = &on
		}
		if !port.Port.BcastFlood {
			set.BcastFlood = &on
		}
		if !port.Port.McastFlood {
			set.McastFlood = &on
		}
	default:
		return nil
	}
	if ops := []fixups.Op{set}; heals(in, f.Covers.Traces[0], ops) || releases(in, f.Covers.Traces[0], ops) {
		return ops
	}
	return nil
}

// renamed puts the MAC that is behind a port in the place of the one that a static
// forwarding entry has for it: the device there was made anew. nil where the port may
// learn, or no such entry is there.
func renamed(in *diag.Input, w fixups.Where, port *snap.Link) []fixups.Op {
	ns := in.Netns(w.ID)
	peer, ok := in.Graph.Peer(port)
	if ns == nil || !ok || port.Kind != "veth" || port.Port.Learning {
		return nil
	}
	for i := range ns.FDB {
		e := &ns.FDB[i]
		if e.Index != port.Index || e.State != "static" || e.Self || e.Local || e.MAC == peer.Link.MAC {
			continue
		}
		return otherMAC(w, port.Name, e, peer.Link.MAC)
	}
	return nil
}

// movedEnd gives the MAC of a tunnel's one neighbour that has no end to the one forwarding
// entry whose MAC no neighbour there has any more, and which is the only one to name its
// end: the other host was set up anew. nil where it is not certain which is meant.
func movedEnd(in *diag.Input, f *diag.Finding, w *sim.Where) []fixups.Op {
	ns := in.Netns(w.Netns)
	l := ns.Link(w.Device)
	if l == nil {
		return nil
	}
	lost := diag.Unplaced(ns, l)
	var old *snap.FDBEntry
	for i := range ns.FDB {
		e := &ns.FDB[i]
		if e.Index != l.Index || !e.Dst.IsValid() || slices.ContainsFunc(ns.Neighs, func(n snap.Neigh) bool { return n.Index == l.Index && n.MAC == e.MAC }) {
			continue
		}
		if old != nil || e.State != "permanent" && e.State != "static" || slices.ContainsFunc(ns.FDB, func(x snap.FDBEntry) bool { return x.Index == l.Index && x.MAC != e.MAC && x.Dst == e.Dst }) {
			return nil
		}
		old = e
	}
	if old == nil || len(lost) != 1 {
		return nil
	}
	f.Advice = "the other host got a new MAC, and what manages the overlay told half of it: restart that if it comes again"
	return otherMAC(at(in, ns.ID), l.Name, old, lost[0].MAC)
}

// otherMAC gives a forwarding entry another MAC.
func otherMAC(w fixups.Where, dev string, e *snap.FDBEntry, mac string) []fixups.Op {
	now := &fixups.FDBSet{Where: w, Dev: dev, Entry: *e}
	now.Entry.MAC = mac
	return []fixups.Op{&fixups.FDBDel{Where: w, Dev: dev, Entry: *e}, now}
}

// upFix sets a device up that is down, if it is one of this host's and that heals.
func upFix(in *diag.Input, f *diag.Finding, ns *snap.Netns, l *snap.Link) []fixups.Op {
	if l == nil || l.Up || !ns.Class.Ours() {
		return nil
	}
	if ops := []fixups.Op{&fixups.LinkSet{Where: at(in, ns.ID), Name: l.Name, Up: true}}; heals(in, f.Covers.Traces[0], ops) {
		return ops
	}
	return nil
}

// openOps lets a port pass frames again that a program holds shut, tried on the value.
func openOps(in *diag.Input, f *diag.Finding, w fixups.Where, port *snap.Link, attr, value string) []fixups.Op {
	f.Advice = "the program that did it (a routing daemon, a supplicant) may do so again"
	if ops := []fixups.Op{&fixups.LinkAttr{Where: w, Name: port.Name, Attr: attr, Value: value}}; heals(in, f.Covers.Traces[0], ops) || releases(in, f.Covers.Traces[0], ops) {
		return ops
	}
	return nil
}

// portAt is the bridge port that a place speaks of; nil when it is none.
func portAt(in *diag.Input, w *sim.Where) *snap.Link {
	if v, err := in.Snap.At(w.Ref); err == nil {
		if l, ok := v.(*snap.Link); ok && l.Port != nil {
			return l
		}
	}
	if ns := in.Netns(w.Netns); ns != nil {
		if l := ns.Link(w.Device); l != nil && l.Port != nil {
			return l
		}
	}
	return nil
}

// portBehind is the bridge port whose settings stop what dies at a place, there or
// for want of the neighbour that it hides, and its namespace; nil when none does.
func portBehind(in *diag.Input, w *sim.Where) (*snap.Link, *snap.Netns) {
	if w.Behind != nil {
		w = w.Behind
	}
	ns := in.Netns(w.Netns)
	if v, err := in.Snap.At(w.Ref); err == nil {
		if _, ok := v.(*snap.Link); ok {
			ns = in.Netns(w.Ref.Netns())
		}
	}
	p := portAt(in, w)
	if p == nil || ns == nil || !slices.Contains([]sim.Cause{sim.CausePortState, sim.CauseIsolated, sim.CauseHairpin, sim.CauseBridgeFlood}, w.Cause) {
		return nil, nil
	}
	return p, ns
}

// portLine is what bridge(8) says of a port's settings.
func portLine(ns *snap.Netns, l *snap.Link) string {
	p, master := l.Port, ""
	if m := ns.LinkAt(l.Master); m != nil {
		master = " master " + m.Name
	}
	onOff := map[bool]string{true: "on", false: "off"}
	state := []string{"disabled", "listening", "learning", "forwarding", "blocking"}[min(max(p.State, 0), 4)]
	return fmt.Sprintf("%s%s state %s hairpin %s learning %s flood %s bcast_flood %s mcast_flood %s isolated %s locked %s", l.Name, master, state,
		onOff[p.Hairpin], onOff[p.Learning], onOff[p.Flood], onOff[p.BcastFlood], onOff[p.McastFlood], onOff[p.Isolated], onOff[p.Locked])
}

// samePort says whether a finding speaks of the very setting of the very port that
// stops other flows, too: some die there, others for want of a neighbour behind it.
func samePort(in *diag.Input, f *diag.Finding, w *sim.Where) bool {
	was := in.Flows[f.Covers.Traces[0]].Trace.Where
	switch w.Cause {
	case sim.CausePortState, sim.CauseBridgeFlood, sim.CauseTC:
		return was.Cause == w.Cause && was.Ref == w.Ref && w.Ref != ""
	}
	return false
}

// mergeInts puts two lists together, each number once.
func mergeInts(a, b []int) []int {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}

// adviceLayer2 is what a person would do about a layer-2 cause.
func adviceLayer2(in *diag.Input, w *sim.Where) string {
	dev := w.Device
	if w.Behind != nil {
		dev = w.Behind.Device
	}
	p := portAt(in, w)
	if p != nil {
		dev = p.Name
	}
	switch w.Cause {
	case sim.CauseLinkDown:
		return "ip link set " + dev + " up"
	case sim.CauseNoCarrier:
		if p != nil && p.ProtoDown {
			return "ask the routing daemon why it holds " + dev + " down, or: ip link set dev " + dev + " protodown off"
		}
		if ns := in.Netns(w.Netns); ns != nil && p == nil && ns.Link(dev) != nil && ns.Link(dev).Kind == "tun" { // drivers/net/tun.c: __tun_detach
			return "no program has " + dev + " open: start the VPN client that made it again, or take its routes away (ip route show dev " + dev + ")"
		}
	case sim.CausePortState:
		if p != nil && p.OperState == "dormant" {
			return "ask its supplicant (802.1X), or: ip link set dev " + dev + " mode default; ip link set dev " + dev + " state up"
		}
		if p != nil && p.Port.Locked && p.Port.State == snap.PortForwarding {
			return "bridge link set dev " + dev + " locked off, or let the MAC in: bridge fdb add MAC dev " + dev + " master static"
		}
		return "bridge link set dev " + dev + " state 3"
	case sim.CauseHairpin:
		return "bridge link set dev " + dev + " hairpin on"
	case sim.CauseBridgeFlood:
		return "bridge -d link show dev " + dev + "; bridge link set dev " + dev + " flood on learning on bcast_flood on mcast_flood on"
	case sim.CauseVxlan:
		if w.Layer == "vxlan" && w.Ref == snap.RefLink(w.Netns, dev) {
			return "bridge fdb show dev " + dev + "; restart what manages the overlay, or: bridge fdb append MAC dev " + dev + " dst HOST self permanent"
		}
	case sim.CauseTC:
		return "tc -s qdisc show dev " + dev
	case sim.CauseVlan:
		return "bridge vlan show dev " + dev + ", then give both ports a VLAN in common"
	}
	return "ip -d link show " + dev
}

// placeFinding makes a finding of a group of broken flows: what stops them where.
func placeFinding(in *diag.Input, g diag.Group) diag.Finding {
	first := &in.Flows[g.Flows[0]]
	way := "packet"
	if g.Where.Reply {
		way = "answer"
	}
	at := in.Who(g.Where.Netns)
	if g.Where.Device != "" {
		at += " at " + g.Where.Device
	}
	f := diag.Finding{
		Summary: fmt.Sprintf("%s → %s: the %s dies in %s: %s", first.From, first.To, way, at, g.Where.Detail),
		Cause:   g.Where.Detail,
		Covers:  diag.Cover{Traces: g.Flows},
	}
	if g.Where.Ref != "" {
		f.Evidence = append(f.Evidence, ev(g.Where.Layer, g.Where.Detail, g.Where.Ref))
	}
	return f
}

// owned says whether a namespace is this host's to judge.
func owned(in *diag.Input, id string) bool {
	ns := in.Netns(id)
	return ns == nil || ns.Class.Ours()
}
