package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd1903: two macvlan devices of one parent whose mode keeps them apart.
//
// Two macvlan devices on one parent exchange frames among themselves only when both
// are in mode bridge. A device in mode private talks to none of them, whatever the wire
// does. One in mode vepa sends everything out by the parent, and relies on the switch
// to send it back by the port that it came from, which few switches do unless they are
// told to (802.1Qbg reflective relay, hairpin). Everything beyond the parent works, so
// that it looks as if the neighbour were down.
//
// See it by hand:
//
//	nsenter -t PID -n ip -d link show eth0       macvlan mode …
//	tcpdump -eni PARENT host NEIGHBOUR           frames leave, none comes back
//
// False positives: a network that was made with macvlan_mode=private keeps its members
// apart by will: that is only said when somebody asks.
//
// Sources: drivers/net/macvlan.c: macvlan_queue_xmit, macvlan_broadcast; ip-link(8)
func nd1903() diag.Check {
	return diag.Check{
		Code: "ND1903", Name: "macvlan-mode", Severity: diag.Error, Since: "0.2",
		Title: "The mode of a macvlan device keeps it from its neighbours on the same parent",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for i := range in.Flows {
				f := &in.Flows[i]
				if f.Excused || f.Trace.Proxy != nil || f.Trace.LeftHost == "" && !unheardNeighbour(f) {
					continue
				}
				a, b := siblings(in, f)
				if a == nil {
					continue
				}
				private := a.link.Macvlan.Mode == "private" || b.link.Macvlan.Mode == "private"
				says := diag.ProbeSays(f.Probe)
				if says == "delivered" || says == "refused" || says == "" && !private || !f.Asked && apartByWill(in, a.ns) {
					continue
				}
				odd, other := a, b
				if a.link.Macvlan.Mode == "bridge" || b.link.Macvlan.Mode != "bridge" && b.ns.ID < a.ns.ID {
					odd, other = b, a
				}
				subject := diag.Subject{Kind: "link", Name: odd.link.Name, Netns: odd.ns.ID}
				if k := sameSubject(out, subject); k >= 0 {
					out[k].Covers.Traces = append(out[k].Covers.Traces, i)
					continue
				}
				why := "in mode private it exchanges nothing with other devices on the same parent"
				if odd.link.Macvlan.Mode == "vepa" {
					why = "in mode vepa what is for a neighbour on the same parent goes out to the switch, which does not send it back"
				}
				x := diag.Finding{
					Summary: fmt.Sprintf("%s of %s is a macvlan in mode %s: %s → %s does not get from one device to the other on the parent", odd.link.Name, in.Who(odd.ns.ID), odd.link.Macvlan.Mode, f.From, f.To),
					Cause:   why,
					Subject: subject,
					Evidence: []diag.Evidence{
						ev(ipIn(in, odd.ns.ID, "-d link show "+odd.link.Name), fmt.Sprintf("%s: macvlan mode %s", odd.link.Name, odd.link.Macvlan.Mode), snap.RefLink(odd.ns.ID, odd.link.Name)),
					},
					Covers: diag.Cover{Traces: []int{i}},
					Advice: ipIn(in, odd.ns.ID, fmt.Sprintf("link set %s type macvlan mode bridge", odd.link.Name)),
					Weight: 84,
				}
				if other.link.Macvlan.Mode != "bridge" {
					x.Advice += ", and for the other end: " + ipIn(in, other.ns.ID, fmt.Sprintf("link set %s type macvlan mode bridge", other.link.Name))
				}
				if ops := modeOps(in, a, b); len(ops) > 0 {
					x.Fix = &diag.Fix{Ops: ops, Survives: "until the container starts anew"}
					x.Advice = "the network was made in mode bridge: whatever changed the mode may do so again"
				}
				if says == "dropped" {
					x.Confidence = diag.Proved
					x.Evidence = append(x.Evidence, probed(in, f.Probe, f.Probe.Outcome))
				}
				out = append(out, x)
			}
			return append(out, passthrus(in)...)
		},
	}
}

// passthrus are macvlan devices that take over a device of the host which the host
// itself has addresses on: in mode passthru all that comes in by the parent is
// theirs (drivers/net/macvlan.c: macvlan_handle_frame).
func passthrus(in *diag.Input) []diag.Finding {
	host := in.Snap.HostNs()
	var out []diag.Finding
	for i := range in.Snap.Netns {
		ns := &in.Snap.Netns[i]
		for k := range ns.Links {
			l := &ns.Links[k]
			if l.Macvlan == nil || l.Macvlan.Mode != "passthru" || !l.Up || !ns.Class.Ours() || ns == host || host == nil || l.PeerNetns != host.ID {
				continue
			}
			parent := host.LinkAt(l.Peer)
			if parent == nil || !slices.ContainsFunc(host.AddrsOf(parent.Index), func(a snap.Addr) bool { return a.Prefix.Addr().Is4() }) {
				continue
			}
			f := diag.Finding{
				Summary: fmt.Sprintf("%s of %s is a macvlan in mode passthru on %s: all that comes in by %s goes to it, and this host's own addresses there hear nothing", l.Name, in.Who(ns.ID), parent.Name, parent.Name),
				Cause:   "in mode passthru the macvlan device is the only one that gets what its parent receives",
				Subject: diag.Subject{Kind: "link", Name: l.Name, Netns: ns.ID},
				Evidence: []diag.Evidence{
					ev(ipIn(in, ns.ID, "-d link show "+l.Name), fmt.Sprintf("%s: macvlan mode passthru", l.Name), snap.RefLink(ns.ID, l.Name)),
					ev("ip addr show dev "+parent.Name, linkLine(parent), snap.RefLink(host.ID, parent.Name)),
				},
				Advice: "make its network anew with -o macvlan_mode=bridge, or give it a device of its own",
				Weight: 88,
			}
			for j := range in.Flows {
				if x := &in.Flows[j]; x.Broken() && x.Flow.From != ns.ID && (x.Outside || x.Trace.LeftHost == parent.Name || x.Trace.Where != nil && x.Trace.Where.Netns == ns.ID) {
					f.Covers.Traces = append(f.Covers.Traces, j)
				}
			}
			f.Covers.Names = coverNames(in, upstreamCut)
			out = append(out, f)
		}
	}
	return out
}

// unheardNeighbour says whether the sender itself finds no neighbour: its question left
// by the parent, too.
func unheardNeighbour(f *diag.FlowCase) bool {
	w := f.Trace.Where
	return w != nil && w.Cause == sim.CauseNeighFailed && w.Netns == f.Flow.From && !w.Reply
}

// macvlanEnd is a macvlan device and where it is.
type macvlanEnd struct {
	ns   *snap.Netns
	link *snap.Link
}

// siblings are the two macvlan devices, on one parent, between which a flow would go,
// when the mode of one of them is not bridge; nil for any other flow.
func siblings(in *diag.Input, f *diag.FlowCase) (a, b *macvlanEnd) {
	from := in.Netns(f.Flow.From)
	if from == nil || f.Flow.Iif != "" {
		return nil, nil
	}
	for i := range in.Snap.Netns {
		ns := &in.Snap.Netns[i]
		l, ok := ns.HasAddr(f.Flow.Dst)
		if !ok || l == nil || l.Macvlan == nil || ns == from || !ns.Class.Ours() {
			continue
		}
		for j := range from.Links {
			x := &from.Links[j]
			if x.Macvlan == nil || x.Peer != l.Peer || x.PeerNetns != l.PeerNetns || x.Peer == 0 || !plainMode(x) || !plainMode(l) || x.Macvlan.Mode == "bridge" && l.Macvlan.Mode == "bridge" {
				continue
			}
			if slices.ContainsFunc(from.AddrsOf(x.Index), func(a snap.Addr) bool { return a.Prefix.Contains(f.Flow.Dst) }) {
				return &macvlanEnd{from, x}, &macvlanEnd{ns, l}
			}
		}
	}
	return nil, nil
}

// plainMode leaves out the modes that share a parent with nobody, or by their own list.
func plainMode(l *snap.Link) bool {
	return l.Macvlan.Mode == "bridge" || l.Macvlan.Mode == "private" || l.Macvlan.Mode == "vepa"
}

// modeOps give both devices the mode bridge, where their networks were made in it (an
// engine's default); nil where somebody wanted another one, or it is not known.
func modeOps(in *diag.Input, ends ...*macvlanEnd) []fixups.Op {
	var ops []fixups.Op
	for _, e := range ends {
		if !slices.ContainsFunc(networksOf(in, e.ns), func(n *snap.Network) bool {
			return n.Driver == "macvlan" && (n.Options["macvlan_mode"]+n.Options["mode"] == "" || n.Options["macvlan_mode"] == "bridge" || n.Options["mode"] == "bridge")
		}) {
			return nil
		}
		if e.link.Macvlan.Mode != "bridge" {
			ops = append(ops, &fixups.LinkAttr{Where: at(in, e.ns.ID), Name: e.link.Name, Attr: "macvlan", Value: "bridge"})
		}
	}
	return ops
}

// apartByWill says whether a namespace's network was made to keep its members apart.
func apartByWill(in *diag.Input, ns *snap.Netns) bool {
	return slices.ContainsFunc(networksOf(in, ns), diag.KeptApart)
}

// networksOf are the networks of the containers in a namespace.
func networksOf(in *diag.Input, ns *snap.Netns) []*snap.Network {
	var out []*snap.Network
	for i := range in.Snap.Containers {
		c := &in.Snap.Containers[i]
		for k := range c.Endpoints {
			if n := in.Snap.NetworkOf(c.Engine, &c.Endpoints[k]); n != nil && c.Netns == ns.ID {
				out = append(out, n)
			}
		}
	}
	return out
}
