package diag

import (
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// wired: namespaces of no engine that are ports of one bridge, with addresses of one
// subnet, hear each other. The policy of a chain for what is routed is not meant for them:
// they meet it as bridge-nf-call-iptables is 1 (net/bridge/br_netfilter_hooks.c), which
// engines turn on for their own bridges. What a rule stops may be meant.
func (e *expecter) wired() {
	for i := range e.host.Links {
		br := &e.host.Links[i]
		if br.Kind != "bridge" || e.in.Graph.NetworkOfBridge(br.Name) != nil {
			continue
		}
		var last *snap.Netns
		var at netip.Prefix
		for _, port := range e.in.Graph.Ports(e.host, br) {
			peer, ok := e.in.Graph.Peer(port)
			if !ok || peer.Netns.Class != snap.ClassAttached || len(peer.Netns.Containers) > 0 {
				continue
			}
			for _, a := range peer.Netns.AddrsOf(peer.Link.Index) {
				if !a.Prefix.Addr().Is4() {
					continue
				}
				if last != nil && last != peer.Netns && a.Prefix.Masked() == at.Masked() {
					e.wire(last, peer.Netns, a.Prefix.Addr())
				}
				last, at = peer.Netns, a.Prefix
				break
			}
		}
	}
}

// wire adds the flow between two of them, if a policy of the host stops it.
func (e *expecter) wire(from, to *snap.Netns, dst netip.Addr) {
	f, name := sim.Flow{From: from.ID, Dst: dst, Proto: snap.ICMP}, e.in.Who(to.ID)+"/icmp"
	if s := Listening(to, dst); s != nil {
		f.Proto, f.Dport = snap.TCP, s.Local.Port()
		name = e.in.Who(to.ID) + ":" + portText(snap.TCP, f.Dport)
	}
	x := e.try("peer", name, snap.RefNetns(to.ID), f)
	if w := x.Trace.Where; w != nil && w.Cause == sim.CausePolicy && w.Netns == e.host.ID && w.Rule != nil && w.Rule.Family != snap.BridgeFamily {
		e.add(*x)
	}
}
