package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd8102: a swarm's virtual addresses lead nowhere.
//
// A swarm service's name resolves to one virtual address. What is sent there goes to a
// namespace of its own (lb_ and the network's id), where IPVS passes it on to one of the
// tasks. Docker has no other way: without IPVS in the kernel it logs "Could not get ipvs
// family information from the kernel", gives the address to nobody, and writes no rule
// for the ports that the swarm publishes. Names still resolve, so that it looks like a
// dead service; the tasks themselves answer, at their own addresses and at tasks.NAME.
//
// See it by hand:
//
//	cat /proc/net/ip_vs                      no such file: the kernel has no IPVS
//	nsenter --net=/run/docker/netns/lb_ID ip addr show eth0     the virtual addresses, /32 each
//	nsenter --net=/run/docker/netns/lb_ID cat /proc/net/ip_vs   a firewall mark each, and its tasks
//	docker service inspect -f '{{json .Endpoint.VirtualIPs}}' NAME
//
// Fix: modprobe ip_vs, where the kernel has it, then docker service update --force NAME;
// elsewhere --endpoint-mode dnsrr, or the name tasks.NAME, and ports in mode=host.
//
// Sources: moby daemon/libnetwork/service_linux.go: addLBBackend; osl; net/netfilter/ipvs
func nd8102() diag.Check {
	return diag.Check{
		Code: "ND8102", Name: "service-balancer", Severity: diag.Error, Since: "0.2",
		Title:  "A service's virtual address resolves, but nothing balances what is sent to it",
		Detect: detectND8102,
	}
}

func detectND8102(in *diag.Input) []diag.Finding {
	var all []dead
	for i := range in.Snap.Networks {
		n := &in.Snap.Networks[i]
		e := in.Snap.Engine(n.Engine)
		if n.Engine != "docker" || n.Driver != "overlay" || e == nil || !e.SwarmActive {
			continue
		}
		for j := range n.Services {
			v := &n.Services[j]
			lb := balancer(in, n)
			if !v.VIP.IsValid() || len(v.Tasks) == 0 || lb == nil || n.Ingress && len(v.Ports) == 0 {
				continue
			}
			if cause := unbalanced(in, n, v, lb); cause != "" {
				all = append(all, dead{n, v, lb, cause, toService(in, n, v)})
			}
		}
	}
	// What was asked for is named first.
	snap.Sort(all, func(a, b dead) int {
		return len(b.cover.Traces) + len(b.cover.Names) - len(a.cover.Traces) - len(a.cover.Names)
	})
	var out []diag.Finding
	for len(all) > 0 {
		var same []dead
		cause := all[0].cause
		all = snap.Without(all, func(d dead) bool {
			if d.cause == cause {
				same = append(same, d)
			}
			return d.cause == cause
		})
		out = append(out, together(in, same))
	}
	return out
}

// dead is a service whose virtual address on a network nobody balances.
type dead struct {
	n     *snap.Network
	v     *snap.Service
	lb    *snap.Netns
	cause string
	cover diag.Cover
}

const noIPVS = "this kernel has no IPVS, which Docker needs for virtual addresses"

// unbalanced says why nothing passes on what is sent to a virtual address, ""
// where IPVS does.
func unbalanced(in *diag.Input, n *snap.Network, v *snap.Service, lb *snap.Netns) string {
	if !slices.Contains(in.Snap.Host.Modules, "ip_vs") {
		return noIPVS
	}
	marked := slices.ContainsFunc(lb.IPVS, func(x snap.IPVSService) bool {
		return slices.ContainsFunc(x.Dests, func(d snap.IPVSDest) bool { return slices.Contains(v.Tasks, d.Addr.Addr()) })
	})
	_, held := lb.HasAddr(v.VIP)
	switch {
	case !held && !n.Ingress:
		return fmt.Sprintf("%s, which balances for network %s, does not hold %s", lb.ID, n.Name, v.VIP)
	case !marked:
		return fmt.Sprintf("IPVS of %s knows none of the tasks of %s", lb.ID, v.Name)
	}
	return ""
}

// together makes one finding of the services that one cause stops.
func together(in *diag.Input, same []dead) diag.Finding {
	f := diag.Finding{Cause: same[0].cause, Subject: diag.Subject{Kind: "network", Name: same[0].n.Name}, Weight: 45}
	var names, ports, update []string
	for _, d := range same {
		f.Covers.Traces = append(f.Covers.Traces, d.cover.Traces...)
		f.Covers.Names = append(f.Covers.Names, d.cover.Names...)
		if !slices.Contains(update, d.v.Name) {
			update = append(update, d.v.Name)
		}
		if d.n.Ingress {
			ports = append(ports, portsOf(d.v)+" for "+d.v.Name)
			continue
		}
		names = append(names, d.v.Name)
		f.Evidence = append(f.Evidence, ev("docker network inspect -v "+d.n.Name, fmt.Sprintf("%s: VIP %s; tasks %s", d.v.Name, d.v.VIP, joined(d.v.Tasks)), snap.RefNetwork(d.n.Ref)))
	}
	switch {
	case len(names) == 1:
		f.Summary = fmt.Sprintf("service %s resolves to %s, where nothing answers", names[0], same[slices.IndexFunc(same, func(d dead) bool { return !d.n.Ingress })].v.VIP)
	case len(names) > 1:
		f.Summary = "services " + shortened(names) + " resolve to virtual addresses, where nothing answers"
	}
	if len(ports) > 0 {
		if f.Summary != "" {
			f.Summary += ", and "
		}
		f.Summary += "ports that the swarm publishes lead nowhere on this host (" + shortened(ports) + ")"
	}
	f.Summary += ": " + f.Cause
	if f.Cause == noIPVS {
		f.Evidence = append([]diag.Evidence{ev("cat /proc/net/ip_vs", "no such file: IPVS is not in the kernel", snap.RefNetns(in.Snap.Host.Netns))}, f.Evidence...)
		f.Advice = "modprobe ip_vs, then docker service update --force " + strings.Join(update, " ") + "; where the kernel has no IPVS:"
		if len(names) > 0 {
			f.Advice += fmt.Sprintf(" use the name tasks.%s, or docker service update --endpoint-mode dnsrr %s;", names[0], names[0])
		}
		if len(ports) > 0 {
			f.Advice += " publish ports with mode=host;"
		}
		f.Advice = strings.TrimSuffix(f.Advice, ";")
		return f
	}
	lb := same[0].lb
	f.Evidence = append([]diag.Evidence{ev(ipIn(in, lb.ID, "addr show eth0"), prefixes(lb), snap.RefNetns(lb.ID))}, f.Evidence...)
	f.Advice = "docker service update --force " + strings.Join(update, " ")
	return f
}

// balancer is the namespace that Docker balances in for a network: lb_ and the
// first nine letters of the network's id, or the ingress network's own (moby
// daemon/libnetwork/sandbox_linux.go, network.go: createLoadBalancerSandbox).
func balancer(in *diag.Input, n *snap.Network) *snap.Netns {
	want := "lb_" + n.ID[:min(9, len(n.ID))]
	if n.Ingress {
		want = "ingress_sbox"
	}
	for i := range in.Snap.Netns {
		if ns := &in.Snap.Netns[i]; slices.Contains(ns.Names, want) && ns.Class.Ours() {
			return ns
		}
	}
	return nil
}

// toService are the flows and names that end at a service's virtual address or
// published ports.
func toService(in *diag.Input, n *snap.Network, v *snap.Service) diag.Cover {
	var c diag.Cover
	for i := range in.Flows {
		f := &in.Flows[i]
		meshed := n.Ingress && f.Port != nil && slices.ContainsFunc(v.Ports, func(p snap.Port) bool { return p == *f.Port }) ||
			n.Ingress && f.Asked && slices.ContainsFunc(v.Ports, func(p snap.Port) bool { return p.HostPort == f.Flow.Dport && p.Proto == f.Flow.Proto }) && toHost(in, f.Flow.Dst)
		if (!n.Ingress && f.Flow.Dst == v.VIP || meshed) && (f.Broken() || diag.ProbeSays(f.Probe) == "dropped" || diag.ProbeSays(f.Probe) == "refused") {
			c.Traces = append(c.Traces, i)
		}
	}
	for i := range in.Names {
		if p := in.Names[i].Path; !n.Ingress && p != nil && slices.Contains(p.Answers, v.VIP.String()) {
			c.Names = append(c.Names, i)
		}
	}
	return c
}

func toHost(in *diag.Input, a netip.Addr) bool {
	host := in.Snap.HostNs()
	if host == nil {
		return false
	}
	_, ok := host.HasAddr(a)
	return ok
}

func joined(list []netip.Addr) string {
	var out []string
	for _, a := range list {
		out = append(out, a.String())
	}
	return shortened(out)
}

func shortened(list []string) string {
	const most = 4
	if len(list) > most {
		list = append(slices.Clone(list[:most]), fmt.Sprintf("and %d more", len(list)-most))
	}
	return strings.Join(list, ", ")
}

func portsOf(v *snap.Service) string {
	var out []string
	for _, p := range v.Ports {
		out = append(out, fmt.Sprintf("%d/%s", p.HostPort, p.Proto))
	}
	return strings.Join(out, ", ")
}

func prefixes(ns *snap.Netns) string {
	var out []string
	for _, a := range ns.Addrs {
		out = append(out, a.Prefix.String())
	}
	return strings.Join(out, " ")
}
