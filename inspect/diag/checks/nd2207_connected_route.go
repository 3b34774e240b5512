package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2207: a device has an address, and the route to its subnet is gone.
//
// When a device gets an address, the kernel makes two routes: one to its subnet
// (proto kernel, scope link) in the table main, and one of type local for the address
// itself in the table local. Deleted by hand or by a program that replaces whole
// tables, they stay gone until the address is set anew. Without the first, neighbours
// on that wire are looked for by the default route, or nowhere: a host loses its
// containers that way, a container its network. Without the second the address is
// there and nobody answers for it.
//
// See it by hand:
//
//	ip addr show dev DEVICE                  the address is there
//	ip route show dev DEVICE                 its subnet is not
//	ip route show table local dev DEVICE     or its own address is not
//
// Sources: net/ipv4/fib_frontend.c: fib_add_ifaddr
func nd2207() diag.Check {
	return diag.Check{
		Code: "ND2207", Name: "connected-route-missing", Severity: diag.Error, Since: "0.1",
		Title:  "A route that belongs to a device's own address is gone",
		After:  []diag.Code{"ND2206"},
		Detect: detectND2207,
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			for _, x := range disconnected(in) {
				if x.ns.ID == f.Subject.Netns && x.name() == f.Subject.Name {
					return x.ops(in)
				}
			}
			return nil
		},
	}
}

// unconnected is an address without one of its routes.
type unconnected struct {
	ns    *snap.Netns
	link  *snap.Link
	addr  *snap.Addr
	local bool // the one for the address itself
}

// dst is where the route leads.
func (x *unconnected) dst() netip.Prefix {
	if x.local {
		return netip.PrefixFrom(x.addr.Prefix.Addr(), 32)
	}
	return x.addr.Prefix.Masked()
}

func (x *unconnected) name() string { return x.link.Name + " " + x.dst().String() }

// ops make the route as the kernel does.
func (x *unconnected) ops(in *diag.Input) []fixups.Op {
	r := snap.Route{
		Family: snap.IPv4, Table: snap.TableMain, Type: "unicast", Dst: x.dst(), Scope: "link", Protocol: "kernel", PrefSrc: x.addr.Prefix.Addr(), Oif: x.link.Index,
	}
	if x.local {
		r.Table, r.Type, r.Scope = snap.TableLocal, "local", "host"
	}
	return []fixups.Op{&fixups.RouteAdd{Where: at(in, x.ns.ID), Devs: []string{x.link.Name}, Route: r}}
}

// disconnected are the IPv4 addresses on devices that are up, whose subnets no
// route of the main table leads to by that device, and that did not ask for none
// (noprefixroute). Devices of a VRF have theirs in its table.
func disconnected(in *diag.Input) []unconnected {
	var out []unconnected
	for i := range in.Snap.Netns {
		ns := &in.Snap.Netns[i]
		if !ns.Class.Ours() || ns.Light {
			continue
		}
		for j := range ns.Addrs {
			a := &ns.Addrs[j]
			l := ns.LinkAt(a.Index)
			if !a.Prefix.Addr().Is4() || l == nil || !l.Up {
				continue
			}
			if m := ns.LinkAt(l.Master); m != nil && m.VRF != nil {
				continue
			}
			if !slices.ContainsFunc(ns.Routes, func(r snap.Route) bool {
				return r.Family == snap.IPv4 && r.Type == "local" && r.Table == snap.TableLocal && r.Dst.Contains(a.Prefix.Addr())
			}) {
				out = append(out, unconnected{ns, l, a, true})
			}
			if a.Prefix.Bits() > 31 || a.Peer.IsValid() || l.Loopback || slices.Contains(a.Flags, "noprefixroute") || slices.Contains(a.Flags, "secondary") {
				continue
			}
			if !slices.ContainsFunc(ns.Routes, func(r snap.Route) bool {
				return r.Family == snap.IPv4 && r.Oif == l.Index && r.Table == snap.TableMain && r.Dst.Bits() <= a.Prefix.Bits() && r.Dst.Bits() > 0 && r.Dst.Contains(a.Prefix.Addr())
			}) {
				out = append(out, unconnected{ns, l, a, false})
			}
		}
	}
	return out
}

func detectND2207(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, x := range disconnected(in) {
		c := mends(in, x.ops(in))
		if len(c.Traces)+len(c.Names) == 0 {
			continue // nobody needs it
		}
		f := diag.Finding{
			Summary:  fmt.Sprintf("%s has %s on %s, but no route to %s: who is on that wire is looked for elsewhere", in.Who(x.ns.ID), x.addr.Prefix, x.link.Name, x.dst()),
			Cause:    fmt.Sprintf("the kernel's route %s dev %s was deleted, or replaced", x.dst(), x.link.Name),
			Subject:  diag.Subject{Kind: "route", Name: x.name(), Netns: x.ns.ID},
			Evidence: []diag.Evidence{ev(ipIn(in, x.ns.ID, "route show dev "+x.link.Name), fmt.Sprintf("(no route to %s)", x.dst()), snap.RefLink(x.ns.ID, x.link.Name))},
			Covers:   c,
			Weight:   90,
		}
		if x.local {
			f.Summary = fmt.Sprintf("%s has %s on %s, but no local route for it: it does not take what is sent to its own address", in.Who(x.ns.ID), x.addr.Prefix, x.link.Name)
			f.Cause = fmt.Sprintf("the kernel's route local %s dev %s was deleted from the table local", x.dst().Addr(), x.link.Name)
			f.Evidence[0] = ev(ipIn(in, x.ns.ID, "route show table local dev "+x.link.Name), fmt.Sprintf("(no local %s)", x.dst().Addr()), snap.RefLink(x.ns.ID, x.link.Name))
		}
		out = append(out, f)
	}
	return out
}
