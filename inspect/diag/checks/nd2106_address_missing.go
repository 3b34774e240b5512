package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2106: a container lacks the address that its engine gave it.
//
// The engine gave the container an address and tells it to everybody (DNS, published
// ports), but no device in the container holds it: a DHCP client or network manager
// inside flushed it, disable_ipv6 was switched on, or the device's MTU set below 1280,
// both of which delete IPv6 addresses. One that stands on lo instead is the container's
// still, and makes no route to its network.
// With the address its routes are gone, too. With a wrong prefix length the address is
// there, and the route to its own network is not, or leads too far.
//
// See it by hand:
//
//	docker inspect -f '{{json .NetworkSettings.Networks}}' NAME
//	nsenter -t PID -n ip addr
//
// Sources: moby libnetwork/osl/interface_linux.go; net/ipv6/addrconf.c: addrconf_ifdown; moby#23407
func nd2106() diag.Check {
	return diag.Check{
		Code: "ND2106", Name: "container-address-missing", Severity: diag.Error, Since: "0.1",
		Title:  "A container has lost the address that its engine gave it",
		After:  []diag.Code{"ND1103"},
		Detect: detectND2106,
		Fix:    fixND2106,
	}
}

// lost is an address that a container should have and has not.
type lost struct {
	a      attachment
	dev    *snap.Link
	prefix netip.Prefix
	// has is the same address with another prefix length, which the device
	// holds instead; nil none.
	has  *snap.Addr
	onLo *snap.Addr // the same address, where lo alone holds it; nil it does not
}

// lostAddrs are those of all running containers on networks of every driver
// that puts a device into the container.
func lostAddrs(in *diag.Input) []lost {
	var out []lost
	for i := range in.Snap.Containers {
		c := &in.Snap.Containers[i]
		ns := in.Snap.Ns(c.Netns)
		if !c.Running() || ns == nil || ns.Light || c.Netns == in.Snap.Host.Netns || in.Snap.Container(ownerOf(ns)) != c {
			continue
		}
		for j := range c.Endpoints {
			e := &c.Endpoints[j]
			n := in.Snap.NetworkOf(c.Engine, e)
			if n == nil {
				continue
			}
			dev := deviceOf(ns, c, e)
			if dev == nil {
				continue
			}
			for _, p := range []netip.Prefix{e.IPv4, e.IPv6} {
				if !p.IsValid() {
					continue
				}
				x := lost{a: attachment{c: c, e: e, n: n, ns: ns, link: dev}, dev: dev, prefix: p}
				if _, ok := ns.HasAddr(p.Addr()); !ok {
					out = append(out, x)
				} else if x.onLo = onLo(ns, p.Addr()); x.onLo != nil {
					out = append(out, x)
				} else if x.has = narrowed(ns, dev, n, p); x.has != nil {
					out = append(out, x)
				}
			}
		}
	}
	return out
}

// onLo is an address where no device but lo holds it; nil when one does. A bridge of
// the container's own may have it instead of its port.
func onLo(ns *snap.Netns, ip netip.Addr) *snap.Addr {
	if ns.Holder(ip) != nil {
		return nil
	}
	i := slices.IndexFunc(ns.Addrs, func(a snap.Addr) bool { return a.Prefix.Addr() == ip && ns.LinkAt(a.Index) != nil })
	if i < 0 {
		return nil
	}
	return &ns.Addrs[i]
}

// wentDown says that the address is gone because its device was set down: IPv6's go
// then, and don't come back (net/ipv6/addrconf.c: addrconf_ifdown).
func (x *lost) wentDown() bool { return x.prefix.Addr().Is6() && !x.dev.Up }

// mistaken says whether the container tries an address right now that it takes for a
// neighbour for no other reason than its own prefix length.
func (x *lost) mistaken(f *diag.FlowCase) bool {
	return x.has != nil && f.Kind == "tried" && f.Flow.From == x.a.ns.ID && f.Trace.Where != nil && f.Trace.Where.Cause == sim.CauseNeighFailed &&
		x.has.Prefix.Contains(f.Flow.Dst) && !x.prefix.Contains(f.Flow.Dst)
}

// narrowed is the address of an endpoint where its device holds it with another
// prefix length than its network's; nil when it is as it should be.
func narrowed(ns *snap.Netns, dev *snap.Link, n *snap.Network, p netip.Prefix) *snap.Addr {
	if !slices.ContainsFunc(n.Pools, func(x snap.Pool) bool { return x.Subnet.Bits() == p.Bits() && x.Subnet.Contains(p.Addr()) }) {
		return nil
	}
	var out *snap.Addr
	for i := range ns.Addrs {
		a := &ns.Addrs[i]
		if a.Prefix.Addr() != p.Addr() || a.Index != dev.Index {
			continue
		}
		if a.Prefix.Bits() == p.Bits() {
			return nil
		}
		out = a
	}
	return out
}

// deviceOf is the device of an endpoint, told by what does not go with an
// address: what the engine says, the other family's address, the MAC, or that
// there is only one.
func deviceOf(ns *snap.Netns, c *snap.Container, e *snap.Endpoint) *snap.Link {
	if l := inside(ns, c, e); l != nil {
		return l
	}
	var only *snap.Link
	for i := range ns.Links {
		l := &ns.Links[i]
		switch {
		case l.Loopback || l.Kind == "sit" || l.Kind == "ipip" || l.Kind == "tunl0" || l.Kind == "":
		case only != nil:
			return nil
		default:
			only = l
		}
	}
	if len(c.Endpoints) != 1 {
		return nil
	}
	return only
}

func detectND2106(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, x := range lostAddrs(in) {
		if x.wentDown() {
			continue // ND1103 tells of it, and gives it back
		}
		f := diag.Finding{
			Summary: fmt.Sprintf("%s has lost its address %s on network %s: %s has no such address", x.a.c.Name, x.prefix.Addr(), x.a.n.Name, x.dev.Name),
			Cause:   fmt.Sprintf("%s gave %s the address %s, and no device in its namespace holds it", x.a.c.Engine, x.a.c.Name, x.prefix),
			Subject: diag.Subject{Kind: "address", Name: x.prefix.Addr().String(), Netns: x.a.ns.ID},
			Evidence: []diag.Evidence{
				ev(diag.InspectCommand(x.a.c), fmt.Sprintf("%s on network %s", x.prefix, x.a.n.Name), snap.RefContainer(x.a.c.Ref)),
				ev(ipIn(in, x.a.ns.ID, "addr show dev "+x.dev.Name), addrList(x.a.ns, x.dev), snap.RefLink(x.a.ns.ID, x.dev.Name)),
			},
			Weight: 89,
		}
		if x.onLo != nil {
			f.Summary = fmt.Sprintf("%s has its address %s on lo, not on %s, where %s put it: no route leads to network %s", x.a.c.Name, x.prefix.Addr(), x.dev.Name, x.a.c.Engine, x.a.n.Name)
			f.Cause = "an address makes the connected route of the device that it is on, and lo has none"
			f.Evidence = append(f.Evidence, ev(ipIn(in, x.a.ns.ID, "addr show dev lo"), x.onLo.Prefix.String(), snap.RefLink(x.a.ns.ID, "lo")))
		} else if x.has != nil {
			f.Summary = fmt.Sprintf("%s has %s on %s, where %s gave it %s: what it takes for its own network is not network %s", x.a.c.Name, x.has.Prefix, x.dev.Name, x.a.c.Engine, x.prefix, x.a.n.Name)
			f.Cause = fmt.Sprintf("the prefix length makes the connected route, and that is for %s instead of %s", x.has.Prefix.Masked(), x.prefix.Masked())
			f.Severity = diag.Warning
		} else if x.prefix.Addr().Is6() {
			if x.dev.MTU < minMTU6 {
				f.Summary = fmt.Sprintf("%s of %s has MTU %d: below %d there is no IPv6, and its address %s on network %s is gone", x.dev.Name, x.a.c.Name, x.dev.MTU, minMTU6, x.prefix.Addr(), x.a.n.Name)
				f.Cause = fmt.Sprintf("the kernel takes IPv6 off a device whose MTU goes below %d, with all addresses and routes, and does not put them back", minMTU6)
			} else if key := ipv6Off(x.a.ns, x.dev.Name); key != "" {
				f.Summary = fmt.Sprintf("IPv6 is off in %s (%s=1): its address %s on network %s is gone", x.a.c.Name, fixups.SysctlName(key), x.prefix.Addr(), x.a.n.Name)
				f.Cause = fixups.SysctlName(key) + " was set to 1, which deletes the device's IPv6 addresses and routes"
				f.Evidence = append(f.Evidence, ev(in.IPCommand(x.a.ns.ID, "sysctl "+fixups.SysctlName(key)), fixups.SysctlName(key)+" = 1", snap.RefSysctl(x.a.ns.ID, key)))
			}
		}
		for i := range in.Flows {
			fl := &in.Flows[i]
			if fl.Broken() && (!fl.Excused || x.mistaken(fl)) && (fl.Flow.From == x.a.ns.ID || fl.Target == x.a.c.Ref || fl.Flow.Dst == x.prefix.Addr()) && fl.Flow.Dst.Is4() == x.prefix.Addr().Is4() {
				f.Covers.Traces = append(f.Covers.Traces, i)
				if x.mistaken(fl) {
					f.Evidence = append(f.Evidence, diag.Tried(fl))
				}
			}
		}
		if len(f.Covers.Traces) == 0 {
			f.Severity = diag.Warning // nobody needs it now; its name and its ports lead there
		}
		out = append(out, f)
	}
	return out
}

// ipv6Off is the sysctl that keeps a device from having IPv6; "" none does.
func ipv6Off(ns *snap.Netns, dev string) string {
	for _, k := range []string{dev, "all"} {
		key := "net/ipv6/conf/" + k + "/disable_ipv6"
		if v, ok := ns.Sysctl(key); ok && v == "1" {
			return key
		}
	}
	return ""
}

// minMTU6 is IPV6_MIN_MTU (RFC 8200 section 5).
const minMTU6 = 1280

// wideMTU is what the network says, else what the other end of the veth has.
func wideMTU(in *diag.Input, x *lost) int {
	if x.a.n.MTU > 0 {
		return x.a.n.MTU
	}
	if p, ok := in.Graph.Peer(x.dev); ok {
		return p.Link.MTU
	}
	return 0
}

// addrList are a device's addresses in one line.
func addrList(ns *snap.Netns, l *snap.Link) string {
	text := l.Name + ":"
	for _, a := range ns.AddrsOf(l.Index) {
		text += " " + a.Prefix.String()
	}
	if text == l.Name+":" {
		text += " no address"
	}
	return text
}

// fixND2106 gives the address back as the engine set it, and the default route
// that went with it.
func fixND2106(in *diag.Input, f *diag.Finding) []fixups.Op {
	for _, x := range lostAddrs(in) {
		if x.a.ns.ID == f.Subject.Netns && x.prefix.Addr().String() == f.Subject.Name {
			return x.back(in)
		}
	}
	return nil
}

// back gives the address back.
func (x *lost) back(in *diag.Input) []fixups.Op {
	w := at(in, x.a.ns.ID)
	var ops []fixups.Op
	if x.onLo != nil {
		ops = append(ops, &fixups.AddrDel{Where: w, Dev: x.a.ns.LinkName(x.onLo.Index), Prefix: x.onLo.Prefix, Peer: x.onLo.Peer})
	}
	var wrong []fixups.Op
	if x.has != nil {
		wrong = append(wrong, &fixups.AddrDel{Where: w, Dev: x.dev.Name, Prefix: x.has.Prefix, Peer: x.has.Peer})
	}
	if x.prefix.Addr().Is6() { // one address can't be there twice (net/ipv6/addrconf.c: ipv6_add_addr)
		ops, wrong = append(ops, wrong...), nil
	}
	a := snap.Addr{Index: x.dev.Index, Prefix: x.prefix, Scope: "global", ValidMs: -1, PreferredMs: -1, Flags: []string{"permanent"}}
	if x.prefix.Addr().Is6() {
		if x.dev.MTU < minMTU6 {
			mtu := wideMTU(in, x)
			if mtu < minMTU6 {
				return nil
			}
			// A device that gets IPv6 anew begins with the namespace's default.
			ops = append(ops, &fixups.LinkMTU{Where: w, Name: x.dev.Name, MTU: mtu}, &fixups.SysctlSet{Where: w, Key: "net/ipv6/conf/" + x.dev.Name + "/disable_ipv6", Value: "0"})
		} else if key := ipv6Off(x.a.ns, x.dev.Name); key != "" {
			ops = append(ops, &fixups.SysctlSet{Where: w, Key: key, Value: "0"})
		}
		a.Flags = append(a.Flags, "nodad")
	} else {
		a.Bcast, a.Label = snap.LastAddr(x.prefix), x.dev.Name
	}
	// With its last IPv4 address a device loses all routes (net/ipv4/devinet.c,
	// fib_frontend.c: fib_disable_ip), so that the wrong one goes when the right one is there.
	ops = append(append(ops, &fixups.AddrAdd{Where: w, Dev: x.dev.Name, Addr: a}), wrong...)
	if r, ok := lostDefault(in, *x); ok && (x.dev.Up || x.wentDown()) { // else ND1103 gives it back, when the device is up
		ops = append(ops, &fixups.RouteAdd{Where: w, Route: r, Devs: []string{x.dev.Name}})
	}
	return ops
}

// lostDefault is the default route that went with an address, if the network
// is the one that should carry it and there is none.
func lostDefault(in *diag.Input, x lost) (snap.Route, bool) {
	if x.prefix.Addr().Is6() {
		if !x.a.e.Gateway6.IsValid() || hasDefault6(x.a.ns) {
			return snap.Route{}, false
		}
		return asEngine(&x.a, default6(x.dev, x.a.e.Gateway6)), true
	}
	gw := x.a.e.Gateway4
	if !gw.IsValid() || hasDefault(x.a.ns) || !x.a.n.Outward() {
		return snap.Route{}, false
	}
	if best, want := gatewayAttachment(in, x.a.c); best != nil && want != gw.String() {
		return snap.Route{}, false
	}
	r, ok := defaultVia(x.a.ns, x.dev, gw.String())
	return asEngine(&x.a, r), ok
}

func hasDefault6(ns *snap.Netns) bool {
	for _, r := range ns.Routes {
		if r.Family == snap.IPv6 && r.Dst.Bits() == 0 && r.Type == "unicast" && r.Table == snap.TableMain {
			return true
		}
	}
	return false
}

// default6 is an IPv6 default route as engines write it: metric 1024, protocol boot.
func default6(dev *snap.Link, gw netip.Addr) snap.Route {
	return snap.Route{
		Family: snap.IPv6, Table: snap.TableMain, Type: "unicast", Dst: netip.PrefixFrom(netip.IPv6Unspecified(), 0),
		Scope: "global", Protocol: "boot", Metric: 1024, Oif: dev.Index, Gateway: gw,
	}
}
