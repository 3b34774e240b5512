package checks

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// shimName is the device that fix makes for a host that is to reach its macvlan containers.
const shimName = "nd-shim"

// shim leads a flow between a host and a macvlan container of its own by a macvlan device
// of the host's on the same parent: siblings in mode bridge hear each other. It needs no
// address of its own, as the host's goes along with the route, and answers ARP for that to
// whoever it leads to alone (arp_filter): on the wire the parent goes on to answer. One
// that is there is used, or is made by the operations for another container of that parent,
// which come first. nil where that would not help.
func shim(in *diag.Input, flow int, c *snap.Container, parent string, before []fixups.Op) []fixups.Op {
	host, ns := in.Snap.HostNs(), in.Netns(c.Netns)
	up := host.Link(parent)
	if up == nil || ns == nil {
		return nil
	}
	var to, src netip.Addr
	for k := range ns.Links {
		l := &ns.Links[k]
		if l.Macvlan == nil || l.Macvlan.Mode != "bridge" || l.Peer != up.Index || l.PeerNetns != host.ID {
			continue
		}
		for _, a := range ns.AddrsOf(l.Index) {
			for _, h := range host.AddrsOf(up.Index) {
				if a.Prefix.Addr().Is4() && h.Prefix.Contains(a.Prefix.Addr()) {
					to, src = a.Prefix.Addr(), h.Prefix.Addr()
				}
			}
		}
	}
	if !to.IsValid() {
		return nil
	}
	where, name, ops := at(in, host.ID), shimName, slices.Clone(before)
	i := slices.IndexFunc(host.Links, func(l snap.Link) bool {
		return l.Macvlan != nil && l.Macvlan.Mode == "bridge" && l.Peer == up.Index && l.PeerNetns == host.ID
	})
	switch {
	case i >= 0:
		name = host.Links[i].Name
		if len(before) == 0 && !host.Links[i].Up {
			ops = append(ops, &fixups.LinkSet{Where: where, Name: name, Up: true})
		}
	case len(before) > 0:
	case host.Link(name) != nil:
		return nil
	default:
		ops = append(ops,
			&fixups.LinkAdd{Where: where, Link: snap.Link{Name: name, Kind: "macvlan", Macvlan: &snap.Macvlan{Mode: "bridge"}}, Lower: parent},
			&fixups.SysctlSet{Where: where, Key: "net/ipv4/conf/" + name + "/arp_filter", Value: "1"},
			&fixups.LinkSet{Where: where, Name: name, Up: true})
	}
	ops = append(ops, &fixups.RouteAdd{Where: where, Devs: []string{name}, Route: snap.Route{
		Family: snap.IPv4, Table: snap.TableMain, Type: "unicast", Dst: netip.PrefixFrom(to, 32), Scope: "link", Protocol: "boot", PrefSrc: src,
	}})
	if !heals(in, flow, ops) {
		return nil
	}
	return ops
}
