package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
)

// onlySource is the sender of all flows of a finding; the word ADDRESS where
// they have none or several.
func onlySource(in *diag.Input, f *diag.Finding) string {
	src := in.Flows[f.Covers.Traces[0]].Flow.Src
	if !src.IsValid() || slices.ContainsFunc(f.Covers.Traces, func(i int) bool { return in.Flows[i].Flow.Src != src }) {
		return "ADDRESS"
	}
	return src.String()
}

// ownerAdvice says where a program's rules are changed for good.
func ownerAdvice(owner string) string {
	switch owner {
	case "ufw":
		return "allow it in ufw's own configuration: ufw allow in on DEVICE to any port PORT, or ufw route allow in on IN out on OUT"
	case "firewalld":
		return "put the bridge into a zone that accepts: firewall-cmd --permanent --zone=docker --change-interface=BRIDGE; firewall-cmd --reload"
	case "fail2ban":
		return "take the address off the jail: fail2ban-client unban ADDRESS"
	case "netdoctor", "Docker", "Podman (netavark)":
		return "the engine keeps networks apart, and unpublished ports closed, by design: use a common network, or publish the port and ask this host for it"
	case "kube-proxy", "kube-router", "Calico", "Cilium", "Weave Net":
		return "a service without endpoints or a network policy says so: kubectl get endpoints, networkpolicy -A"
	}
	return "change it where " + owner + " is configured"
}

// directAdvice is for who comes from outside to a container's own address, which Docker
// keeps out from 28 on, in raw PREROUTING, whatever is published (docs.docker.com, packet
// filtering, direct routing); "" for others.
func directAdvice(in *diag.Input, flow *diag.FlowCase, w *sim.Where) string {
	c := in.Graph.ContainerOfAddr(flow.Flow.Dst)
	if c == nil || flow.Flow.Iif == "" || w.Rule == nil || w.Rule.ChainP == nil || w.Rule.ChainP.Hook != "prerouting" {
		return ""
	}
	way := "publish the port, and ask this host for it"
	for _, p := range c.Ports {
		if p.HostPort != 0 && p.ContainerPort == flow.Flow.Dport && p.Proto == flow.Flow.Proto {
			way = fmt.Sprintf("ask this host for port %d, where %s publishes it", p.HostPort, c.Name)
		}
	}
	return fmt.Sprintf("Docker keeps who comes from outside from the containers' own addresses: %s; or have the network let them in (com.docker.network.bridge.gateway_mode_ipv4=nat-unprotected or routed), or the daemon (allow-direct-routing)", way)
}
