package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd1902: a host does not reach its own macvlan containers.
//
// A macvlan device and its parent do not exchange frames: what the host sends out of
// the parent goes to the wire, and the container, which sits beside the parent, never
// sees it. Every other machine on the wire reaches the container. That is how macvlan
// is made. A macvlan device of the host's own on the same parent (a shim), with a route to
// the container by it, is a way round. It needs no address: the host's own goes along with
// the route, and arp_filter keeps it from answering for that on the wire. check tells it
// when the host is seen to try: as a remark for one try, as an error while it keeps trying.
//
// See it by hand:
//
//	nsenter -t PID -n ip -d link show eth0   macvlan, parent is the host's uplink
//	ip link add shim link PARENT type macvlan mode bridge
//	sysctl -w net.ipv4.conf.shim.arp_filter=1; ip link set shim up
//	ip route add CONTAINER/32 dev shim src HOST
//
// Sources: drivers/net/macvlan.c: macvlan_handle_frame, macvlan_queue_xmit; net/ipv4/arp.c: arp_filter; docs.docker.com, macvlan
func nd1902() diag.Check {
	return diag.Check{
		Code: "ND1902", Name: "macvlan-host", Severity: diag.Error, Since: "0.1",
		Title: "The host can't reach its own macvlan container",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, t := range partings(in) {
				k := slices.IndexFunc(out, func(x diag.Finding) bool { return x.Subject.Name == t.parent && x.Severity == t.severity })
				if k >= 0 && out[k].Fix != nil {
					if ops := shim(in, t.flows[0], t.c, t.parent, out[k].Fix.Ops); ops != nil {
						out[k].Fix.Ops, out[k].Covers.Traces = ops, append(out[k].Covers.Traces, t.flows...)
						out[k].Summary += ", nor to " + t.c.Name
						out[k].Advice += ", and one to " + t.c.Name
						continue
					}
				}
				out = append(out, t.finding(in))
			}
			return out
		},
	}
}

// parted is a macvlan container that this host and it do not reach each other.
type parted struct {
	c        *snap.Container
	n        *snap.Network
	parent   string
	flows    []int
	severity diag.Severity
}

// partings are the macvlan containers that flows between them and this host are about.
func partings(in *diag.Input) []parted {
	host := in.Snap.HostNs()
	var out []parted
	at := map[string]int{}
	for i := range in.Flows {
		f := &in.Flows[i]
		w := f.Trace.Where
		if host == nil || w == nil || f.Flow.Iif != "" || !f.Broken() && w.Cause != sim.CauseNeighFailed && w.Cause != sim.CauseOutside {
			continue
		}
		// Either end may be the host.
		c := in.Graph.ContainerOfAddr(f.Flow.Dst)
		if f.Flow.From != host.ID {
			c = container(in, f.Flow.From)
			if _, mine := host.HasAddr(f.Flow.Dst); !mine {
				continue
			}
		}
		n, parent := macvlanOf(in, host, c)
		if n == nil || f.Works() && diag.ProbeSays(f.Probe) != "dropped" {
			continue
		}
		// Once may be a scan, or somebody who looked whether it is so.
		severity := diag.Error
		if f.Kind == "tried" && !in.Keeps(f) {
			severity = diag.Info
		}
		k, told := at[c.Ref]
		if !told {
			at[c.Ref] = len(out)
			out = append(out, parted{c: c, n: n, parent: parent, flows: []int{i}, severity: severity})
			continue
		}
		out[k].flows = append(out[k].flows, i)
		if severity.Rank() > out[k].severity.Rank() {
			out[k].severity = severity
		}
	}
	return out
}

func (t *parted) finding(in *diag.Input) diag.Finding {
	host, f := in.Snap.HostNs(), &in.Flows[t.flows[0]]
	x := diag.Finding{
		Severity: t.severity,
		Summary:  fmt.Sprintf("%s is a macvlan container on %s (network %s), and macvlan keeps this host from its own containers: %s → %s can't work this way", t.c.Name, t.parent, t.n.Name, f.From, f.To),
		Cause:    fmt.Sprintf("frames between %s and its macvlan devices are not exchanged, by design", t.parent),
		Subject:  diag.Subject{Kind: "link", Name: t.parent, Netns: host.ID},
		Evidence: []diag.Evidence{
			ev(diag.NetworkCommand(t.n), fmt.Sprintf("driver %s, parent %s", t.n.Driver, t.parent), snap.RefNetwork(t.n.Ref)),
			ev("ip link show "+t.parent, linkLine(host.Link(t.parent)), snap.RefLink(host.ID, t.parent)),
		},
		Covers: diag.Cover{Traces: t.flows},
		Advice: fmt.Sprintf("ip link add shim link %s type macvlan mode bridge; ip addr add FREE/32 dev shim; ip link set shim up; ip route add %s/32 dev shim; FREE is an address of that wire which nobody has, kept free by --aux-address of the network; and keep it over reboots in the host's own network configuration", t.parent, f.Flow.Dst),
		Weight: 68,
	}
	if ops := shim(in, t.flows[0], t.c, t.parent, nil); ops != nil {
		x.Fix = &diag.Fix{Ops: ops, Survives: "until reboot"}
		x.Advice = fmt.Sprintf("keep it over reboots in the host's own network configuration: a macvlan device in mode bridge on %s, with a route to %s", t.parent, t.c.Name)
	}
	return x
}

// macvlanOf is the macvlan network of a container, with its parent on the host.
func macvlanOf(in *diag.Input, host *snap.Netns, c *snap.Container) (*snap.Network, string) {
	if c == nil {
		return nil, ""
	}
	for j := range c.Endpoints {
		n := in.Snap.NetworkOf(c.Engine, &c.Endpoints[j])
		if n == nil || n.Driver != "macvlan" && n.Driver != "ipvlan" {
			continue
		}
		if l := host.Link(n.Parent); l != nil {
			return n, l.Name
		}
	}
	return nil, ""
}
