package join

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Between is the namespace that stands for what lies between the hosts. Nobody
// has read it: it is assumed to carry every packet from each host to the
// addresses of the others, of any size, by switches where hosts share a subnet
// and by the routers that their routes name. What is for nobody of them leaves
// by the device "beyond", and what becomes of it there is not known.
const Between = "between"

// anySize is the MTU of what carries everything.
const anySize = 65535

// underlay builds Between.
type underlay struct {
	s        *snap.Snapshot
	hosts    []*snap.Netns
	n        snap.Netns
	segments []segment
}

// segment is one link-layer network that hosts are on.
type segment struct {
	prefixes []netip.Prefix
	ups      []uplink
}

// uplink is a device that leads out of a host.
type uplink struct {
	host  *snap.Netns
	dev   *snap.Link
	addrs []snap.Addr
}

func (u *underlay) build() snap.Netns {
	u.n = snap.Netns{
		ID: Between, Names: []string{}, Containers: []string{}, Pids: []int{}, Class: snap.ClassOutside, Addrs: []snap.Addr{}, Routes: []snap.Route{},
		Neighs: []snap.Neigh{}, FDB: []snap.FDBEntry{}, Sockets: []snap.Socket{}, Ruleset: snap.Ruleset{Tables: []snap.Table{}},
		Sysctls: map[string]string{
			"net/ipv4/ip_forward": "1", "net/ipv4/conf/all/rp_filter": "0", "net/ipv4/conf/default/rp_filter": "0", "net/ipv4/ip_default_ttl": "64", "net/ipv4/icmp_echo_ignore_all": "0",
			"net/ipv6/conf/all/forwarding": "1", "net/ipv4/conf/all/forwarding": "1", "net/ipv4/conf/all/send_redirects": "0",
		},
		Links: []snap.Link{{Index: 1, Name: "lo", Kind: "loopback", MTU: 65536, Up: true, LowerUp: true, Running: true, OperState: "unknown", Loopback: true, PeerNSID: -1}},
		Rules: []snap.PolicyRule{},
	}
	for _, f := range []snap.Family{snap.IPv4, snap.IPv6} {
		for i, table := range []uint32{snap.TableLocal, snap.TableMain} {
			u.n.Rules = append(u.n.Rules, snap.PolicyRule{Family: f, Priority: []uint32{0, 32766}[i], Action: "table", Table: table, SuppressPrefixLen: -1, SuppressIfgroup: -1})
		}
	}
	for _, h := range u.hosts {
		for i := range h.Links {
			if l := &h.Links[i]; leadsOut(l) {
				u.place(uplink{h, l, addrsOf(h, l)})
			}
		}
	}
	for i := range u.segments {
		u.wire(i)
	}
	beyond := u.link(snap.Link{Name: "beyond", NoARP: true, PeerNSID: -1})
	for _, f := range []snap.Family{snap.IPv4, snap.IPv6} {
		all := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if f == snap.IPv6 {
			all = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		u.n.Routes = append(u.n.Routes, snap.Route{Family: f, Table: snap.TableMain, Type: "unicast", Dst: all, Scope: "link", Protocol: "static", Oif: beyond})
	}
	return u.n
}

// leadsOut says whether a device of the host's is one end of a cable: a real
// device, or a virtual one whose other end is in none of the snapshots.
func leadsOut(l *snap.Link) bool {
	switch l.Kind {
	case "", "bond", "team", "virtio_net", "netvsc":
		return !l.Loopback && l.Name != "lo"
	case "veth":
		return l.Peer == 0 || l.PeerNetns == ""
	}
	return false
}

// addrsOf are the addresses by which a device is spoken to: its own, and those of
// the bridge or bond that it is a port of.
func addrsOf(h *snap.Netns, l *snap.Link) []snap.Addr {
	out := h.AddrsOf(l.Index)
	if l.Master != 0 {
		out = append(slices.Clone(out), h.AddrsOf(l.Master)...)
	}
	return snap.Without(slices.Clone(out), func(a snap.Addr) bool {
		return !a.Prefix.Addr().IsGlobalUnicast() && !a.Prefix.Addr().IsPrivate()
	})
}

// place puts an uplink on the segment whose subnet it has an address in, else on
// one of its own. A bond's members are reached through it.
func (u *underlay) place(up uplink) {
	if m := up.host.LinkAt(up.dev.Master); m != nil && (m.Kind == "bond" || m.Kind == "team") {
		return
	}
	if len(up.addrs) == 0 {
		return // nobody could speak to it
	}
	var nets []netip.Prefix
	for _, a := range up.addrs {
		nets = append(nets, a.Prefix.Masked())
	}
	for i := range u.segments {
		s := &u.segments[i]
		if slices.ContainsFunc(nets, func(p netip.Prefix) bool { return slices.Contains(s.prefixes, p) }) {
			s.ups = append(s.ups, up)
			for _, p := range nets {
				if !slices.Contains(s.prefixes, p) {
					s.prefixes = append(s.prefixes, p)
				}
			}
			return
		}
	}
	u.segments = append(u.segments, segment{nets, []uplink{up}})
}

// link adds a device that is up and carries everything.
func (u *underlay) link(l snap.Link) int {
	l.Index, l.MTU, l.Up, l.LowerUp, l.Running, l.OperState = len(u.n.Links)+1, anySize, true, true, true, "up"
	// Locally administered; no engine gives these out.
	l.MAC = fmt.Sprintf("06:6e:64:00:%02x:%02x", l.Index>>8, l.Index&0xff)
	u.n.Links = append(u.n.Links, l)
	return l.Index
}

// wire makes a switch of a segment, which holds the addresses of the routers that
// the hosts' routes lead to.
func (u *underlay) wire(i int) {
	seg := &u.segments[i]
	sw := u.link(snap.Link{Name: fmt.Sprintf("switch%d", i+1), Kind: "bridge", Broadcast: true, PeerNSID: -1, Bridge: &snap.Bridge{AgeingMs: 300000, ForwardDelayMs: 15000, DefaultPVID: 1}})
	port := func(l snap.Link) int {
		l.Master, l.Broadcast, l.PeerNSID = sw, true, -1
		l.Port = &snap.BridgePort{State: snap.PortForwarding, Learning: true, Flood: true, McastFlood: true, BcastFlood: true}
		return u.link(l)
	}
	// Others may be there, too: an address that no host holds may be theirs.
	port(snap.Link{Name: fmt.Sprintf("others%d", i+1)})
	for _, up := range seg.ups {
		port := port(snap.Link{Name: fmt.Sprintf("port%d", len(u.n.Links)+1), Kind: "veth", Peer: up.dev.Index, PeerNetns: up.host.ID})
		up.dev.Kind, up.dev.Peer, up.dev.PeerNetns, up.dev.PeerNSID = "veth", port, Between, -1
	}
	for _, gw := range u.routers(seg) {
		u.address(sw, gw)
	}
}

// routers are the gateways of routes out of a segment that no host holds, each
// with the subnet it is in.
func (u *underlay) routers(seg *segment) []netip.Prefix {
	var out []netip.Prefix
	for _, up := range seg.ups {
		for _, r := range up.host.Routes {
			l := up.host.LinkAt(r.Oif)
			if !r.Gateway.IsValid() || l == nil || l.Index != up.dev.Index && l.Index != up.dev.Master || u.held(r.Gateway) {
				continue
			}
			for _, p := range seg.prefixes {
				if gw := netip.PrefixFrom(r.Gateway, p.Bits()); p.Contains(r.Gateway) && !slices.Contains(out, gw) {
					out = append(out, gw)
				}
			}
			// Whom the host remembers there is the real one, which is not in here.
			up.host.Neighs = snap.Without(up.host.Neighs, func(e snap.Neigh) bool { return e.Index == l.Index && e.IP == r.Gateway && e.State != "permanent" })
		}
	}
	return out
}

func (u *underlay) held(a netip.Addr) bool {
	return slices.ContainsFunc(u.hosts, func(h *snap.Netns) bool { _, ok := h.HasAddr(a); return ok })
}

// address gives a device an address with its routes.
func (u *underlay) address(index int, p netip.Prefix) {
	f := snap.FamilyOf(p.Addr())
	u.n.Addrs = append(u.n.Addrs, snap.Addr{Index: index, Prefix: p, Scope: "global", Flags: []string{"permanent"}, ValidMs: -1, PreferredMs: -1})
	u.n.Routes = append(
		u.n.Routes,
		snap.Route{Family: f, Table: snap.TableMain, Type: "unicast", Dst: p.Masked(), Scope: "link", Protocol: "kernel", PrefSrc: p.Addr(), Oif: index},
		snap.Route{Family: f, Table: snap.TableLocal, Type: "local", Dst: netip.PrefixFrom(p.Addr(), p.Addr().BitLen()), Scope: "host", Protocol: "kernel", PrefSrc: p.Addr(), Oif: index},
	)
}
