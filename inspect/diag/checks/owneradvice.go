package checks

import (
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
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
