package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd5105: no container publishes the port.
//
// A port of a container is reachable at the host's address only when it is
// published with -p at start. EXPOSE in an image, or --expose, only writes it down.
// A port can't be published for a container that runs; it must be recreated.
//
// See it by hand:
//
//	docker ps --format '{{.Names}} {{.Ports}}'   "80/tcp" without "->" is not published
//	ss -lntu                                     nothing on the port
//
// Sources: docs.docker.com, port publishing
func nd5105() diag.Check {
	return diag.Check{
		Code: "ND5105", Name: "not-published", Severity: diag.Error, Since: "0.1",
		Title: "No container publishes that port, and nothing on the host listens on it",
		After: []diag.Code{"ND8102", "ND5106"},
		Detect: func(in *diag.Input) []diag.Finding {
			return append(passedOver(in), atHost(in, func(f *diag.FlowCase) *diag.Finding {
				if c, _, _ := in.PublishedAt(f.Flow.Dst, f.Flow.Dport, f.Flow.Proto); c != nil {
					return nil
				}
				if c, _ := otherProto(in, f); c != nil {
					return nil // ND5111 tells
				}
				host := in.Snap.HostNs()
				if slices.ContainsFunc(host.Sockets, func(s snap.Socket) bool {
					return s.Proto == f.Flow.Proto && s.Local.Port() == f.Flow.Dport && s.Local.Addr().IsLoopback() && !s.Remote.IsValid()
				}) {
					return nil // ND5102 tells
				}
				x := &diag.Finding{
					Summary:  fmt.Sprintf("port %d/%s of this host is not published by any container, and nothing listens on it", f.Flow.Dport, f.Flow.Proto),
					Cause:    fmt.Sprintf("no container was started with -p %d:…, and no process of the host listens on the port", f.Flow.Dport),
					Evidence: []diag.Evidence{ev("ss -lntup", socketList(host, f.Flow.Proto), snap.RefNetns(host.ID))},
					Advice:   fmt.Sprintf("recreate the container with -p %d:PORT%s", f.Flow.Dport, unlessTCP(f.Flow.Proto)),
				}
				for _, g := range in.Snap.Gaps { // its ports are not known then
					if name, unread := strings.CutPrefix(g.What, "container "); unread {
						x.Summary = fmt.Sprintf("nothing listens on port %d/%s of this host, and no container that could be read publishes it; %s could not", f.Flow.Dport, f.Flow.Proto, name)
						x.Cause = fmt.Sprintf("the port is nobody's, or what forwarded it to %s is gone (rootlessport, pasta or slirp4netns of a rootless engine)", name)
						x.Advice = fmt.Sprintf("see which ports %s publishes, as its user, and start it again if it is one of them", name)
						return x
					}
				}
				if c, p := unbound(in, f); c != nil {
					why, advice := whyUnbound(in, c, p)
					x.Summary = fmt.Sprintf("port %d/%s of this host is not published: %s was started with -p %d:%d, but %s", p.HostPort, p.Proto, c.Name, p.HostPort, p.ContainerPort, why)
					x.Cause = "where an engine does not translate addresses it passes over -p, with a warning at most"
					x.Advice = advice
					x.Evidence = append(x.Evidence, ev(diag.InspectCommand(c), fmt.Sprintf("PortBindings %d/%s -> %d, NetworkMode %s", p.ContainerPort, p.Proto, p.HostPort, c.NetworkMode), snap.RefContainer(c.Ref)))
					return x
				}
				if servedElsewhere(in, host, f, x) {
					return x
				}
				if c, port := exposes(in); c != nil {
					x.Summary += fmt.Sprintf("; %s only exposes %d/tcp", c.Name, port)
					x.Advice = fmt.Sprintf("recreate %s with -p %d:%d, if that is the one that is meant", c.Name, f.Flow.Dport, port)
					x.Evidence = append(x.Evidence, ev(diag.PortCommand(c), fmt.Sprintf("(nothing published; exposed %d/tcp)", port), snap.RefContainer(c.Ref)))
				}
				if c, p := published(in, f); c != nil {
					sayNear(f, x, c, p)
				}
				if k := madeLocal(host, f.Flow.Dst); k >= 0 {
					ref := snap.RefItem(host.ID, "route", k)
					line, source := routeLine(in, host.ID, ref)
					x.Summary = fmt.Sprintf("%s in host makes %s an address of this host, and nothing listens on port %d/%s here", line, f.Flow.Dst, f.Flow.Dport, f.Flow.Proto)
					x.Cause = "a route of type local takes in whatever is sent there, and no address of this host is among that"
					x.Evidence = append(x.Evidence, ev(source, line, ref))
					x.Advice = "find out who added it: it comes back with that program or script"
					if !servedAt(host, host.Routes[k].Dst) {
						x.Fix = &diag.Fix{Ops: []fixups.Op{fixups.NewRouteDel(in.Snap, host.ID, host.Routes[k])}, Survives: "until somebody adds the route again"}
					}
				} else if a, dev := oddAddress(in, host, f.Flow.Dst); dev != nil {
					x.Summary += fmt.Sprintf("; %s is an address of this host, on %s", f.Flow.Dst, dev.Name)
					x.Evidence = append(x.Evidence, ev("ip addr show to "+f.Flow.Dst.String(), addrList(host, dev), snap.RefLink(host.ID, dev.Name)))
					x.Advice = fmt.Sprintf("if another machine is meant by %s, this host must not have it: ip addr del %s dev %s; else start what should listen there", f.Flow.Dst, a.Prefix, dev.Name)
					// The addresses of services, all of them on one device (pkg/proxy/ipvs: DefaultDummyDevice).
					if dev.Name == "kube-ipvs0" && in.Gone("kube-proxy") {
						x.Summary += ", left behind by kube-proxy, which does not run here"
						x.Fix = &diag.Fix{Ops: []fixups.Op{&fixups.AddrDel{Where: at(in, host.ID), Dev: dev.Name, Prefix: a.Prefix, Peer: a.Peer}}, Survives: "until kube-proxy makes it again"}
					}
				}
				return x
			})...)
		},
	}
}

// nearPort is how far apart the ports of a range mostly are.
const nearPort = 16

// published is the running container, if it is the only one, that publishes a port near
// the one that a flow asks for at that address, and that port.
func published(in *diag.Input, f *diag.FlowCase) (*snap.Container, *snap.Port) {
	var found *snap.Container
	var port *snap.Port
	for i := range in.Snap.Containers {
		c := &in.Snap.Containers[i]
		for k := range c.Ports {
			p := &c.Ports[k]
			if !c.Running() || p.Proto != f.Flow.Proto || p.HostPort == 0 || !diag.CoversAddr(p, f.Flow.Dst) || max(p.HostPort, f.Flow.Dport)-min(p.HostPort, f.Flow.Dport) > nearPort {
				continue
			}
			if found != nil && (found != c || port.HostPort != p.HostPort) {
				return nil, nil
			}
			found, port = c, p
		}
	}
	return found, port
}

// sayNear tells of a container that publishes a port beside the one that was asked.
func sayNear(f *diag.FlowCase, x *diag.Finding, c *snap.Container, p *snap.Port) {
	x.Summary += fmt.Sprintf("; there %s publishes port %d", c.Name, p.HostPort)
	x.Evidence = append(x.Evidence, ev(diag.PortCommand(c), fmt.Sprintf("%d/%s -> %d", p.ContainerPort, p.Proto, p.HostPort), snap.RefContainer(c.Ref)))
	x.Advice = fmt.Sprintf("ask port %d, if %s is meant: of a range, as in -p 8000-8010:80, an engine takes the first port that is free at start; or recreate it with -p %d:%d", p.HostPort, c.Name, f.Flow.Dport, p.ContainerPort)
}

// oddAddress is an address of the host that is neither of an uplink nor of a container
// network, with its device: a service's, or one that was left behind. nil: it is none.
func oddAddress(in *diag.Input, host *snap.Netns, ip netip.Addr) (*snap.Addr, *snap.Link) {
	if ip.IsLoopback() {
		return nil, nil
	}
	for i := range host.Addrs {
		a := &host.Addrs[i]
		dev := host.LinkAt(a.Index)
		if a.Prefix.Addr() == ip && dev != nil && !uplink(in, host, dev) && in.Graph.NetworkOfBridge(dev.Name) == nil {
			return a, dev
		}
	}
	return nil, nil
}

// madeLocal is the index of the route of somebody's that makes a destination this host's own
// (AnyIP), where it has no such address; -1 for none. Other tables than those which are
// asked of all packets are left out: whether they were asked is not known here.
func madeLocal(ns *snap.Netns, ip netip.Addr) int {
	if _, own := ns.HasAddr(ip); own {
		return -1
	}
	return slices.IndexFunc(ns.Routes, func(r snap.Route) bool {
		return r.Type == "local" && r.Protocol != "kernel" && (r.Table == snap.TableLocal || r.Table == snap.TableMain) && r.Dst.Contains(ip)
	})
}

// servedAt says whether a program has bound itself to an address of a prefix.
func servedAt(ns *snap.Netns, p netip.Prefix) bool {
	return slices.ContainsFunc(ns.Sockets, func(s snap.Socket) bool { return p.Contains(s.Local.Addr()) })
}

// exposes is the only running container that exposes a TCP port without
// publishing it; nil when there is none, or several.
func exposes(in *diag.Input) (*snap.Container, uint16) {
	var found *snap.Container
	var port uint16
	for i := range in.Snap.Containers {
		c := &in.Snap.Containers[i]
		if !c.Running() || len(c.Ports) > 0 {
			continue
		}
		for _, e := range c.Exposed {
			if e.Proto == snap.TCP {
				if found != nil && found != c {
					return nil, 0
				}
				found, port = c, e.Port
			}
		}
	}
	return found, port
}
