package diag

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxTunnelEnds bounds the other ends of one VXLAN device that are looked at.
const maxTunnelEnds = 8

// tunnels: what this host's VXLAN devices send to the other ends gets out, and what
// those send comes in.
func (e *expecter) tunnels() {
	for i := range e.host.Links {
		l := &e.host.Links[i]
		v := l.Vxlan
		if v == nil || !l.Up || v.External {
			continue
		}
		for _, end := range e.ends(l) {
			to := netip.AddrPortFrom(end, v.Port)
			e.add(FlowCase{
				Kind: "tunnel", From: "host", To: to.String() + "/udp", Because: []snap.Ref{snap.RefLink(e.host.ID, l.Name)},
				Flow: sim.Flow{From: e.host.ID, Dst: end, Proto: snap.UDP, Dport: v.Port, StopOutside: true},
			})
		}
		if !v.Local.IsValid() || !v.Local.Is4() {
			continue
		}
		lower := e.host.LinkAt(v.Lower)
		if _, mine := e.host.HasAddr(v.Local); !mine || lower == nil {
			continue
		}
		for _, end := range e.ends(l) {
			e.add(FlowCase{
				Kind: "tunnel", From: "VXLAN end " + end.String(), To: netip.AddrPortFrom(v.Local, v.Port).String() + "/udp", Outside: true,
				Because: []snap.Ref{snap.RefLink(e.host.ID, l.Name)},
				Flow:    sim.Flow{From: e.host.ID, Iif: lower.Name, Src: end, Dst: v.Local, Proto: snap.UDP, Dport: v.Port, StopOutside: true},
			})
		}
	}
}

// ends are the other ends that a VXLAN device knows, by its own setting and its
// forwarding entries.
func (e *expecter) ends(l *snap.Link) []netip.Addr {
	var out []netip.Addr
	add := func(a netip.Addr) {
		if a.Is4() && !a.IsMulticast() && !a.IsUnspecified() && !slices.Contains(out, a) && len(out) < maxTunnelEnds {
			out = append(out, a)
		}
	}
	add(l.Vxlan.Remote)
	for _, f := range e.host.FDB {
		if f.Index == l.Index {
			add(f.Dst)
		}
	}
	return out
}
