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

// nd2101: the host does not forward.
//
// Every packet between a container and anything beyond its own bridge is routed
// by the host. With net.ipv4.ip_forward=0 the host drops them all; containers of
// one network still reach each other, because that is bridging. Docker sets the
// sysctl when it starts; a file in sysctl.d, a hardening script or a restart of
// the network service sets it back.
//
// See it by hand:
//
//	sysctl net.ipv4.ip_forward               must be 1
//	sysctl net.ipv4.conf.BRIDGE.forwarding   must be 1 on the way in
//	grep -r ip_forward /etc/sysctl.conf /etc/sysctl.d
//
// Sources: net/ipv4/route.c: ip_route_input_slow (IN_DEV_FORWARD); moby#11508, moby#47966
func nd2101() diag.Check {
	return diag.Check{
		Code: "ND2101", Name: "ip-forward-off", Severity: diag.Error, Since: "0.1",
		Title:  "IPv4 forwarding is off on the host",
		After:  []diag.Code{"ND2106", "ND2207"}, // a packet for an address that is not known as its own is routed on
		Detect: detectND2101,
		Fix:    fixND2101,
	}
}

const ipForward = "net/ipv4/ip_forward"

func detectND2101(in *diag.Input) []diag.Finding {
	host := in.Snap.HostNs()
	if host == nil {
		return nil
	}
	var out []diag.Finding
	for _, g := range in.Groups(sim.CauseForwardingOff) {
		w := g.Where
		ns := in.Netns(w.Netns)
		if !owned(in, w.Netns) || ns != host && !routesOn(in, w, in.Flows[g.Flows[0]].Flow.Dst) {
			continue
		}
		key, value := ipForward, "0"
		if v, ok := ns.Sysctl(ipForward); ok && v != "0" {
			key = "net/ipv4/conf/" + w.Device + "/forwarding"
		}
		if in.Flows[g.Flows[0]].Flow.Dst.Is6() {
			key = "net/ipv6/conf/all/forwarding"
		}
		subject := diag.Subject{Kind: "sysctl", Name: fixups.SysctlName(key), Netns: w.Netns}
		if i := slices.IndexFunc(out, func(x diag.Finding) bool { return x.Subject == subject }); i >= 0 {
			f := &out[i] // packets of another device meet the same switch
			f.Covers.Traces = append(f.Covers.Traces, g.Flows...)
			f.Summary = forwardingSummary(in, w.Netns, key, value, len(f.Covers.Traces))
			continue
		}
		f := diag.Finding{
			Summary:  forwardingSummary(in, w.Netns, key, value, len(g.Flows)),
			Cause:    fixups.SysctlName(key) + " is " + value + ", so every packet that would have to be routed is dropped",
			Subject:  subject,
			Evidence: []diag.Evidence{ev(in.IPCommand(w.Netns, "sysctl "+fixups.SysctlName(key)), fixups.SysctlName(key)+" = "+value, snap.RefSysctl(w.Netns, key))},
			Covers:   diag.Cover{Traces: g.Flows},
			Weight:   95,
		}
		if cs := in.Graph.ContainersOf(w.Netns); len(cs) > 0 && ns != host {
			f.Advice = fmt.Sprintf("for good, make %s with --sysctl %s=1 (in compose: sysctls)", cs[0].Name, fixups.SysctlName(key))
		}
		for _, l := range in.Snap.Host.SysctlFiles {
			if l.Key == key && l.Value == "0" {
				f.Evidence = append(f.Evidence, ev(fmt.Sprintf("%s line %d", l.File, l.Line), fixups.SysctlName(key)+" = 0", ""))
				f.Advice = fmt.Sprintf("%s sets it to 0 at boot: change that line", l.File)
			}
		}
		out = append(out, f)
	}
	return out
}

// routesOn says whether a namespace would send a packet on by another device than it came
// in by: else it is nobody's router. What comes to it was led astray, by a route that takes
// it for one or by a MAC that two have, say, and is rightly dropped there.
func routesOn(in *diag.Input, w *sim.Where, dst netip.Addr) bool {
	res := in.World.Route(w.Netns, sim.RouteQuery{Dst: dst})
	return slices.ContainsFunc(res.Ways, func(x sim.RouteWay) bool { return x.Dev != w.Device })
}

func forwardingSummary(in *diag.Input, netns, key, value string, flows int) string {
	return fmt.Sprintf("%s=%s in %s: it routes nothing for containers (%s)", fixups.SysctlName(key), value, in.Who(netns), diag.Count(flows, "flow"))
}
