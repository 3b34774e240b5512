package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd4105: a line of /etc/hosts hides the address that a container has now.
//
// /etc/hosts is asked before DNS. A line with a container's name, written by
// --add-host or extra_hosts, by an entrypoint or by hand, wins over the embedded
// DNS for good, and stays when the container gets another address. Lines that lead
// outside of the host's container networks are taken for will.
//
// See it by hand:
//
//	docker exec NAME cat /etc/hosts
//	docker inspect -f '{{json .NetworkSettings.Networks}}' OTHER
//
// False positives: an override on purpose, to an address of a container network.
//
// Sources: hosts(5), nsswitch.conf(5)
func nd4105() diag.Check {
	return diag.Check{
		Code: "ND4105", Name: "hosts-override", Severity: diag.Error, Since: "0.1",
		Title: "A line in /etc/hosts overrides a container's name with a stale address",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range nameGroups(in, names.HostsOverride) {
				addr, line := overriding(in, g.first)
				if line == 0 || isLocalhost(g.first.Ask.Name) { // ND4108 tells of that
					continue
				}
				f := g.finding(in)
				owner := in.Graph.ContainerOfAddr(addr)
				local := in.Graph.NetworkOfAddr(addr) != nil
				who := in.Who(g.first.Ask.Netns)
				switch {
				case owner != nil:
					f.Summary = fmt.Sprintf("/etc/hosts of %s sends %s to %s, which is %s: %s", who, g.first.Ask.Name, addr, owner.Name, g.problem.Detail)
				case addr.IsLoopback() && servesNothing(in, g.first.Ask.Netns):
					f.Summary = fmt.Sprintf("/etc/hosts of %s sends %s to %s, which is %s itself, where nothing listens: %s", who, g.first.Ask.Name, addr, who, g.problem.Detail)
				case local, g.first.Path.Verdict == names.NoData:
					f.Summary = fmt.Sprintf("/etc/hosts of %s sends %s to %s, which nobody has: %s", who, g.first.Ask.Name, addr, g.problem.Detail)
				case !g.first.Asked:
					continue
				default:
					f.Severity = diag.Warning
					f.Summary = fmt.Sprintf("/etc/hosts of %s sends %s outside: %s", who, g.first.Ask.Name, g.problem.Detail)
				}
				f.Subject = diag.Subject{Kind: "resolver", Name: who, Netns: g.first.Ask.Netns}
				r := in.Snap.Resolver(g.first.Ask.Container)
				if r != nil {
					f.Evidence = []diag.Evidence{ev(catIn(in, r, "/etc/hosts"), hostsLine(r.HostsRaw, line, addr, g.first.Ask.Name), g.problem.Ref)}
				}
				for i := range in.Flows {
					if a := &in.Flows[i]; a.Asked && a.Flow.From == g.first.Ask.Netns && a.Flow.Dst == addr && !a.Works() {
						f.Covers.Traces = append(f.Covers.Traces, i)
					}
				}
				f.Advice = fmt.Sprintf("take the line out of /etc/hosts of %s; where it was given by --add-host or extra_hosts, there too", who)
				if now := linkedNow(in, g.problem, r, line); now.IsValid() {
					f.Advice = fmt.Sprintf("start %s anew, as --link is looked up at its start alone; better, put both on a user-defined network, where names are kept", who)
				}
				f.Weight = 66
				out = append(out, f)
			}
			return out
		},
		Fix: fixHosts,
	}
}

// sayHosts says that it is a line of the sender's hosts file that leads to an address
// out there, whatever DNS says of the name by now.
func sayHosts(in *diag.Input, f *diag.FlowCase, x *diag.Finding) {
	r, l := ledByHosts(in, f)
	if l == nil {
		return
	}
	x.Summary += fmt.Sprintf("; line %d of /etc/hosts in %s says that this is %s", l.Line, in.Who(f.Flow.From), l.Names[0])
	x.Advice = fmt.Sprintf("see whether that is still so (dig %s): what --add-host, extra_hosts or a hand wrote there is never renewed; if it is, ask whoever runs the network beyond %s", l.Names[0], f.Trace.LeftHost)
	x.Evidence = append(x.Evidence, ev(catIn(in, r, "/etc/hosts"), hostsLine(r.HostsRaw, l.Line, l.Addr, l.Names[0]), snap.RefResolver(r.Owner)))
}

// ledByHosts is the line of the sender's hosts file that gives a flow's destination a
// name, with the files that it is of; nil for none.
func ledByHosts(in *diag.Input, f *diag.FlowCase) (*snap.Resolver, *snap.HostsLine) {
	for i := range in.Snap.Resolvers {
		r := &in.Snap.Resolvers[i]
		if c := in.Snap.Container(r.Owner); (c == nil || c.Netns != f.Flow.From) && (r.Owner != "host" || f.Flow.From != in.Snap.Host.Netns) {
			continue
		}
		for k := range r.Hosts {
			if l := &r.Hosts[k]; l.Addr == f.Flow.Dst && len(l.Names) > 0 {
				return r, l
			}
		}
	}
	return nil, nil
}

// servesNothing says whether nothing but an engine's resolver listens in a namespace: a
// name that leads there on purpose has somebody who answers to it.
func servesNothing(in *diag.Input, netns string) bool {
	ns := in.Netns(netns)
	return ns != nil && !slices.ContainsFunc(ns.Sockets, func(x snap.Socket) bool { return !x.Remote.IsValid() && !engineSocket(&x) })
}

// overriding is the line of the hosts file that answers a name; 0 for none.
func overriding(in *diag.Input, n *diag.NameCase) (netip.Addr, int) {
	r := in.Snap.Resolver(n.Ask.Container)
	if r == nil {
		return netip.Addr{}, 0
	}
	want := strings.ToLower(strings.TrimSuffix(n.Ask.Name, "."))
	for _, l := range r.Hosts {
		for _, name := range l.Names {
			if strings.ToLower(name) == want && l.Addr.Is4() == (n.Ask.Type != "AAAA" && n.Path.Verdict != names.NoData) {
				return l.Addr, l.Line
			}
		}
	}
	return netip.Addr{}, 0
}

// linkedNow is the address that a container has by now for which --link wrote a line;
// invalid for any other line.
func linkedNow(in *diag.Input, p *names.Problem, r *snap.Resolver, line int) netip.Addr {
	c := in.Snap.Container(p.Container)
	if c == nil || r == nil || !slices.ContainsFunc(r.Hosts, func(l snap.HostsLine) bool { return l.Line == line && l.Addr.Is4() && names.LinkedTo(&l, c) }) {
		return netip.Addr{}
	}
	for j := range c.Endpoints {
		if a := c.Endpoints[j].IPv4.Addr(); a.IsValid() {
			return a
		}
	}
	return netip.Addr{}
}

// isLocalhost says whether a name is that of the loopback address.
func isLocalhost(name string) bool {
	return strings.EqualFold(strings.TrimSuffix(name, "."), "localhost")
}

// hostsLine is a line of a file, or what was read of it.
func hostsLine(raw string, line int, addr netip.Addr, name string) string {
	if ls := strings.Split(raw, "\n"); raw != "" && line > 0 && line <= len(ls) {
		return strings.Join(strings.Fields(ls[line-1]), " ")
	}
	return addr.String() + " " + name
}

// fixHosts takes the line out. A line that also names others stays without the one.
func fixHosts(in *diag.Input, f *diag.Finding) []fixups.Op {
	n := &in.Names[f.Covers.Names[0]]
	c, r := in.Snap.Container(n.Ask.Container), in.Snap.Resolver(n.Ask.Container)
	addr, line := overriding(in, n)
	if f.Severity != diag.Error || c == nil || r == nil || line == 0 || r.HostsRaw == "" || !strings.HasPrefix(r.HostsSource, "root:") {
		return nil
	}
	text, ok := withoutName(r.HostsRaw, line, addr, strings.TrimSuffix(n.Ask.Name, "."))
	if now := linkedNow(in, n.Path.Problem, r, line); now.IsValid() {
		ls := strings.SplitAfter(r.HostsRaw, "\n")
		ls[line-1] = strings.Replace(ls[line-1], addr.String(), now.String(), 1)
		text = strings.Join(ls, "")
	}
	if !ok {
		return nil
	}
	return []fixups.Op{&fixups.FileWrite{Owner: c.Ref, Pid: c.PID, Path: "/etc/hosts", File: "hosts", Old: &r.HostsRaw, Content: text}}
}

// withoutName is a hosts file without a name on one of its lines; false when that
// line is not the one that was meant.
func withoutName(raw string, line int, addr netip.Addr, name string) (string, bool) {
	ls := strings.SplitAfter(raw, "\n")
	if line > len(ls) || !strings.Contains(ls[line-1], addr.String()) {
		return "", false
	}
	var keep []string
	for i, w := range strings.Fields(strings.SplitN(ls[line-1], "#", 2)[0]) {
		if i == 0 || !strings.EqualFold(w, name) {
			keep = append(keep, w)
		}
	}
	ls[line-1] = ""
	if len(keep) > 1 {
		ls[line-1] = strings.Join(keep, "\t") + "\n"
	}
	return strings.Join(ls, ""), true
}
