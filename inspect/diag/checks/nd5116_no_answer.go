package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd5116: the packet is at its destination, whose stack stays silent.
//
// The way is free, the packet is in the namespace that it is for, and the kernel
// there takes it and says nothing: echoes are ignored by a sysctl (hardening scripts
// set it; whoever pings to see whether a machine is up is misled), ARP questions are
// (arp_ignore, of load balancers' recipes), the listener's queue is full, or its
// process is stopped. Or a UDP program answers, but from another address of its own than
// the one that was asked. A container that answers no ARP question at all is told of also
// while others still know its MAC from an earlier packet: it works by luck.
//
// See it by hand:
//
//	nsenter -t PID -n sysctl -a | grep -e echo_ignore -e arp_ignore
//	nsenter -t PID -n tcpdump -ni any icmp   requests come, nothing goes
//
// False positives: echoes that are ignored by will. Unless they were asked for, that
// is only remarked.
//
// Sources: net/ipv4/icmp.c: icmp_echo; net/ipv6/icmp.c: icmpv6_rcv; ip(7): IP_PKTINFO
func nd5116() diag.Check {
	return diag.Check{
		Code: "ND5116", Name: "stack-silent", Severity: diag.Error, Since: "0.2",
		Title:    "The packet arrives, and the destination's stack does not answer",
		CatchAll: true,
		After:    []diag.Code{"ND5107", "ND5108", "ND5109"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range in.Groups(sim.CauseNoAnswer) {
				w := mute(g.Where)
				if !owned(in, w.Netns) {
					continue
				}
				subject := diag.Subject{Kind: "sysctl", Name: string(w.Ref), Netns: w.Netns}
				k := sameSubject(out, subject)
				if k < 0 || w.Ref == "" {
					f := placeFinding(in, g)
					f.Subject, f.Severity, f.Weight = subject, diag.Info, 30
					f.Advice = "see which requests come in: " + in.IPCommand(w.Netns, "tcpdump -ni any arp or icmp")
					f.Covers.Traces = nil
					out = append(out, f)
					k = len(out) - 1
				}
				f := &out[k]
				f.Covers.Traces = append(f.Covers.Traces, g.Flows...)
				for _, i := range g.Flows { // a needed echo is only what stands for a needed way
					if x := &in.Flows[i]; x.Asked || x.Flow.Proto == snap.TCP || x.Flow.Proto == snap.UDP || w.Layer == "neigh" {
						f.Severity = diag.Error
					}
				}
			}
			return slices.Concat(out, fromElsewhere(in), answeredElsewhere(in), deaf(in, out))
		},
		Fix: fixND5116,
	}
}

// fromElsewhere are the UDP flows that their program answers from another address of its
// namespace than the one that was asked.
func fromElsewhere(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Flows {
		f := &in.Flows[i]
		if f.Probe == nil || f.Flow.Proto != snap.UDP || f.Trace.Verdict != sim.Delivered || !f.Probe.Strange.IsValid() {
			continue
		}
		ns, as, got := in.Netns(f.Trace.Arrived), f.Trace.ArrivedAs.Addr(), f.Probe.Strange.Addr()
		if ns == nil || !ns.Class.Ours() || got == f.Flow.Dst {
			continue
		}
		if _, own := ns.HasAddr(got); !own {
			continue
		}
		who, program := in.Who(ns.ID), f.Trace.Socket.Holder("the program there")
		out = append(out, diag.Finding{
			Summary:  fmt.Sprintf("%s answers %s from %s, not from %s, which was asked: %s drops the answer", who, f.From, got, f.Flow.Dst, f.From),
			Cause:    fmt.Sprintf("%s is bound to all addresses, so the kernel gives its answer the address of the route back, %s; who asks takes an answer from whom it asked only", program, got),
			Subject:  diag.Subject{Kind: "port", Name: fmt.Sprintf("%d/udp/%s", f.Trace.ArrivedAs.Port(), who), Netns: ns.ID},
			Evidence: []diag.Evidence{probed(in, f.Probe, f.Probe.Detail), ev(in.IPCommand(ns.ID, "ss -lnup"), socketList(ns, snap.UDP), snap.RefNetns(ns.ID))},
			Covers:   diag.Cover{Traces: []int{i}},
			Advice:   fmt.Sprintf("bind the program to %s (a socket for each address, if it needs several), or ask it at %s; programs that mean it take the address from IP_PKTINFO", as, got),
			Weight:   62,
		})
	}
	return out
}

// deaf are the containers that answer nobody's ARP question, and are reached as
// long as their neighbours know them from an earlier packet.
func deaf(in *diag.Input, told []diag.Finding) []diag.Finding {
	var out []diag.Finding
	for _, a := range attachments(in) {
		if a.n.Driver != "bridge" || a.link == nil || !a.e.IPv4.IsValid() {
			continue
		}
		for _, dev := range []string{a.link.Name, "all"} {
			key := "net/ipv4/conf/" + dev + "/arp_ignore"
			ref := snap.RefSysctl(a.ns.ID, key)
			s := diag.Subject{Kind: "sysctl", Name: string(ref), Netns: a.ns.ID}
			if a.ns.Sysctls[key] != "8" || sameSubject(told, s) >= 0 || sameSubject(out, s) >= 0 || a.link.NoARP {
				continue // the kernel takes the larger of the two (net/ipv4/arp.c: arp_ignore)
			}
			name := strings.ReplaceAll(key, "/", ".")
			out = append(out, diag.Finding{
				Severity: diag.Warning,
				Summary:  fmt.Sprintf("%s answers no ARP question on %s (%s=8): it is reached by those alone that know its MAC from an earlier packet", a.c.Name, a.link.Name, name),
				Cause:    "as soon as a neighbour has forgotten it, it asks, and gets no answer",
				Subject:  s,
				Evidence: []diag.Evidence{ev(in.IPCommand(a.ns.ID, "sysctl "+name), name+" = 8", ref)},
				Fix:      &diag.Fix{Ops: []fixups.Op{&fixups.SysctlSet{Where: at(in, a.ns.ID), Key: key, Value: "0"}}, Survives: "until the container is started again"},
				Advice:   "whatever set it (a load balancer's recipe, a sysctl of the container) sets it again",
				Weight:   30,
			})
		}
	}
	return out
}

// mute is the place whose stack stays silent: of a question for a neighbour that
// got no answer, that of whoever was asked.
func mute(w *sim.Where) *sim.Where {
	if w.Behind != nil {
		return w.Behind
	}
	return w
}

// fixND5116 has echoes, or questions for its address, answered again.
func fixND5116(in *diag.Input, f *diag.Finding) []fixups.Op {
	if len(f.Covers.Traces) == 0 {
		return nil
	}
	place := in.Flows[f.Covers.Traces[0]].Trace.Where
	if place == nil {
		return nil // it answers
	}
	w := mute(place)
	prefix := string(snap.RefSysctl(w.Netns, ""))
	key, ok := strings.CutPrefix(string(w.Ref), prefix)
	switch {
	case !ok || f.Severity == diag.Info:
		return nil
	case key == "net/ipv4/icmp_echo_ignore_all", key == "net/ipv6/icmp/echo_ignore_all", strings.HasSuffix(key, "/arp_ignore"):
		return []fixups.Op{&fixups.SysctlSet{Where: at(in, w.Netns), Key: key, Value: "0"}}
	}
	return nil
}
