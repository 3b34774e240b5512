package diag

import (
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// outsideWorld6 stand for "somewhere in the IPv6 Internet", as outsideWorld
// does for IPv4. Nothing is ever sent to them.
var outsideWorld6 = [...]string{"2606:4700:4700::1111", "2620:fe::fe"}

// six: on networks with IPv6, members reach each other by it, and the world
// where the host itself has an IPv6 way to it.
func (e *expecter) six() {
	world := reaches6(e.host)
	for i := range e.in.Snap.Networks {
		n := &e.in.Snap.Networks[i]
		if !n.IPv6 || n.Driver != "bridge" {
			continue
		}
		var ms []member
		for _, m := range e.members(n) {
			if m.e.IPv6.IsValid() {
				ms = append(ms, m)
			}
		}
		for a := range ms {
			if b := ms[(a+1)%len(ms)]; n.ICC && b.c.Netns != ms[a].c.Netns {
				e.add(FlowCase{
					Kind: "peer", From: ms[a].c.Name, To: b.c.Name + " (IPv6)", Network: n.Ref, Target: b.c.Ref,
					Because: []snap.Ref{snap.RefNetwork(n.Ref), snap.RefContainer(b.c.Ref)},
					Flow:    sim.Flow{From: ms[a].c.Netns, Dst: b.e.IPv6.Addr(), Proto: snap.ICMPv6},
				})
			}
			if !world || n.Internal || !ms[a].e.Gateway6.IsValid() {
				continue
			}
			for _, w := range outsideWorld6 {
				e.add(FlowCase{
					Kind: "egress", From: ms[a].c.Name, To: "internet (IPv6)", Network: n.Ref, Because: []snap.Ref{snap.RefNetwork(n.Ref)},
					Flow: sim.Flow{From: ms[a].c.Netns, Dst: netip.MustParseAddr(w), Proto: snap.TCP, Dport: 443, StopOutside: true},
				})
			}
		}
	}
}

// reaches6 says whether the host has an IPv6 default route of its own and a
// global address to use it with.
func reaches6(host *snap.Netns) bool {
	global := false
	for _, a := range host.Addrs {
		ip := a.Prefix.Addr()
		global = global || ip.Is6() && ip.IsGlobalUnicast() && !ip.IsPrivate()
	}
	if !global {
		return false
	}
	for _, r := range host.Routes {
		if r.Family == snap.IPv6 && r.Table == snap.TableMain && r.Type == "unicast" && r.Dst.Bits() == 0 {
			return true
		}
	}
	return false
}
