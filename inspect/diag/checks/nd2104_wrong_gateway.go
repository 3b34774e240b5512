package checks

import (
	"fmt"
	"net/netip"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2104: a container's default route leads to an address that nobody has.
//
// The default route names a gateway that answers no ARP: programs wait about
// three seconds and then hear "Host is unreachable" or "No route to host". The
// gateway that the engine gave out is an address of the bridge. On macvlan and ipvlan it
// is a router of the wire, whose address a person gave with --gateway: a wrong digit there
// is found by who answers no ARP, and the host's own gateway on that wire stands beside it.
//
// See it by hand:
//
//	nsenter -t PID -n ip route show default
//	nsenter -t PID -n ip neigh show GATEWAY  FAILED or INCOMPLETE
//
// Sources: net/core/neighbour.c: neigh_timer_handler
func nd2104() diag.Check {
	return diag.Check{
		Code: "ND2104", Name: "container-wrong-gateway", Severity: diag.Error, Since: "0.1",
		Title:  "A container's default gateway is an address that nobody has",
		Detect: detectND2104,
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			switch f.Subject.Name {
			case "default6":
				return fixWrongGateway6(in, f)
			case adriftRoute:
				return fixAdrift(in, f)
			case offBridge:
				return fixOffBridge(in, f)
			}
			return fixND2104(in, f)
		},
	}
}

func detectND2104(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	done := map[string]bool{}
	for _, a := range attachments(in) {
		if done[a.c.Ref] || in.Snap.Container(ownerOf(a.ns)) != a.c {
			continue
		}
		done[a.c.Ref] = true
		best, want := gatewayAttachment(in, a.c)
		gw := diag.DefaultGateway(a.ns)
		if best != nil && !gw.IsValid() {
			out = append(out, onLinkDefault(in, best, want)...)
		}
		if best == nil || !gw.IsValid() || gw.String() == want || len(in.Graph.Owners(gw)) > 0 {
			continue
		}
		// A gateway that no namespace of ours holds may be a router in another
		// container or beyond a macvlan: only what fails is wrong.
		covers := coverFrom(in, a.ns.ID, sim.CauseNeighFailed, sim.CauseNoRoute)
		if len(covers.Traces) == 0 {
			continue
		}
		i := defaultRoute(a.ns)
		out = append(out, diag.Finding{
			Summary: fmt.Sprintf("%s sends to gateway %s, which nobody has; network %s has %s", a.c.Name, gw, best.n.Name, want),
			Cause:   fmt.Sprintf("the default route of %s names the gateway %s, but the bridge of network %s is %s", a.c.Name, gw, best.n.Name, want),
			Subject: diag.Subject{Kind: "route", Name: "default", Netns: a.ns.ID},
			Evidence: []diag.Evidence{
				ev(ipIn(in, a.ns.ID, "route show default"), "default via "+gw.String(), snap.RefItem(a.ns.ID, "route", i)),
				ev(diag.NetworkCommand(best.n), "gateway "+want, snap.RefNetwork(best.n.Ref)),
			},
			Covers: covers,
			Weight: 84,
		})
	}
	out = append(out, wrongGateways6(in)...)
	out = append(out, offBridgeGateways(in)...)
	out = append(out, adrift(in, true)...)
	return append(out, plainGateways(in)...)
}

// onLinkDefault: the default route names a device and no gateway, so that the whole
// world is asked for by ARP on the network's bridge.
func onLinkDefault(in *diag.Input, a *attachment, want string) []diag.Finding {
	i := defaultRoute(a.ns)
	if i < 0 || a.link == nil {
		return nil
	}
	r := &a.ns.Routes[i]
	if r.Gateway.IsValid() || len(r.Nexthops) > 0 || r.NHID != 0 || r.Oif != a.link.Index {
		return nil
	}
	covers := coverFrom(in, a.ns.ID, sim.CauseNeighFailed)
	if len(covers.Traces) == 0 {
		return nil // somebody answers for the world (proxy_arp)
	}
	return []diag.Finding{{
		Summary: fmt.Sprintf("the default route of %s has no gateway (default dev %s); network %s has %s", a.c.Name, a.link.Name, a.n.Name, want),
		Cause:   fmt.Sprintf("with a device alone, %s asks for each address of the world by ARP on network %s, where nobody has it", a.c.Name, a.n.Name),
		Subject: diag.Subject{Kind: "route", Name: "default", Netns: a.ns.ID},
		Evidence: []diag.Evidence{
			ev(ipIn(in, a.ns.ID, "route show default"), "default dev "+a.link.Name, snap.RefItem(a.ns.ID, "route", i)),
			ev(diag.NetworkCommand(a.n), "gateway "+want, snap.RefNetwork(a.n.Ref)),
		},
		Covers: covers,
		Weight: 84,
	}}
}

// plainGateways: a namespace of no engine sends to a gateway that nobody has, over
// a bridge that has an address of its subnet.
func plainGateways(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, p := range in.Plains() {
		want := plainGateway(in, &p)
		if !want.IsValid() {
			continue
		}
		out = append(out, diag.Finding{
			Summary: fmt.Sprintf("%s sends to gateway %s, which nobody has; the bridge %s has %s", p.NS.ID, p.Gateway, p.Bridge.Name, want),
			Cause:   fmt.Sprintf("the default route of %s names the gateway %s, but its bridge %s, that only namespaces of this host are on, is %s", p.NS.ID, p.Gateway, p.Bridge.Name, want),
			Subject: diag.Subject{Kind: "route", Name: "default", Netns: p.NS.ID},
			Evidence: []diag.Evidence{
				ev(ipIn(in, p.NS.ID, "route show default"), "default via "+p.Gateway.String(), snap.RefItem(p.NS.ID, "route", defaultRoute(p.NS))),
				ev("ip addr show dev "+p.Bridge.Name, want.String(), snap.RefLink(in.Snap.Host.Netns, p.Bridge.Name)),
			},
			Covers: fromPlain(in, p.NS.ID),
			Weight: 84,
		})
	}
	return out
}

// plainGateway is the address of its bridge that a namespace of no engine should
// send to, where it sends to one that nobody has; invalid when that is not so.
func plainGateway(in *diag.Input, p *diag.Plain) netip.Addr {
	host := in.Snap.HostNs()
	if !in.Lost(p) || p.Host.Master == 0 {
		return netip.Addr{}
	}
	var want netip.Addr
	for _, a := range host.AddrsOf(p.Bridge.Index) {
		if p.Addr.Masked().Contains(a.Prefix.Addr()) {
			if want.IsValid() {
				return netip.Addr{}
			}
			want = a.Prefix.Addr()
		}
	}
	return want
}

// defaultRoute is the index of a namespace's IPv4 default route; -1 none.
func defaultRoute(ns *snap.Netns) int {
	for i, r := range ns.Routes {
		if r.Family == snap.IPv4 && r.Table == snap.TableMain && r.Type == "unicast" && r.Dst.Bits() == 0 {
			return i
		}
	}
	return -1
}
