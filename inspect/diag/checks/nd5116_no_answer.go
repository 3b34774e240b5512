package checks

import (
	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd5116: the packet is at its destination, whose stack stays silent.
func nd5116() diag.Check {
	return diag.Check{
		Code: "ND5116", Name: "stack-silent", Severity: diag.Error, Since: "0.2",
		Title: "The packet arrives, and the destination's stack does not answer",
		Doc: `The way is free, the packet is in the namespace that it is for, and the kernel
there takes it and says nothing: echoes are ignored by a sysctl (hardening scripts
set it; whoever pings to see whether a machine is up is misled), the listener's
queue is full, or its process is stopped.

See it by hand:
    nsenter -t PID -n sysctl net.ipv4.icmp_echo_ignore_all
    nsenter -t PID -n tcpdump -ni any icmp   requests come, nothing goes

False positives: echoes that are ignored by will. Unless they were asked for, that
is only remarked.

Sources: net/ipv4/icmp.c: icmp_echo; net/ipv6/icmp.c: icmpv6_rcv`,
		CatchAll: true,
		After:    []diag.Code{"ND5107", "ND5108", "ND5109"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range in.Groups(sim.CauseNoAnswer) {
				if !owned(in, g.Where.Netns) {
					continue
				}
				f := placeFinding(in, g)
				f.Subject = diag.Subject{Kind: "sysctl", Name: string(g.Where.Ref), Netns: g.Where.Netns}
				f.Severity = diag.Info
				for _, i := range g.Flows {
					if in.Flows[i].Asked || in.Flows[i].Flow.Proto == snap.TCP || in.Flows[i].Flow.Proto == snap.UDP {
						f.Severity = diag.Error
					}
				}
				f.Advice = "see which requests come in: " + in.IPCommand(g.Where.Netns, "tcpdump -ni any icmp")
				f.Weight = 30
				out = append(out, f)
			}
			return out
		},
		Fix: fixND5116,
	}
}

// fixND5116 has echoes answered again.
func fixND5116(in *diag.Input, f *diag.Finding) []fixups.Op {
	w := in.Flows[f.Covers.Traces[0]].Trace.Where
	for _, key := range []string{"net/ipv4/icmp_echo_ignore_all", "net/ipv6/icmp/echo_ignore_all"} {
		if f.Severity != diag.Info && w.Ref == snap.RefSysctl(w.Netns, key) {
			return []fixups.Op{&fixups.SysctlSet{Where: at(in, w.Netns), Key: key, Value: "0"}}
		}
	}
	return nil
}
