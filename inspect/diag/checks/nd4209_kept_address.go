package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd4209: a program keeps an address that its service does not have any more.
//
// A container that is made anew may get another address. Its name leads to the new one
// at once, but programs that looked it up when they started keep the old one: nginx with
// a host name in proxy_pass, a JVM with networkaddress.cache.ttl=-1, connection pools.
// They try an address that nobody has, and the name and the network are well.
//
// Told where a container keeps trying an address of its own network that nobody has, and a
// container of that network which serves the same port was started after it and has heard
// nothing from it.
//
// See it by hand:
//
//	nsenter -t PID -n ss -tnop state syn-sent
//	docker exec ASKER getent hosts SERVICE   another address
//
// Sources: nginx ngx_http_proxy_module: proxy_pass, ngx_http_core_module: resolver;
// java.security: networkaddress.cache.ttl
func nd4209() diag.Check {
	return diag.Check{
		Code: "ND4209", Name: "kept-address", Severity: diag.Error, Since: "0.2",
		Title: "A program keeps to an address that nobody has since its service was made anew",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for i := range in.Flows {
				f := &in.Flows[i]
				n := in.Graph.NetworkOfAddr(f.Flow.Dst)
				if f.Kind != "tried" || f.Works() || n == nil || n.Driver != "bridge" || len(in.Graph.Owners(f.Flow.Dst)) > 0 ||
					slices.ContainsFunc(n.Pools, func(p snap.Pool) bool { return p.Gateway == f.Flow.Dst }) {
					continue
				}
				who := in.Graph.ContainersOf(f.Flow.From)
				if len(who) != 1 || !in.Keeps(f) || hostsName(in, who[0], f.Flow.Dst) || !onNetwork(in, who[0], n) || heldBack(in, n, f.Flow.Dst) {
					continue
				}
				now := successor(in, n, who[0], f)
				if now == nil {
					continue
				}
				ip := now.e.IPv4.Addr()
				out = append(out, diag.Finding{
					Summary:  fmt.Sprintf("%s keeps trying %s, which nobody on network %s has; %s serves port %d there at %s, and was started after %s", f.From, f.To, n.Name, now.c.Name, f.Flow.Dport, ip, who[0].Name),
					Cause:    fmt.Sprintf("a program in %s has looked a name up before %s was made anew, and keeps to the address", who[0].Name, now.c.Name),
					Subject:  diag.Subject{Kind: "address", Name: f.From + " → " + f.To, Netns: f.Flow.From},
					Evidence: []diag.Evidence{diag.Tried(f), ev(diag.InspectCommand(now.c), fmt.Sprintf("%s has %s", now.c.Name, ip), snap.RefContainer(now.c.Ref))},
					Covers:   diag.Cover{Traces: []int{i}},
					Advice:   fmt.Sprintf("if %s is what it means, restart %s, and have it look names up again (nginx: resolver 127.0.0.11 and a variable in proxy_pass; Java: networkaddress.cache.ttl)", now.c.Name, who[0].Name),
					Weight:   57,
				})
			}
			return out
		},
	}
}

// hostsName says whether a container's own hosts file gives out the address.
func hostsName(in *diag.Input, c *snap.Container, ip netip.Addr) bool {
	r := in.Snap.Resolver(c.Ref)
	return r != nil && slices.ContainsFunc(r.Hosts, func(l snap.HostsLine) bool { return l.Addr == ip })
}

func onNetwork(in *diag.Input, c *snap.Container, n *snap.Network) bool {
	return slices.ContainsFunc(c.Endpoints, func(e snap.Endpoint) bool { return in.Snap.NetworkOf(c.Engine, &e) == n })
}

// heldBack says whether a container that does not run is to have an address again.
func heldBack(in *diag.Input, n *snap.Network, ip netip.Addr) bool {
	return slices.ContainsFunc(in.Snap.Containers, func(c snap.Container) bool {
		return slices.ContainsFunc(c.Endpoints, func(e snap.Endpoint) bool {
			return (e.StaticIPv4 == ip || e.StaticIPv6 == ip || e.IPv4.Addr() == ip || e.IPv6.Addr() == ip) && in.Snap.NetworkOf(c.Engine, &e) == n
		})
	})
}

// successor is the one container that serves the port which somebody tries, was started
// after him, and to which he has no connection; nil when there is none, or several.
func successor(in *diag.Input, n *snap.Network, who *snap.Container, f *diag.FlowCase) *attachment {
	var out *attachment
	for _, a := range attachments(in) {
		if a.n != n || !a.c.Started.After(who.Started) || !a.e.IPv4.IsValid() || a.ns.ID == f.Flow.From || !slices.Contains(tcpPorts(a.ns, a.e.IPv4.Addr()), f.Flow.Dport) {
			continue
		}
		to := netip.AddrPortFrom(a.e.IPv4.Addr(), f.Flow.Dport)
		ns := in.Netns(f.Flow.From)
		if len(ns.Conntrack) == 0 && slices.ContainsFunc(ns.Estab, func(s snap.SocketCount) bool { return s.Remote == to }) ||
			slices.ContainsFunc(ns.Conntrack, func(c snap.Conn) bool { return c.Orig.Dst == to && !diag.OwnPort(c.Orig.Src.Port()) }) || out != nil {
			return nil
		}
		out = &a
	}
	return out
}
