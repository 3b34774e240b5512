package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd4403: a name server's questions come back to itself.
//
// A container that serves names to this host and takes its servers from
// resolv.conf asks itself: its resolv.conf is a copy of the host's, which names the
// container. CoreDNS ("forward . /etc/resolv.conf") stops with "Loop detected",
// dnsmasq and others burn a processor until the questions time out. A server that
// has its upstream in its own configuration is not touched by this.
//
// See it by hand:
//
//	cat /etc/resolv.conf                      names this host or the container
//	docker exec SERVER cat /etc/resolv.conf   the same, or ExtServers: host(…)
//
// Where it loops already, and names fail, ND4304 tells.
//
// Sources: coredns plugin/loop; resolv.conf(5); moby daemon/libnetwork/resolver.go
func nd4403() diag.Check {
	return diag.Check{
		Code: "ND4403", Name: "own-upstream", Severity: diag.Warning, Since: "0.1", Audit: true,
		Title: "A name server is its own upstream",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for i := range in.Snap.Containers {
				c := &in.Snap.Containers[i]
				ns := in.Snap.Ns(c.Netns)
				if !c.Running() || ns == nil || ns.ID == in.Snap.Host.Netns || in.Snap.Resolver(c.Ref) == nil || !servesNames(ns) {
					continue
				}
				if slices.ContainsFunc(in.Names, func(n diag.NameCase) bool {
					return n.Path != nil && n.Path.Problem != nil && n.Path.Problem.Kind == names.ForwardLoop && n.Path.Problem.Container == c.Ref
				}) {
					continue // it loops already: ND4304 tells
				}
				from, to, ok := comesBack(in, c, ns)
				if !ok {
					continue
				}
				out = append(out, diag.Finding{
					Summary:  fmt.Sprintf("%s serves names, and its own questions to %s, asked from %s, come back to it", c.Name, to, in.Who(from)),
					Cause:    "its resolv.conf is made from the host's, and the host asks this container",
					Subject:  diag.Subject{Kind: "resolver", Name: c.Name, Netns: ns.ID},
					Evidence: []diag.Evidence{ev("docker exec "+c.Name+" cat /etc/resolv.conf", "nameserver "+to.Addr().String(), snap.RefResolver(c.Ref))},
					Advice:   "give it servers of its own: docker run --dns ADDRESS, or an upstream in its own configuration",
					Weight:   34,
				})
			}
			return out
		},
	}
}

// servesNames says whether something of the container's own takes questions for
// names from others.
func servesNames(ns *snap.Netns) bool {
	for i := range ns.Sockets {
		if s := &ns.Sockets[i]; s.Proto == snap.UDP && s.Local.Port() == 53 && !s.Local.Addr().Unmap().IsLoopback() && !s.Remote.IsValid() {
			return true
		}
	}
	return false
}

// comesBack follows the container's questions to the servers that stand behind
// its resolver, and says which of them arrive at itself.
func comesBack(in *diag.Input, c *snap.Container, ns *snap.Netns) (from string, to netip.AddrPort, ok bool) {
	n := in.WorldName(c)
	for _, s := range n.Path.Servers {
		if s.Addr.Addr().IsLoopback() && s.AskedFrom == ns.ID {
			continue // its resolver's own door
		}
		t := in.World.Trace(sim.Flow{From: s.AskedFrom, Dst: s.Addr.Addr(), Proto: snap.UDP, Dport: s.Addr.Port()})
		if t.Proxy != nil {
			t = t.Proxy
		}
		if t.Arrived == ns.ID && t.ArrivedAs.Port() == 53 {
			return s.AskedFrom, s.Addr, true
		}
	}
	return "", netip.AddrPort{}, false
}
