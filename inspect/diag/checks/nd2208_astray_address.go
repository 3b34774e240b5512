package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2208: an address brings a route that takes packets off their way.
//
// With an address the kernel adds two routes: one to itself for the address, one to
// the device for its subnet. Both win over the default route. A test address left on
// lo or on a bridge, a copied configuration, or a wrong prefix length makes a machine
// outside, or a whole network of them, be looked for on this device. That address is
// named without which the packet would arrive by what is left.
//
// See it by hand:
//
//	ip route get DST                         local, or by which device
//	ip addr show to SUBNET                   who brings that route
//
// Sources: net/ipv4/fib_frontend.c: fib_add_ifaddr
func nd2208() diag.Check {
	return diag.Check{
		Code: "ND2208", Name: "astray-address", Severity: diag.Error, Since: "0.1",
		Title:  "An address that somebody added takes packets off their way",
		After:  []diag.Code{"ND3205", "ND2121", "ND2108", "ND2106"},
		Detect: detectND2208,
		Fix:    fixND2208,
	}
}

func detectND2208(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, b := range without(in, foreignAddrs(in)) {
		ns := in.Netns(b.ref.Netns())
		v, err := in.Snap.At(b.ref)
		a, ok := v.(*snap.Addr)
		if err != nil || !ok || ns == nil {
			continue
		}
		dev := ns.LinkAt(a.Index)
		out = append(out, diag.Finding{
			Summary:  fmt.Sprintf("%s on %s of %s takes %s → %s off its way: %s is looked for there", a.Prefix, dev.Name, in.Who(ns.ID), b.flow.From, b.flow.To, a.Prefix.Masked()),
			Cause:    fmt.Sprintf("the routes that come with the address win over the one that leads to %s", b.flow.To),
			Subject:  diag.Subject{Kind: "address", Name: a.Prefix.String(), Netns: ns.ID},
			Evidence: []diag.Evidence{ev(ipIn(in, ns.ID, "addr show dev "+dev.Name), addrList(ns, dev), b.ref)},
			Covers:   b.covers,
			Advice:   "find out who added it: it comes back with that program or script",
			Weight:   73,
		})
	}
	return out
}

// foreignAddrs are the addresses behind the kernel's own routes that a flow met,
// those apart that engines gave out.
func foreignAddrs(in *diag.Input) func(*diag.FlowCase) []suspect {
	return func(f *diag.FlowCase) []suspect {
		var out []suspect
		if in.TwinSays(f) == "delivered" { // whoever is meant is found by that address's route
			return nil
		}
		for _, ref := range met(f.Trace) {
			ns := in.Netns(ref.Netns())
			v, err := in.Snap.At(ref)
			r, ok := v.(*snap.Route)
			if err != nil || !ok || ns == nil || !ns.Class.Ours() || r.Protocol != "kernel" {
				continue
			}
			if n := knownAt(ns, f.Flow.Dst); n != nil && n.Index == r.Oif || ruledThere(in, f, r.Dst) {
				continue // who is meant is there
			}
			for k := range ns.Addrs {
				a := &ns.Addrs[k]
				dev := ns.LinkAt(a.Index)
				if dev == nil || a.Index != r.Oif || a.Prefix.Addr().IsLoopback() || a.Prefix.Masked() != r.Dst && netip.PrefixFrom(a.Prefix.Addr(), a.Prefix.Addr().BitLen()) != r.Dst || givenOut(in, ns, a.Prefix.Addr()) || engineChose(in, ns, k) || uplink(in, ns, dev) {
					continue
				}
				out = append(out, suspect{snap.RefItem(ns.ID, "addr", k), []fixups.Op{&fixups.AddrDel{Where: at(in, ns.ID), Dev: dev.Name, Prefix: a.Prefix, Peer: a.Peer}}})
			}
		}
		return out
	}
}

// ruledThere says whether a flow is stopped in a chain that lets others of that network pass:
// whoever wrote it knows the network by that device.
func ruledThere(in *diag.Input, f *diag.FlowCase, p netip.Prefix) bool {
	w := diag.RulePlace(f.Trace.Where)
	if w == nil || w.Rule == nil || w.Rule.ChainP == nil || in.Netns(w.Netns) == nil {
		return false
	}
	for i := range w.Rule.ChainP.Rules {
		if slices.Contains(strings.Fields(firewall.RuleText(in.Netns(w.Netns), w.Rule.TableP, w.Rule.ChainP, &w.Rule.ChainP.Rules[i])), p.String()) {
			return true
		}
	}
	return false
}

// uplink says whether a device is how the host reaches the world: without its
// address nothing of what was there before would be left to try.
func uplink(in *diag.Input, ns *snap.Netns, dev *snap.Link) bool {
	return ns.ID == in.Snap.Host.Netns && slices.Contains(diag.Uplinks(in.Snap), dev)
}

// givenOut says whether an engine gave an address to that namespace: a gateway's
// to the host, a container's to it.
func givenOut(in *diag.Input, ns *snap.Netns, ip netip.Addr) bool {
	if dev, _ := ns.HasAddr(ip); dev != nil && dev.Reader.UserNAT() { // by that program
		return true
	}
	if home(in, ns) {
		return slices.ContainsFunc(in.Snap.Networks, func(n snap.Network) bool {
			return slices.ContainsFunc(n.Pools, func(p snap.Pool) bool { return p.Gateway == ip })
		}) || slices.ContainsFunc(in.Snap.Containers, func(c snap.Container) bool { // of a network whose own file was not found
			return slices.ContainsFunc(c.Endpoints, func(e snap.Endpoint) bool { return e.Gateway4 == ip || e.Gateway6 == ip })
		})
	}
	return slices.ContainsFunc(in.Snap.Containers, func(c snap.Container) bool {
		return c.Netns == ns.ID && slices.ContainsFunc(c.Endpoints, func(e snap.Endpoint) bool { return e.IPv4.Addr() == ip || e.IPv6.Addr() == ip })
	})
}

// home says whether a namespace has the bridges of an engine: the host's, or that of a
// user's own dockerd.
func home(in *diag.Input, ns *snap.Netns) bool {
	return ns.ID == in.Snap.Host.Netns || slices.ContainsFunc(in.Snap.Engines, func(e snap.Engine) bool { return in.Snap.Home(&e) == ns })
}

// engineChose says whether an address on a bridge is the gateway that an engine chose
// itself: a network made with --subnet alone names none while nobody is on it (moby
// daemon/libnetwork/network.go: ipamAllocateVersion), and the first of its subnet is that.
func engineChose(in *diag.Input, ns *snap.Netns, k int) bool {
	a := &ns.Addrs[k]
	n := in.Graph.NetworkOfBridge(ns.LinkName(a.Index))
	if n == nil || ns.ID != in.Snap.Host.Netns {
		return false
	}
	first := slices.IndexFunc(ns.Addrs, func(b snap.Addr) bool { return b.Index == a.Index && b.Prefix.Masked() == a.Prefix.Masked() })
	return first == k && slices.ContainsFunc(n.Pools, func(p snap.Pool) bool { return !p.Gateway.IsValid() && p.Subnet.Masked() == a.Prefix.Masked() })
}

// toContainer says whether a device is this host's end of a container's veth.
func toContainer(in *diag.Input, l *snap.Link) bool {
	p, ok := in.Graph.Peer(l)
	return ok && l.Kind == "veth" && p.Netns.Class == snap.ClassContainer
}

// fixND2208 takes the address away where no machine could be meant by it: from lo,
// from the bridge of a container network or a port of it, and inside containers. An uplink's is
// left to advice.
func fixND2208(in *diag.Input, f *diag.Finding) []fixups.Op {
	ns := in.Netns(f.Subject.Netns)
	for i := range ns.Addrs {
		a := &ns.Addrs[i]
		dev := ns.LinkAt(a.Index)
		if a.Prefix.String() != f.Subject.Name || dev == nil {
			continue
		}
		if ns.ID == in.Snap.Host.Netns && !dev.Loopback && in.Graph.NetworkOfBridge(dev.Name) == nil && !(dev.Master != 0 && toContainer(in, dev)) {
			return nil
		}
		return []fixups.Op{&fixups.AddrDel{Where: at(in, ns.ID), Dev: dev.Name, Prefix: a.Prefix, Peer: a.Peer}}
	}
	return nil
}
