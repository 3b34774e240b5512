package diag

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// balanced: the members of a network reach what stands behind a virtual address
// on it, and the host's neighbours the ports that a swarm publishes for one.
func (e *expecter) balanced() {
	for i := range e.in.Snap.Networks {
		n := &e.in.Snap.Networks[i]
		for j := range n.Services {
			v := &n.Services[j]
			e.virtual(n, v)
			e.ingress(n, v)
		}
	}
}

// virtual: two members ask, which are no part of the service where there are others.
func (e *expecter) virtual(n *snap.Network, v *snap.Service) {
	var port uint16
	var ask, tasks []member
	for _, m := range e.members(n) {
		if !v.Has(m.c, m.e) {
			ask = append(ask, m)
			continue
		}
		tasks = append(tasks, m)
		if s := Listening(e.in.Snap.Ns(m.c.Netns), m.e.IPv4.Addr()); s != nil && port == 0 {
			port = s.Local.Port()
		}
	}
	if !v.VIP.Is4() || port == 0 || n.Ingress { // no task here: what it listens on is not known
		return
	}
	ask = append(ask, tasks...)
	for _, m := range ask[:min(2, len(ask))] {
		e.add(FlowCase{
			Kind: "service", From: m.c.Name, To: v.Name + ":" + portText(snap.TCP, port), Network: n.Ref, Because: []snap.Ref{snap.RefNetwork(n.Ref)},
			Flow: sim.Flow{From: m.c.Netns, Dst: v.VIP, Proto: snap.TCP, Dport: port},
		})
	}
}

// ingress: a port of the routing mesh is open on every host of the swarm.
func (e *expecter) ingress(n *snap.Network, v *snap.Service) {
	for i := range v.Ports {
		p := &v.Ports[i]
		for _, up := range Uplinks(e.in.Snap) {
			at := slices.IndexFunc(e.host.AddrsOf(up.Index), func(a snap.Addr) bool { return a.Prefix.Addr().Is4() })
			if at < 0 || !(p.Proto == snap.TCP || p.Proto == snap.UDP) {
				continue
			}
			ip := e.host.AddrsOf(up.Index)[at].Prefix.Addr()
			for _, src := range sources(e.host, up) {
				e.add(FlowCase{
					Kind: "ingress", From: "outside (" + src.String() + ")", To: netip.AddrPortFrom(ip, p.HostPort).String() + "/" + string(p.Proto),
					Port: p, Outside: true, Because: []snap.Ref{snap.RefNetwork(n.Ref)},
					Flow: sim.Flow{From: e.host.ID, Iif: up.Name, Src: src, Dst: ip, Proto: p.Proto, Dport: p.HostPort, StopOutside: true},
				})
			}
		}
	}
}
