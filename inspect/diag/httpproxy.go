package diag

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// HTTPProxy is the kind of flows to a proxy that the sender's environment names.
const HTTPProxy = "http-proxy"

// toProxies are the connections to the HTTP proxies that containers, and engines when
// they fetch images, are told to use. When only certain flows were asked for, those of
// senders whose connection would go by the proxy. A proxy that is named by a name is
// followed where a container has it.
func (in *Input) toProxies() []FlowCase {
	var out []FlowCase
	add := func(f FlowCase, p *snap.Proxy, addr netip.Addr) {
		f.Kind, f.To = HTTPProxy, netip.AddrPortFrom(addr, p.Port).String()+"/tcp"
		f.Flow.Dst, f.Flow.Dport, f.Flow.Proto, f.Flow.StopOutside = addr, p.Port, snap.TCP, true
		if !slices.ContainsFunc(out, func(o FlowCase) bool { return o.From == f.From && o.To == f.To }) && len(out) < maxTried {
			out = append(out, f)
		}
	}
	for i := range in.Snap.Engines {
		e := &in.Snap.Engines[i]
		if host := in.Snap.HostNs(); host != nil && !e.Remote && !in.onlyAsked {
			for k := range e.Proxies {
				if addr := literal(e.Proxies[k].Host); addr.IsValid() {
					add(FlowCase{From: "host", Because: []snap.Ref{snap.RefEngine(e.Name)}, Flow: sim.Flow{From: host.ID}}, &e.Proxies[k], addr)
				}
			}
		}
	}
	for i := range in.Snap.Containers {
		c := &in.Snap.Containers[i]
		if c.State != "running" || c.Netns == "" || in.onlyAsked && in.ByProxy(c) < 0 {
			continue
		}
		for k := range c.Proxies {
			p := &c.Proxies[k]
			addr, target := literal(p.Host), ""
			if !addr.IsValid() {
				if addr, target = in.neighbour(c, p.Host); target == "" {
					continue
				}
			}
			add(FlowCase{From: c.Name, Target: target, Because: []snap.Ref{snap.RefContainer(c.Ref)}, Flow: sim.Flow{From: c.Netns}}, p, addr)
		}
	}
	return out
}

// literal is the address that a host is by itself; invalid where it is a name.
func literal(host string) netip.Addr {
	if host == "localhost" {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	addr, _ := netip.ParseAddr(host) // a name is none
	return addr
}

// proxyNames are the names of such proxies that no neighbour has: they must resolve.
func (in *Input) proxyNames() []NameCase {
	var out []NameCase
	for i := range in.Snap.Engines {
		e := &in.Snap.Engines[i]
		if in.Snap.Resolver("host") == nil || e.Remote || in.onlyAsked {
			continue
		}
		for _, p := range e.Proxies {
			if !literal(p.Host).IsValid() && !slices.ContainsFunc(out, func(o NameCase) bool { return o.Ask.Name == p.Host }) {
				out = append(out, NameCase{
					From: "host", Wanted: p.By + " of " + e.Name + "'s daemon", Because: []snap.Ref{snap.RefEngine(e.Name)},
					Ask: NameAsk{Netns: in.Snap.Host.Netns, Name: p.Host},
				})
			}
		}
	}
	for i := range in.Snap.Containers {
		c := &in.Snap.Containers[i]
		if c.State != "running" || c.Netns == "" || in.Snap.Resolver(c.Ref) == nil || in.onlyAsked && in.ByProxy(c) < 0 {
			continue
		}
		for _, p := range c.Proxies {
			if _, target := in.neighbour(c, p.Host); literal(p.Host).IsValid() || target != "" ||
				slices.ContainsFunc(out, func(o NameCase) bool { return o.Ask.Container == c.Ref && o.Ask.Name == p.Host }) {
				continue
			}
			out = append(out, NameCase{
				From: c.Name, Wanted: p.By, Asked: in.onlyAsked, Because: []snap.Ref{snap.RefResolver(c.Ref)},
				Ask: NameAsk{Netns: c.Netns, Container: c.Ref, Name: p.Host},
			})
		}
	}
	return out
}

// neighbour is the address of the container of that name on a network that another
// one is on, too.
func (in *Input) neighbour(c *snap.Container, name string) (netip.Addr, string) {
	for i := range in.Snap.Containers {
		o := &in.Snap.Containers[i]
		if o.Engine != c.Engine || !o.Running() {
			continue
		}
		for j := range o.Endpoints {
			e := &o.Endpoints[j]
			if (strings.EqualFold(o.NetName(), name) || slices.Contains(e.Aliases, name)) && e.IPv4.IsValid() &&
				slices.ContainsFunc(c.Endpoints, func(x snap.Endpoint) bool { return x.NetworkID == e.NetworkID }) {
				return e.IPv4.Addr(), o.Ref
			}
		}
	}
	return netip.Addr{}, ""
}

// ByProxy is the asked connection of a container that programs which heed the
// settings send to its proxy instead, an index into Flows; -1 for none. What it would
// speak is not known: all but DNS may be the web.
func (in *Input) ByProxy(c *snap.Container) int {
	return slices.IndexFunc(in.Flows, func(f FlowCase) bool {
		return f.Asked && f.Flow.From == c.Netns && f.Flow.Proto == snap.TCP && f.Flow.Dport != 53 && len(c.Proxies) > 0 &&
			!f.Flow.Dst.IsLoopback() && !PastProxy(c, &f)
	})
}

// PastProxy says whether a container's no_proxy has a destination asked directly: a
// name or the end of one, an address or a network of them (curl(1), golang.org/x/net/
// http/httpproxy).
func PastProxy(c *snap.Container, f *FlowCase) bool {
	host := strings.ToLower(f.To)
	if i := strings.LastIndexByte(host, ':'); i > 0 {
		host = host[:i]
	}
	for _, n := range c.NoProxy {
		n = strings.ToLower(strings.TrimPrefix(n, "*"))
		end := strings.TrimPrefix(n, ".")
		if n == "" || host == end || end != "" && strings.HasSuffix(host, "."+end) || fmt.Sprint(f.Flow.Dst) == n {
			return true
		}
		if p, err := netip.ParsePrefix(n); err == nil && p.Contains(f.Flow.Dst) {
			return true
		}
	}
	return false
}
