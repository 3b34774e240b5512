package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// gatewayTwins are those who have the address of a network's gateway, which its bridge has,
// on their port of that bridge: whoever sends out of the network may well send to them.
func gatewayTwins(in *diag.Input) []twin {
	host := in.Snap.HostNs()
	var out []twin
	for i := range in.Snap.Networks {
		n := &in.Snap.Networks[i]
		if host == nil || n.Bridge == "" || host.Link(n.Bridge) == nil {
			continue
		}
		br := host.Link(n.Bridge)
		for j := range in.Snap.Netns {
			ns := &in.Snap.Netns[j]
			if ns == host || !ns.Class.Ours() || ns.Light {
				continue
			}
			for k, x := range ns.Addrs {
				l := ns.LinkAt(x.Index)
				if l == nil || !slices.ContainsFunc(n.Pools, func(p snap.Pool) bool { return p.Gateway == x.Prefix.Addr() }) ||
					!slices.ContainsFunc(host.AddrsOf(br.Index), func(a snap.Addr) bool { return a.Prefix.Addr() == x.Prefix.Addr() }) {
					continue
				}
				if p, ok := in.Graph.Peer(l); ok && p.Netns == host && p.Link.Master == br.Index {
					out = append(out, twin{attachment{n: n}, ns, l, x, snap.RefItem(ns.ID, "addr", k)})
				}
			}
		}
	}
	return out
}

// gatewayFindings tell of them.
func gatewayFindings(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, t := range gatewayTwins(in) {
		ip, who := t.addr.Prefix.Addr(), in.Who(t.rogue.ID)
		f := diag.Finding{
			Summary: fmt.Sprintf("duplicate address %s on network %s: it is the gateway's, on %s of this host, and %s has it on %s, too", ip, t.a.n.Name, t.a.n.Bridge, who, t.dev.Name),
			Cause:   fmt.Sprintf("this host and %s both answer ARP for %s: what is sent out of the network by %s ends there", who, ip, who),
			Subject: diag.Subject{Kind: "address", Name: ip.String(), Netns: t.rogue.ID},
			Evidence: []diag.Evidence{
				ev("ip addr show dev "+t.a.n.Bridge, addrList(in.Snap.HostNs(), in.Snap.HostNs().Link(t.a.n.Bridge)), snap.RefNetwork(t.a.n.Ref)),
				ev(ipIn(in, t.rogue.ID, "addr show dev "+t.dev.Name), addrList(t.rogue, t.dev), t.ref),
			},
			Weight: 88,
		}
		hurt := map[string]bool{} // members by namespace
		for _, a := range attachments(in) {
			hurt[a.ns.ID] = hurt[a.ns.ID] || a.n == t.a.n && a.ns != t.rogue
		}
		for i := range in.Flows {
			fl := &in.Flows[i]
			if hurt[fl.Flow.From] && fl.Flow.From != in.Snap.Host.Netns && (fl.Broken() || diag.ProbeSays(fl.Probe) == "dropped" || fl.Trace.Where != nil && fl.Trace.Where.Cause == sim.CauseDuplicate) {
				f.Covers.Traces = append(f.Covers.Traces, i)
			}
		}
		f.Covers.Names = coverNames(in, func(n *diag.NameCase) bool { return hurt[n.Ask.Netns] && upstreamCut(n) })
		out = append(out, f)
	}
	return out
}
