package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd5110: a published port is answered by somebody else than its container, or
// by nobody although it is published.
func nd5110() diag.Check {
	return diag.Check{
		Code: "ND5110", Name: "published-port-astray", Severity: diag.Error, Since: "0.1",
		Title: "A published port does not lead to its container",
		Doc: `Packets to a published port reach the container by a DNAT rule, or, from the host
itself and by ways that no rule covers, through the docker-proxy process that
listens on the port. With --userland-proxy=false the engine keeps a socket of its
own on the port as a placeholder: when the DNAT rule is gone, connections end
there, are accepted by the kernel, and nobody ever answers. When the proxy has
died, connections from the host itself are refused.

See it by hand:
    iptables -t nat -S DOCKER                no DNAT for the port
    ss -lntp 'sport = :PORT'                 dockerd holds it, or nobody does
    docker port NAME

Sources: moby libnetwork/portmapper; cmd/docker-proxy`,
		After: []diag.Code{"ND6101", "ND3201", "ND3205"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for i := range in.Flows {
				f := &in.Flows[i]
				c := in.Snap.Container(f.Target)
				if !f.Astray || f.Excused || c == nil {
					continue
				}
				holder := "another socket"
				if s := f.Trace.Socket; s != nil && s.Process != nil {
					holder = fmt.Sprintf("%s (pid %d)", s.Process.Name, s.Process.PID)
				}
				x := diag.Finding{
					Summary:  fmt.Sprintf("port %d/%s of this host ends at %s in %s instead of %s: no DNAT rule sends it to the container", f.Port.HostPort, f.Port.Proto, holder, in.Who(f.Trace.Arrived), c.Name),
					Cause:    fmt.Sprintf("no rule of nat PREROUTING or OUTPUT sends port %d to %s, so the host's own socket takes the connection", f.Port.HostPort, c.Name),
					Subject:  diag.Subject{Kind: "port", Name: fmt.Sprintf("%d/%s/host", f.Port.HostPort, f.Port.Proto), Netns: in.Snap.Host.Netns},
					Evidence: []diag.Evidence{ev("ss -lntup", fmt.Sprintf("%s %s", f.Trace.ArrivedAs, holder), snap.RefNetns(f.Trace.Arrived)), ev("iptables -t nat -S", fmt.Sprintf("(no DNAT of port %d to %s)", f.Port.HostPort, c.Name), snap.RefNetns(in.Snap.Host.Netns))},
					Covers:   diag.Cover{Traces: []int{i}},
					Advice:   fmt.Sprintf("put the rule back, or restart %s so that its engine does", c.Name),
					Weight:   57,
				}
				if at := sameSubject(out, x.Subject); at >= 0 {
					out[at].Covers.Traces = append(out[at].Covers.Traces, i)
					continue
				}
				out = append(out, x)
			}
			return append(out, unanswered(in)...)
		},
	}
}

// unanswered are the published ports of engines without a proxy that no rule
// leads on: the host itself refuses them.
func unanswered(in *diag.Input) []diag.Finding {
	all := atHost(in, func(f *diag.FlowCase) *diag.Finding {
		c := in.Snap.Container(f.Target)
		if f.Port == nil || c == nil {
			return nil
		}
		if e := in.Snap.Engine(c.Engine); e == nil || e.UserlandProxy {
			return nil
		}
		hook := "prerouting"
		if f.Flow.Iif == "" {
			hook = "output"
		}
		return &diag.Finding{
			Summary: fmt.Sprintf("no %s rule sends port %d/%s of this host to %s, which publishes it: %s is refused", hook, f.Port.HostPort, f.Port.Proto, c.Name, f.From),
			Cause:   fmt.Sprintf("the packet passes the nat chains of the hook %s with the destination %s:%d as it was, and nobody on this host listens there", hook, f.Flow.Dst, f.Flow.Dport),
			Evidence: []diag.Evidence{
				ev("nft list ruleset; iptables -t nat -S", fmt.Sprintf("(no dnat of %d to %s in %s)", f.Port.HostPort, c.Name, hook), snap.RefNetns(in.Snap.Host.Netns)),
				ev(diag.PortCommand(c), fmt.Sprintf("%d/%s -> %d", f.Port.ContainerPort, f.Port.Proto, f.Port.HostPort), snap.RefContainer(c.Ref)),
			},
			Advice: fmt.Sprintf("put the rule back, or restart %s so that its engine does", c.Name),
		}
	})
	var out []diag.Finding
	for _, f := range all {
		if k := sameSubject(out, f.Subject); k >= 0 {
			out[k].Covers.Traces = append(out[k].Covers.Traces, f.Covers.Traces...)
			continue
		}
		out = append(out, f)
	}
	return out
}

// sameSubject is the finding that speaks of a subject; -1 none does.
func sameSubject(fs []diag.Finding, s diag.Subject) int {
	for i := range fs {
		if fs[i].Subject == s {
			return i
		}
	}
	return -1
}
