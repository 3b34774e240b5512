package fixups

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// This file models what the kernel itself does when a device goes up or down
// (net/core/dev.c, net/ipv4/fib_frontend.c, net/ipv6/addrconf.c,
// net/bridge/br_if.c). It goes as far as the simulator looks.

// raise sets a device up.
func raise(s *snap.Snapshot, ns *snap.Netns, l *snap.Link) {
	if l.Up {
		return
	}
	l.Up = true
	settle(s, ns, l, 0)
	linkLocal(ns, l)
	for _, a := range ns.AddrsOf(l.Index) {
		addRoutes(ns, addrRoutes(ns, l, a))
	}
	if v6On(ns, l) && !l.Loopback {
		addRoutes(ns, []snap.Route{multicastRoute(l.Index)})
	}
}

// drop sets a device down. IPv4 loses its routes but those of its own addresses
// (fib_frontend.c:fib_disable_ip), IPv6 loses routes and addresses
// (addrconf.c:addrconf_ifdown).
func drop(s *snap.Snapshot, ns *snap.Netns, l *snap.Link) {
	if !l.Up {
		return
	}
	l.Up = false
	settle(s, ns, l, 0)
	keep := ns.Sysctls["net/ipv6/conf/"+l.Name+"/keep_addr_on_down"] == "1"
	ns.Addrs = snap.Without(ns.Addrs, func(a snap.Addr) bool {
		ip := a.Prefix.Addr()
		return a.Index == l.Index && ip.Is6() && (!keep || ip.IsLinkLocalUnicast()) && !l.Loopback
	})
	ns.Routes = snap.Without(ns.Routes, func(r snap.Route) bool {
		if r.Family == snap.IPv4 && r.Scope == "host" || r.Family == snap.IPv6 && l.Loopback && r.Type == "local" {
			return false
		}
		return onlyBy(r, l.Index)
	})
	// A neighbour that was set by hand goes, too (neighbour.c:neigh_ifdown).
	ns.Neighs = snap.Without(ns.Neighs, func(n snap.Neigh) bool { return n.Index == l.Index && !n.Proxy })
}

// onlyBy says whether a route has no other way than the device.
func onlyBy(r snap.Route, index int) bool {
	if r.Oif != 0 || len(r.Nexthops) == 0 {
		return r.Oif == index
	}
	for _, n := range r.Nexthops {
		if n.Oif != index {
			return false
		}
	}
	return true
}

// maxStack bounds devices upon devices (include/linux/netdevice.h:MAX_NEST_DEV).
const maxStack = 8

// settle works out carrier and state of a device, and of those that depend on it.
func settle(s *snap.Snapshot, ns *snap.Netns, l *snap.Link, depth int) {
	was, wasUp := l.LowerUp, l.OperState != "down"
	l.LowerUp = l.Up && carrier(s, ns, l)
	l.Running = l.LowerUp
	switch {
	case !l.Up:
		l.OperState = "down"
	case !l.LowerUp && l.Peer != 0:
		l.OperState = "lowerlayerdown"
	case !l.LowerUp:
		l.OperState = "down"
	case quiet(l.Kind):
		l.OperState = "unknown"
	default:
		l.OperState = "up"
	}
	if was == l.LowerUp && wasUp == (l.OperState != "down") && depth > 0 || depth > maxStack {
		return
	}
	if l.Up && was != l.LowerUp {
		markLinkdown(ns, l)
	}
	if l.Bridge != nil {
		for i := range ns.Links {
			if p := &ns.Links[i]; p.Master == l.Index && p.Port != nil {
				setPortState(ns, p)
			}
		}
	}
	if l.Port != nil {
		setPortState(ns, l)
		if br := ns.LinkAt(l.Master); br != nil && br.Up {
			settle(s, ns, br, depth+1)
		}
	}
	for i := range s.Netns {
		o := &s.Netns[i]
		for j := range o.Links {
			d := &o.Links[j]
			if d.Peer == l.Index && d.Up && d.Kind != "vxlan" && (d.PeerNetns == ns.ID || d.PeerNetns == "" && d.PeerNSID == -1 && o.ID == ns.ID) {
				settle(s, o, d, depth+1)
			}
		}
	}
}

// quiet says whether a device of that kind never changes its carrier, and so
// shows the state "unknown".
func quiet(kind string) bool {
	return kind == "loopback" || kind == "dummy" || kind == "vxlan" || kind == "tun" || kind == "wireguard"
}

// carrier says whether there is somebody at the other end of a device that is
// up. Of a physical device it is assumed.
func carrier(s *snap.Snapshot, ns *snap.Netns, l *snap.Link) bool {
	switch l.Kind {
	case "veth", "macvlan", "macvtap", "ipvlan", "vlan":
		_, p := peerOf(s, ns, l)
		if p == nil {
			return l.LowerUp || l.Kind != "veth"
		}
		return p.Up && (l.Kind == "veth" || p.LowerUp)
	case "bridge":
		for i := range ns.Links {
			if p := &ns.Links[i]; p.Master == l.Index && p.LowerUp {
				return true
			}
		}
		return false
	}
	return true
}

// peerOf is the other end of a veth, or the device below another one.
func peerOf(s *snap.Snapshot, ns *snap.Netns, l *snap.Link) (*snap.Netns, *snap.Link) {
	o := ns
	if l.PeerNetns != "" && l.PeerNetns != ns.ID {
		o = s.Ns(l.PeerNetns)
	} else if l.PeerNetns == "" && l.PeerNSID != -1 {
		return nil, nil
	}
	if o == nil {
		return nil, nil
	}
	return o, o.LinkAt(l.Peer)
}

// setPortState gives a port the state that it has without STP: forwarding or
// disabled (br_stp_if.c:br_stp_enable_port). A state that was set by hand stays
// while the port works.
func setPortState(ns *snap.Netns, l *snap.Link) {
	br := ns.LinkAt(l.Master)
	p := *l.Port
	switch works := br != nil && br.Up && l.Up && l.LowerUp; {
	case !works:
		p.State = snap.PortDisabled
	case p.State == snap.PortDisabled:
		p.State = snap.PortForwarding
	}
	l.Port = &p
}

// markLinkdown sets or clears the flag of routes whose device lost its carrier
// (fib_semantics.c:fib_sync_down_dev); local ones never have it.
func markLinkdown(ns *snap.Netns, l *snap.Link) {
	for i := range ns.Routes {
		r := &ns.Routes[i]
		if r.Oif != l.Index || r.Scope == "host" || r.Type == "local" || r.Type == "broadcast" || r.Type == "multicast" {
			continue
		}
		r.Flags = snap.Without(slices.Clone(r.Flags), func(f string) bool { return f == "linkdown" })
		if !l.LowerUp {
			r.Flags = append(r.Flags, "linkdown")
		}
		if len(r.Flags) == 0 {
			r.Flags = nil
		}
	}
}

// v6On says whether a device has IPv6.
func v6On(ns *snap.Netns, l *snap.Link) bool {
	v, ok := ns.Sysctl("net/ipv6/conf/" + l.Name + "/disable_ipv6")
	return ok && v == "0"
}

// linkLocal gives a device that comes up its fe80 address, where that follows
// from its MAC (addr_gen_mode 0, RFC 4291 appendix A).
func linkLocal(ns *snap.Netns, l *snap.Link) {
	if mode, ok := ns.Sysctl("net/ipv6/conf/" + l.Name + "/addr_gen_mode"); !v6On(ns, l) || !ok || mode != "0" || l.Loopback || l.Port != nil {
		return
	}
	mac, ok := parseMAC(l.MAC)
	if !ok {
		return
	}
	for _, a := range ns.AddrsOf(l.Index) {
		if a.Prefix.Addr().IsLinkLocalUnicast() && a.Prefix.Addr().Is6() {
			return
		}
	}
	b := [16]byte{0: 0xfe, 1: 0x80, 8: mac[0] ^ 2, 9: mac[1], 10: mac[2], 11: 0xff, 12: 0xfe, 13: mac[3], 14: mac[4], 15: mac[5]}
	ns.Addrs = append(ns.Addrs, snap.Addr{
		Index: l.Index, Prefix: netip.PrefixFrom(netip.AddrFrom16(b), 64), Scope: "link", Flags: []string{"permanent"}, ValidMs: -1, PreferredMs: -1,
	})
}

// parseMAC reads six bytes with colons.
func parseMAC(s string) (mac [6]byte, ok bool) {
	parts := strings.Split(s, ":")
	if len(parts) != 6 {
		return mac, false
	}
	for i, p := range parts {
		if len(p) != 2 {
			return mac, false
		}
		for _, c := range []byte(strings.ToLower(p)) {
			switch {
			case c >= '0' && c <= '9':
				mac[i] = mac[i]<<4 | (c - '0')
			case c >= 'a' && c <= 'f':
				mac[i] = mac[i]<<4 | (c - 'a' + 10)
			default:
				return mac, false
			}
		}
	}
	return mac, true
}
