package checks

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2210: the host has no route to a namespace that it routes to.
//
// Calico, the CNI plugin ptp and the networks of clouds put no bridge between host and
// container: the host has a route of 32 bits to each container's address, by the veth
// that is its own. Without that route what the container sends goes out, and every
// answer takes the default route, or none. A network manager that flushes foreign
// routes takes them along (systemd-networkd: ManageForeignRoutes=), and an agent that
// has died does not put them back.
//
// A namespace may be the router of others behind it: whoever routes to it needs a route
// to their subnet by way of its address, or it has to translate their addresses.
//
// See it by hand:
//
//	ip route get ADDRESS                     must name the veth
//	ip route show table main dev VETH        is empty
//
// Sources: CNI plugins: plugins/main/ptp/ptp.go: setupHostVeth; networkd.conf(5)
func nd2210() diag.Check {
	return diag.Check{
		Code: "ND2210", Name: "workload-route-missing", Severity: diag.Error, Since: "0.2",
		Title:  "The host has no route to a namespace behind a veth of its own",
		Detect: detectND2210,
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			if i := slices.IndexFunc(subnetsBehind(in), func(b beyond) bool { return b.to.String() == f.Subject.Name && b.router == f.Subject.Netns }); i >= 0 {
				return subnetsBehind(in)[i].fix(in)
			}
			for _, x := range in.Routed() {
				if x.Host.Name != f.Subject.Name || unroutedBy(in, &x).Text == "" {
					continue
				}
				if r, known := routeTo(in, &x); known {
					if !toSibling(in, r, &x) {
						return nil // somebody's route to it leads elsewhere
					}
					back := *r
					back.Oif = x.Host.Index
					return []fixups.Op{fixups.NewRouteReplace(in.Snap, in.Snap.Host.Netns, back)}
				}
				return []fixups.Op{&fixups.RouteAdd{Where: at(in, in.Snap.Host.Netns), Devs: []string{x.Host.Name}, Route: snap.Route{
					Family: snap.IPv4, Table: snap.TableMain, Type: "unicast", Dst: netip.PrefixFrom(x.Addr, 32), Scope: "link", Protocol: "boot", Oif: x.Host.Index,
				}}}
			}
			return nil
		},
	}
}

// unroutedBy is the host's routing decision for a routed namespace, where it does not
// lead to it; the zero value where it does, or where that can't be told.
func unroutedBy(in *diag.Input, x *diag.Routed) sim.RouteResult {
	r := in.World.Route(in.Snap.Host.Netns, sim.RouteQuery{Dst: x.Addr})
	if r.Unknown != "" || r.Type == "local" {
		return sim.RouteResult{}
	}
	for _, w := range r.Ways {
		if w.Dev == x.Host.Name {
			return sim.RouteResult{}
		}
	}
	r.Text = cmp.Or(r.Text, r.Detail, "no route")
	return r
}

// routeTo is the host's own route to exactly that address.
func routeTo(in *diag.Input, x *diag.Routed) (*snap.Route, bool) {
	host := in.Snap.HostNs()
	for i := range host.Routes {
		if r := &host.Routes[i]; r.Table == snap.TableMain && r.Dst.IsSingleIP() && r.Dst.Addr() == x.Addr {
			return r, true
		}
	}
	return nil, false
}

// toSibling says whether a route leads to another routed namespace, which cannot have that
// address: nobody is behind its veth but itself.
func toSibling(in *diag.Input, r *snap.Route, x *diag.Routed) bool {
	return !r.Gateway.IsValid() && slices.ContainsFunc(in.Routed(), func(y diag.Routed) bool {
		return y.Host.Index == r.Oif && y.NS != x.NS
	})
}

func detectND2210(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, x := range in.Routed() {
		r := unroutedBy(in, &x)
		if r.Text == "" {
			continue
		}
		f := diag.Finding{
			Summary: fmt.Sprintf("the host has no route to %s of %s by its veth %s: answers to it go elsewhere (%s)", x.Addr, in.Who(x.NS.ID), x.Host.Name, r.Text),
			Cause:   fmt.Sprintf("%s is behind %s alone, and the host sends what is for it by: %s", x.Addr, x.Host.Name, r.Text),
			Subject: diag.Subject{Kind: "route", Name: x.Host.Name, Netns: in.Snap.Host.Netns},
			Evidence: []diag.Evidence{
				ev("ip route get "+x.Addr.String(), r.Text, cmp.Or(r.Route, snap.RefNetns(in.Snap.Host.Netns))),
				ev(ipIn(in, x.NS.ID, "addr show dev "+x.Link.Name), addrList(x.NS, x.Link), snap.RefLink(x.NS.ID, x.Link.Name)),
			},
			Covers: routedCover(in, &x),
			Weight: 86,
			Advice: "find out who took the route away: an agent of the container network should have put it back",
		}
		if len(x.NS.Pids) == 0 && len(f.Covers.Traces) == 0 {
			f.Severity = diag.Warning // nobody is in there
		}
		out = append(out, f)
	}
	for _, b := range subnetsBehind(in) {
		if !slices.ContainsFunc(out, func(f diag.Finding) bool { return slices.Contains(f.Covers.Traces, b.flows[0]) }) {
			out = append(out, b.finding(in))
		}
	}
	return out
}

// routedCover are the flows of a routed namespace, or to it, that don't work.
func routedCover(in *diag.Input, x *diag.Routed) diag.Cover {
	c := fromPlain(in, x.NS.ID)
	for i := range in.Flows {
		f := &in.Flows[i]
		if f.Flow.From == x.NS.ID || f.Excused {
			continue
		}
		left := f.Trace.Arrived != x.NS.ID && f.Trace.ArrivedAs.Addr() != x.Addr && f.Flow.Dst == x.Addr
		if left && (f.Broken() || diag.ProbeSays(f.Probe) == "dropped") {
			c.Traces = append(c.Traces, i)
		}
	}
	return c
}
