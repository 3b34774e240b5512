package driver

import (
	"net/netip"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Up are the operations that make a network.
func Up(e *Env, n *Network) []fixups.Op {
	switch n.Net.Driver {
	case "bridge":
		return append(n.bridge(e), append(n.rules(e, false), n.rules(e, true)...)...)
	case "macvlan", "ipvlan":
		return n.parent(e)
	case "overlay":
		return n.overlay(e)
	}
	return nil
}

// bridge makes the bridge with its addresses. An internal one has them, too: the
// host's own services stay in reach; one of mode "isolated" has none.
func (n *Network) bridge(e *Env) []fixups.Op {
	br := n.Net.Bridge
	ops := []fixups.Op{&fixups.LinkAdd{
		Where: e.Host, Up: true,
		Link: snap.Link{Name: br, Kind: "bridge", MAC: n.MAC, MTU: n.Net.MTU, Alias: e.Mark(), Group: Group},
	}}
	ops = append(ops, &fixups.SysctlSet{Where: e.Host, Key: "net/ipv6/conf/" + br + "/accept_ra", Value: "0"})
	v6 := "1"
	if n.Pool(true).Subnet.IsValid() && n.mode(true) != "isolated" {
		v6 = "0"
	}
	ops = append(ops, &fixups.SysctlSet{Where: e.Host, Key: "net/ipv6/conf/" + br + "/disable_ipv6", Value: v6})
	if !e.Proxy {
		ops = append(ops, &fixups.SysctlSet{Where: e.Host, Key: "net/ipv4/conf/" + br + "/route_localnet", Value: "1"})
	}
	for _, six := range []bool{false, true} {
		p := n.Pool(six)
		if p.Gateway.IsValid() && n.mode(six) != "isolated" {
			ops = append(ops, addr(e.Host, br, netip.PrefixFrom(p.Gateway, p.Subnet.Bits())))
		}
	}
	return ops
}

// addr adds an address; IPv6's need no test for duplicates, as they were given
// out here.
func addr(w fixups.Where, dev string, p netip.Prefix) fixups.Op {
	a := snap.Addr{Prefix: p, Scope: "global"}
	switch {
	case p.Addr().Is6():
		a.Flags = []string{"nodad"}
	case p.Bits() <= 30:
		a.Bcast = snap.LastAddr(p)
	}
	return &fixups.AddrAdd{Where: w, Dev: dev, Addr: a}
}

// parent makes what a macvlan or ipvlan sits on where it is not there: a VLAN
// of a device, named PARENT.VID, or a dummy where no device is named.
func (n *Network) parent(e *Env) []fixups.Op {
	link := snap.Link{Name: n.Net.Parent, Alias: e.Mark(), Group: Group}
	if strings.HasPrefix(n.Net.Parent, "dm-") {
		link.Kind = "dummy"
		return []fixups.Op{&fixups.LinkAdd{Where: e.Host, Up: true, Link: link}}
	}
	if vid, ok := n.Net.Options["netdoctor.vid"]; ok {
		link.Kind = "vlan"
		id := 0
		for _, c := range vid {
			id = id*10 + int(c-'0')
		}
		lower, _, _ := strings.Cut(n.Net.Parent, ".")
		link.Vlan = &snap.Vlan{ID: id}
		return []fixups.Op{&fixups.LinkAdd{Where: e.Host, Up: true, Link: link, Lower: lower}}
	}
	return nil
}

// OverlayNetns is the namespace of an overlay network (moby
// drivers/overlay/ov_network.go: "1-" and 10 digits of its id).
func (e *Env) OverlayNetns(n *Network) fixups.Where {
	name := "1-" + n.Net.ID[:10]
	if w, ok := e.places[e.NetnsPath(name)]; ok {
		return w
	}
	return fixups.Where{ID: name, Path: e.NetnsPath(name)}
}

// overlay makes a bridge and a VXLAN device in a namespace of their own; the
// device's packets leave through the host's, where it was made.
func (n *Network) overlay(e *Env) []fixups.Op {
	w := e.OverlayNetns(n)
	host := e.Host
	p := n.Pool(false)
	ops := []fixups.Op{
		&fixups.SandboxAdd{Where: w},
		&fixups.LinkSet{Where: w, Name: "lo", Up: true},
		&fixups.LinkAdd{Where: w, Up: true, Link: snap.Link{Name: "br0", Kind: "bridge", MTU: n.Net.MTU}},
		&fixups.LinkAdd{Where: w, LowerIn: &host, Up: true, Link: snap.Link{
			Name: "vxlan0", Kind: "vxlan", MTU: n.Net.MTU,
			Vxlan: &snap.Vxlan{VNI: n.Net.VNI, Port: 4789, Local: n.Local, Learning: true, Proxy: true, L2Miss: true, L3Miss: true},
		}, Master: "br0"},
		addr(w, "br0", netip.PrefixFrom(p.Gateway, p.Subnet.Bits())),
	}
	var list []netip.Addr
	for ip := range n.Peers {
		list = append(list, ip)
	}
	snap.Sort(list, netip.Addr.Compare)
	for _, ip := range list { // both halves (moby drivers/overlay/peerdb.go: addNeighbor)
		mac := MACOf(ip)
		ops = append(ops,
			&fixups.NeighSet{Where: w, Dev: "vxlan0", Neigh: snap.Neigh{IP: ip, MAC: mac, State: "permanent"}},
			&fixups.FDBSet{Where: w, Dev: "vxlan0", Entry: snap.FDBEntry{MAC: mac, Dst: n.Peers[ip], Self: true, State: "permanent"}})
	}
	return ops
}
