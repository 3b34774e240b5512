package checks

import (
	"fmt"
	"net/netip"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2121: the host holds an address that an engine gave to a container.
//
// What the host sends or forwards to an address of its own never reaches the bridge:
// the local routing table is asked first. The container's own packets are refused as
// well, because they come in with a source that is the host's. A left-over test
// address, a VPN, or a load balancer's virtual address brings it about; so does a
// route of type local (AnyIP, for a transparent proxy) that covers the address.
//
// See it by hand:
//
//	ip -4 addr show to ADDRESS               a device of the host has it
//	ip route get ADDRESS                     local ADDRESS dev lo
//	ip route show table local
//
// Sources: net/ipv4/fib_frontend.c: __fib_validate_source, fib_add_ifaddr
func nd2121() diag.Check {
	return diag.Check{
		Code: "ND2121", Name: "host-has-containers-address", Severity: diag.Error, Since: "0.1",
		Title: "The host itself has the address of one of its containers",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, s := range stolenByHost(in) {
				ip := s.addr.Prefix.Addr()
				f := diag.Finding{
					Summary: fmt.Sprintf("this host has %s, the address of %s on network %s, on its own %s: nothing for %s reaches it through this host", ip, s.a.c.Name, s.a.n.Name, s.dev.Name, s.a.c.Name),
					Cause:   fmt.Sprintf("%s is an address of %s, so the host keeps packets for it, and refuses those that come from it", ip, s.dev.Name),
					Subject: diag.Subject{Kind: "address", Name: ip.String(), Netns: in.Snap.Host.Netns},
					Evidence: []diag.Evidence{
						ev(ipIn(in, in.Snap.Host.Netns, "addr show dev "+s.dev.Name), addrList(in.Snap.HostNs(), s.dev), s.ref),
						ev(diag.InspectCommand(s.a.c), fmt.Sprintf("%s on network %s", ip, s.a.n.Name), snap.RefContainer(s.a.c.Ref)),
					},
					Weight: 88,
				}
				if s.route != nil {
					line, source := routeLine(in, in.Snap.Host.Netns, s.ref)
					f.Summary = fmt.Sprintf("%q makes this host keep what is for %s (%s on network %s)", line, s.a.c.Name, ip, s.a.n.Name)
					f.Cause = fmt.Sprintf("the route of type local to %s makes all those addresses the host's own", s.route.Dst)
					f.Subject = diag.Subject{Kind: "route", Name: string(s.ref), Netns: in.Snap.Host.Netns}
					f.Evidence[0] = ev(source, line, s.ref)
				}
				for i := range in.Flows {
					if fl := &in.Flows[i]; fl.Broken() && !fl.Excused && (fl.Flow.From == s.a.ns.ID || fl.Target == s.a.c.Ref || fl.Flow.Dst == ip) {
						f.Covers.Traces = append(f.Covers.Traces, i)
					}
				}
				f.Covers.Names = coverNames(in, func(n *diag.NameCase) bool { return upstreamCut(n) && n.Ask.Netns == s.a.ns.ID })
				if k := sameSubject(out, f.Subject); k >= 0 { // one route, several containers
					out[k].Covers.Traces = mergeInts(out[k].Covers.Traces, f.Covers.Traces)
					out[k].Covers.Names = mergeInts(out[k].Covers.Names, f.Covers.Names)
					continue
				}
				out = append(out, f)
			}
			return out
		},
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			var ops []fixups.Op
			for _, s := range stolenByHost(in) {
				if s.route != nil && string(s.ref) == f.Subject.Name {
					return []fixups.Op{fixups.NewRouteDel(in.Snap, in.Snap.Host.Netns, *s.route)}
				}
				if s.route == nil && s.addr.Prefix.Addr().String() == f.Subject.Name {
					ops = append(ops, &fixups.AddrDel{Where: at(in, in.Snap.Host.Netns), Dev: s.dev.Name, Prefix: s.addr.Prefix, Peer: s.addr.Peer})
				}
			}
			return ops
		},
	}
}

// stolen is a container's address on a device of the host, or in a route by hand that
// makes it the host's.
type stolen struct {
	a     attachment
	dev   *snap.Link
	addr  snap.Addr
	ref   snap.Ref
	route *snap.Route // nil: it is on the device
}

func stolenByHost(in *diag.Input) []stolen {
	host := in.Snap.HostNs()
	var out []stolen
	for _, a := range attachments(in) {
		for k, x := range host.Addrs {
			if ip := x.Prefix.Addr(); ip != a.e.IPv4.Addr() && ip != a.e.IPv6.Addr() {
				continue
			}
			if dev := host.LinkAt(x.Index); dev != nil {
				out = append(out, stolen{a, dev, x, snap.RefItem(host.ID, "addr", k), nil})
			}
		}
		for k := range host.Routes {
			r := &host.Routes[k]
			if dev := host.LinkAt(r.Oif); dev != nil && r.Type == "local" && r.Protocol != "kernel" && r.Table == snap.TableLocal && r.Dst.IsValid() && r.Dst.Contains(a.e.IPv4.Addr()) {
				x := snap.Addr{Prefix: netip.PrefixFrom(a.e.IPv4.Addr(), 32)}
				out = append(out, stolen{a, dev, x, snap.RefItem(host.ID, "route", k), r})
			}
		}
	}
	return out
}
