package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd8101: packets go into a VXLAN tunnel, and nothing comes back.
//
// This host puts the packet into a VXLAN tunnel to another host, and nothing comes
// back. The outer packets may be dropped on the way (UDP 4789 closed at the other
// host or between them), the other end may use another VNI or port, in which case it
// drops what arrives without a word, or it has no forwarding entry for the way back.
// A device without any entry that names another end sends nothing at all.
//
// See it by hand:
//
//	ip -d link show type vxlan               id and dstport: the same on both hosts
//	tcpdump -ni UPLINK udp port 4789         vni of what leaves and of what returns
//	bridge fdb show dev VXLAN
//
// Sources: RFC 7348 section 4; drivers/net/vxlan/vxlan_core.c: vxlan_rcv; docs.docker.com, overlay networks
func nd8101() diag.Check {
	return diag.Check{
		Code: "ND8101", Name: "vxlan-silent", Severity: diag.Error, Since: "0.1",
		Title: "Packets enter a VXLAN tunnel, and no answer returns through it",
		After: []diag.Code{"ND3101", "ND3102", "ND3103"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for i := range in.Flows {
				f := &in.Flows[i]
				lost := diag.ProbeSays(f.Probe) == "dropped" || f.Trace.Verdict == sim.Dropped && f.Trace.Where != nil && !owned(in, f.Trace.Where.Netns)
				if !f.Asked && f.Kind != "tried" || !lost || f.Trace.IfAnswered == sim.Dropped || stoppedHere(in, f) {
					continue
				}
				ns, l := tunnel(in, f)
				if l == nil || muffled(in, ns, l) {
					continue
				}
				subject := diag.Subject{Kind: "link", Name: l.Name, Netns: ns.ID}
				if k := sameSubject(out, subject); k >= 0 {
					out[k].Covers.Traces = append(out[k].Covers.Traces, i)
					continue
				}
				v := l.Vxlan
				fd := diag.Finding{
					Summary:  fmt.Sprintf("packets of %s to %s leave this host in VXLAN %s (VNI %d, UDP port %d), and no answer returns", f.From, f.To, l.Name, v.VNI, v.Port),
					Cause:    "the other end does not answer through the tunnel: another VNI or port there, or UDP dropped between the hosts",
					Subject:  subject,
					Evidence: []diag.Evidence{ev(ipIn(in, ns.ID, "-d link show "+l.Name), fmt.Sprintf("%s: vxlan id %d local %s dstport %d", l.Name, v.VNI, v.Local, v.Port), snap.RefLink(ns.ID, l.Name))},
					Covers:   diag.Cover{Traces: []int{i}},
					Advice:   fmt.Sprintf("on the other host: ip -d link show type vxlan must say id %d dstport %d; tcpdump -ni UPLINK udp port %d shows what returns", v.VNI, v.Port, v.Port),
					Weight:   42,
				}
				if v := l.Vxlan; !v.Remote.IsValid() && !v.External && !slices.ContainsFunc(ns.FDB, func(e snap.FDBEntry) bool { return e.Index == l.Index && e.Dst.IsValid() }) {
					fd.Summary = fmt.Sprintf("packets of %s to %s go into VXLAN %s (VNI %d), which knows no other end: they never leave this host", f.From, f.To, l.Name, v.VNI)
					fd.Cause = "no forwarding entry of " + l.Name + " names an address to send to, and it has no remote or group"
					fd.Evidence = append(fd.Evidence, ev(in.IPCommand(ns.ID, "bridge fdb show dev "+l.Name), "(no entry with dst)", snap.RefLink(ns.ID, l.Name)))
					fd.Advice = "whatever manages the overlay must name the other hosts; by hand: bridge fdb append 00:00:00:00:00:00 dev " + l.Name + " dst ADDRESS"
				}
				if d, ok := deadEndOf(in, f, ns, l); ok {
					d.tell(&fd, f, l)
					if ops := d.fix(in, l); len(ops) > 0 {
						fd.Fix = &diag.Fix{Ops: ops, Survives: "until reboot"}
					}
				}
				out = append(out, fd)
			}
			return out
		},
	}
}

// stoppedHere says whether this host itself stops the flow, or the tunnel's packets: a
// rule, a bridge port that floods nothing, anything but that nobody answers for the
// destination, which is what a silent tunnel looks like from here.
func stoppedHere(in *diag.Input, f *diag.FlowCase) bool {
	w := diag.RulePlace(f.Trace.Where)
	return f.Broken() && w != nil && owned(in, w.Netns) && (w.Rule != nil || f.Trace.Verdict == sim.Dropped && !slices.Contains([]sim.Cause{sim.CauseNeighFailed, sim.CauseOutside, sim.CauseVxlan}, w.Cause))
}

// muffled says whether this host throws away what the other ends send by a tunnel: they
// can't be heard, whatever they say.
func muffled(in *diag.Input, ns *snap.Netns, l *snap.Link) bool {
	heard, shut := false, false
	for i := range in.Flows {
		f := &in.Flows[i]
		if f.Kind == "tunnel" && f.Outside && slices.Contains(f.Because, snap.RefLink(ns.ID, l.Name)) {
			heard, shut = heard || !f.Broken(), shut || f.Broken()
		}
	}
	return shut && !heard
}

// tunnel is the VXLAN port of the sender's bridge behind which a flow's
// destination must be: it is on the sender's subnet, and nobody here holds it. Docker
// has the bridges of overlay networks in namespaces of their own (moby
// daemon/libnetwork/drivers/overlay/ov_network.go: initSandbox).
func tunnel(in *diag.Input, f *diag.FlowCase) (*snap.Netns, *snap.Link) {
	from := in.Netns(f.Flow.From)
	if from == nil || len(in.Graph.Owners(f.Flow.Dst)) > 0 {
		return nil, nil
	}
	for _, a := range from.Addrs {
		l := from.LinkAt(a.Index)
		if l == nil || !a.Prefix.Masked().Contains(f.Flow.Dst) {
			continue
		}
		peer, ok := in.Graph.Peer(l)
		if !ok || !owned(in, peer.Netns.ID) {
			continue
		}
		br := peer.Netns.LinkAt(peer.Link.Master)
		if br == nil {
			continue
		}
		for _, port := range in.Graph.Ports(peer.Netns, br) {
			if port.Vxlan != nil && port.Up && (!port.Vxlan.Proxy || knows(peer.Netns, port, f.Flow.Dst)) {
				return peer.Netns, port
			}
		}
	}
	return nil, nil
}

// knows says whether a device's namespace has a neighbour entry for an address. A VXLAN
// device that answers ARP itself sends nothing for others
// (drivers/net/vxlan/vxlan_core.c:arp_reduce).
func knows(ns *snap.Netns, l *snap.Link, ip netip.Addr) bool {
	return slices.ContainsFunc(ns.Neighs, func(n snap.Neigh) bool { return n.Index == l.Index && n.IP == ip && n.MAC != "" })
}
