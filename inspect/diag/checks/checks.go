// Package checks holds every diagnosis of netdoctor, one a file: the fault as
// a fact, why it happens, how to see it by hand, how it is found in a snapshot
// and what mends it.
//
//go:generate go test -run TestDocsArePacked -update .
//go:generate go test -run TestPagesAreCurrent -update .
package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// All are the checks, by code.
func All() []diag.Check {
	out := make([]diag.Check, len(each))
	for i, check := range each {
		out[i] = check()
		out[i].Doc = docs()[out[i].Code]
	}
	return out
}

// each gives one check: a table of functions is a fortieth of the code that a table of
// their results is.
var each = [...]func() diag.Check{
	nd1101, nd1102, nd1103, nd1104, nd1106, nd1107, nd1108, nd1109, nd1110, nd1111, nd1121, nd1122, nd1123, nd1124, nd1125, nd1901, nd1902, nd1903,
	nd2101, nd2102, nd2103, nd2104, nd2105, nd2106, nd2107, nd2108, nd2109, nd2110, nd2121, nd2122, nd2123, nd2201, nd2202, nd2203, nd2204, nd2205, nd2206, nd2207, nd2208, nd2209, nd2210, nd2211, nd2212, nd2213, nd2901, nd2902, nd2903,
	nd3101, nd3102, nd3103, nd3104, nd3105, nd3106, nd3201, nd3202, nd3204, nd3205, nd3210, nd3211, nd3221, nd3222, nd3223, nd3301, nd3302, nd3303,
	nd4101, nd4102, nd4103, nd4104, nd4105, nd4106, nd4107, nd4108, nd4109, nd4201, nd4202, nd4203, nd4204, nd4205, nd4206, nd4207, nd4208, nd4209, nd4301, nd4302, nd4303, nd4304, nd4305, nd4306, nd4901,
	nd5101, nd5102, nd5103, nd5104, nd5105, nd5106, nd5107, nd5108, nd5109, nd5110, nd5111, nd5112, nd5113, nd5115, nd5116, nd5117, nd5118, nd5121, nd5301, nd5302,
	nd6101, nd6103, nd6201, nd6301, nd6302, nd6303, nd6401, nd6402,
	nd7101, nd7102, nd7103, nd7104, nd7201, nd7202, nd8101, nd8102, nd8103, nd8104,
	nd2401, nd2402, nd3401, nd3402, nd3403, nd3404, nd3405, nd4401, nd4402, nd4403, nd5401, nd5402, nd6102, nd6501, nd6502,
	nd2301, nd2302, nd2303, nd2304, nd2305, nd2306, nd2307, nd2308, nd9001, nd9002,
}

// ByCode finds a check; ok is false when there is none.
func ByCode(code diag.Code) (diag.Check, bool) {
	for _, c := range All() {
		if strings.EqualFold(string(c.Code), string(code)) || c.Name == string(code) {
			return c, true
		}
	}
	return diag.Check{}, false
}

// ev is one line of evidence.
func ev(source, text string, ref snap.Ref) diag.Evidence {
	return diag.Evidence{Source: source, Text: text, Ref: ref}
}

// attachment is the place of a running container on a bridge network.
type attachment struct {
	c    *snap.Container
	e    *snap.Endpoint
	n    *snap.Network
	ns   *snap.Netns
	link *snap.Link // inside; nil when no device holds the address
	host *snap.Link // the other end; nil when it is not there
}

// attachments are all of them, as far as the engine's word and the kernel
// agree on which device it is.
func attachments(in *diag.Input) []attachment {
	var out []attachment
	for i := range in.Snap.Containers {
		out = append(out, attachmentsOf(in, &in.Snap.Containers[i])...)
	}
	return out
}

// attachmentsOf are those of one container; none when it doesn't run, or when its
// namespace was not read: one without even a loopback is none.
func attachmentsOf(in *diag.Input, c *snap.Container) []attachment {
	host := in.Snap.HostNs()
	ns := in.Snap.Ns(c.Netns)
	if !c.Running() || ns == nil || host == nil || ns == host || len(ns.Links) == 0 {
		return nil
	}
	var out []attachment
	for j := range c.Endpoints {
		e := &c.Endpoints[j]
		n := in.Snap.NetworkOf(c.Engine, e)
		if n == nil || n.Driver != "bridge" {
			continue
		}
		a := attachment{c: c, e: e, n: n, ns: ns}
		a.link = inside(ns, c, e)
		if a.link != nil {
			if p, ok := in.Graph.Peer(a.link); ok && p.Netns == host {
				a.host = p.Link
			}
		}
		out = append(out, a)
	}
	return out
}

// inside finds the device of an endpoint: by what the engine or the reader
// said, by address, by MAC, or because it is the only one.
func inside(ns *snap.Netns, c *snap.Container, e *snap.Endpoint) *snap.Link {
	if e.Link != "" {
		return ns.Link(e.Link)
	}
	if l := ns.Holder(e.IPv4.Addr()); l != nil {
		return l
	}
	var veths []*snap.Link
	for i := range ns.Links {
		l := &ns.Links[i]
		if e.MAC != "" && strings.EqualFold(l.MAC, e.MAC) {
			return l
		}
		if l.Kind == "veth" {
			veths = append(veths, l)
		}
	}
	if len(veths) == 1 && len(c.Endpoints) == 1 {
		return veths[0]
	}
	return nil
}

// gateway4 is the IPv4 gateway of a network: what the engine gave out, else
// its pool's; invalid when it has none.
func gateway4(n *snap.Network) (gw netip.Addr, subnet netip.Prefix) {
	for _, p := range n.Pools {
		if p.Subnet.IsValid() && p.Subnet.Addr().Is4() {
			return p.Gateway, p.Subnet
		}
	}
	return netip.Addr{}, netip.Prefix{}
}

// inUse says whether a network has running members.
func inUse(in *diag.Input, n *snap.Network) bool {
	return slices.ContainsFunc(attachments(in), func(a attachment) bool { return a.n == n })
}

// ipIn is an ip command in a namespace as a person types it.
func ipIn(in *diag.Input, netns, args string) string {
	if ns := in.Snap.Ns(netns); ns != nil && netns != in.Snap.Host.Netns && ns.IPNetns() != "" {
		return "ip -n " + ns.IPNetns() + " " + args
	}
	return in.IPCommand(netns, "ip "+args)
}

// linkLine is a device roughly as `ip link` prints it.
func linkLine(l *snap.Link) string {
	var flags []string
	for _, f := range []struct {
		on   bool
		name string
	}{{!l.LowerUp && l.Up, "NO-CARRIER"}, {l.Loopback, "LOOPBACK"}, {l.Broadcast, "BROADCAST"}, {l.NoARP, "NOARP"}, {l.Up, "UP"}, {l.LowerUp, "LOWER_UP"}} {
		if f.on {
			flags = append(flags, f.name)
		}
	}
	return fmt.Sprintf("%d: %s: <%s> mtu %d state %s", l.Index, l.Name, strings.Join(flags, ","), l.MTU, strings.ToUpper(l.OperState))
}

// ruleText is a rule as its own tool prints it, with the command that shows it.
func ruleText(in *diag.Input, netns string, p *rules.Place) (text, source string) {
	return in.RuleLine(&sim.Where{Netns: netns, Rule: p})
}

// networkName is a network's name, with its engine's where two engines have one of
// that name.
func networkName(in *diag.Input, n *snap.Network) string {
	for i := range in.Snap.Networks {
		if x := &in.Snap.Networks[i]; x.Name == n.Name && x.Ref != n.Ref {
			return n.Ref
		}
	}
	return n.Name
}
