package fixups

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// addrRoutes are the routes that the kernel makes for an address of a device
// that is up (net/ipv4/fib_frontend.c:fib_add_ifaddr, net/ipv6/addrconf.c:
// addrconf_prefix_route and addrconf_f6i_alloc).
func addrRoutes(ns *snap.Netns, l *snap.Link, a snap.Addr) []snap.Route {
	ip := a.Prefix.Addr()
	table := uint32(snap.TableMain)
	local := uint32(snap.TableLocal)
	if vrf := ns.LinkAt(l.Master); vrf != nil && vrf.VRF != nil {
		table, local = vrf.VRF.Table, vrf.VRF.Table
	}
	own := snap.Route{
		Family: snap.FamilyOf(ip), Table: local, Type: "local", Dst: netip.PrefixFrom(ip, ip.BitLen()),
		Scope: "host", Protocol: "kernel", PrefSrc: ip, Oif: l.Index,
	}
	if ip.Is6() {
		return v6Routes(l, a, own, table)
	}
	out := []snap.Route{own}
	net := a.Prefix.Masked()
	if a.Peer.IsValid() {
		net = a.Peer.Masked()
	}
	if a.Has("secondary") || net.Addr() == netip.IPv4Unspecified() || net.Bits() == 32 && net.Addr() == ip {
		return out
	}
	con := snap.Route{
		Family: snap.IPv4, Table: table, Type: "unicast", Dst: net, Scope: "link", Protocol: "kernel", PrefSrc: ip, Oif: l.Index,
	}
	if l.Loopback {
		con.Type, con.Table, con.Scope = "local", local, "host"
	}
	if l.Up && !l.LowerUp && !l.Loopback {
		con.Flags = []string{"linkdown"}
	}
	if !a.Has("noprefixroute") {
		out = append(out, con)
	}
	casts := []netip.Addr{}
	if net.Bits() < 31 {
		casts = append(casts, snap.LastAddr(net))
	}
	if a.Bcast.IsValid() && !slices.Contains(casts, a.Bcast) && a.Bcast != netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		casts = append(casts, a.Bcast)
	}
	for _, b := range casts {
		out = append(out, snap.Route{
			Family: snap.IPv4, Table: local, Type: "broadcast", Dst: netip.PrefixFrom(b, 32), Scope: "link", Protocol: "kernel", PrefSrc: ip, Oif: l.Index,
		})
	}
	return out
}

func v6Routes(l *snap.Link, a snap.Addr, own snap.Route, table uint32) []snap.Route {
	own.PrefSrc, own.Scope = netip.Addr{}, "global"
	out := []snap.Route{own}
	if a.Has("noprefixroute") || a.Prefix.IsSingleIP() && l.Loopback {
		return out
	}
	con := snap.Route{
		Family: snap.IPv6, Table: table, Type: "unicast", Dst: a.Prefix.Masked(), Scope: "global", Protocol: "kernel", Metric: 256, Oif: l.Index,
	}
	if l.Up && !l.LowerUp {
		con.Flags = []string{"linkdown"}
	}
	return append(out, con)
}

// multicastRoute is what IPv6 gives every device (addrconf.c:addrconf_add_mroute).
func multicastRoute(index int) snap.Route {
	return snap.Route{
		Family: snap.IPv6, Table: snap.TableLocal, Type: "multicast", Dst: netip.MustParsePrefix("ff00::/8"),
		Scope: "global", Protocol: "kernel", Metric: 256, Oif: index,
	}
}

// addRoutes adds those that are not there.
func addRoutes(ns *snap.Netns, list []snap.Route) {
	for _, r := range list {
		if !slices.ContainsFunc(ns.Routes, func(o snap.Route) bool { return sameRoute(o, r) }) {
			ns.Routes = append(ns.Routes, r)
		}
	}
}

// sameRoute says whether two routes are one and the same but for what changes
// by itself.
func sameRoute(a, b snap.Route) bool { return routeText(a) == routeText(b) }

func routeText(r snap.Route) string {
	r.Flags = snap.Without(slices.Clone(r.Flags), func(f string) bool {
		return f == "linkdown" || f == "dead" || f == "offload" || f == "trap"
	})
	r.ExpiresMs, r.Error = 0, 0
	if r.Family == snap.IPv6 {
		r.Scope = "" // IPv6 has none
	}
	for i, n := range r.Nexthops {
		if i == 0 {
			r.Nexthops = slices.Clone(r.Nexthops)
		}
		n.Flags = nil
		r.Nexthops[i] = n
	}
	return fmt.Sprint(r)
}

// sameAddr says whether two addresses are the same but for lifetimes and what
// duplicate detection does to them.
func sameAddr(a, b snap.Addr) bool { return addrText(a) == addrText(b) }

func addrText(a snap.Addr) string {
	a.Flags = snap.Without(slices.Clone(a.Flags), func(f string) bool {
		return f == "tentative" || f == "dadfailed" || f == "nodad" || f == "secondary" || f == "optimistic" || f == "deprecated"
	})
	slices.Sort(a.Flags)
	if a.ValidMs >= 0 {
		a.ValidMs, a.PreferredMs = 0, 0
	}
	return fmt.Sprint(a)
}

// amends are the operations that put back what is in a namespace of before and
// not of after: addresses, then neighbours set by hand, then routes, those on
// the link first, since gateways are looked up when a route is added.
func amends(w Where, before, after *snap.Netns) []Op {
	var out []Op
	if before == nil || after == nil {
		return nil
	}
	for _, a := range before.Addrs {
		if l := before.LinkAt(a.Index); l != nil && !slices.ContainsFunc(after.Addrs, func(o snap.Addr) bool { return sameAddr(o, a) }) {
			out = append(out, &AddrAdd{Where: w, Dev: l.Name, Addr: a})
		}
	}
	for _, n := range before.Neighs {
		if l := before.LinkAt(n.Index); l != nil && n.State == "permanent" && !slices.Contains(after.Neighs, n) {
			out = append(out, &NeighSet{Where: w, Dev: l.Name, Neigh: n})
		}
	}
	have := after
	if len(out) > 0 { // the addresses bring routes of their own
		c := &snap.Snapshot{Netns: []snap.Netns{*after}}
		c = c.Clone()
		for _, op := range out {
			if op.On(c) != nil {
				continue // then its routes are missing, too, and are added below
			}
		}
		have = &c.Netns[0]
	}
	var direct, via []Op
	for _, r := range before.Routes {
		if r.Type == "multicast" && r.Protocol == "kernel" || slices.ContainsFunc(have.Routes, func(o snap.Route) bool { return sameRoute(o, r) }) {
			continue
		}
		op := &RouteAdd{Where: w, Devs: devNames(before, r), Route: r}
		if r.Gateway.IsValid() || r.Via.IsValid() || len(r.Nexthops) > 0 {
			via = append(via, op)
		} else {
			direct = append(direct, op)
		}
	}
	return append(append(out, direct...), via...)
}
