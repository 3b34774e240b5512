package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2213: an answer leaves by another way than the one on which its address was rewritten.
//
// A published port is rewritten to the container's address on this host, and only this
// host, where the answer passes it again, puts the old address back. A container that
// is also on the LAN itself (macvlan, ipvlan, a device that was moved into it), or whose
// route to the asker is by such a device, answers there directly: the asker gets an
// answer from an address that it never asked, and drops it. Askers that are reached by
// the container's default route are served all the same, so that the port seems to work
// from some places and not from others.
//
// Likewise on one bridge: a service's address that rules rewrite to a neighbour's is
// answered by that neighbour over the bridge, whose frames pass the rules, and the NAT,
// only with net.bridge.bridge-nf-call-iptables=1 (br_netfilter; Kubernetes asks for it).
//
// See it by hand:
//
//	nsenter -t PID -n ip route get ASKER     by which device it answers
//	tcpdump -ni UPLINK host ASKER            answers with the container's own address
//	sysctl net.bridge.bridge-nf-call-iptables
//
// False positives: a port that is published for far-away clients, while neighbours use
// the container's own address on the LAN. Unless somebody asks, or nobody at all is
// served, that is only remarked.
//
// Sources: net/netfilter/nf_nat_core.c: nf_nat_packet; RFC 793 section 3.4;
// net/bridge/br_netfilter_hooks.c: br_nf_pre_routing
func nd2213() diag.Check {
	return diag.Check{
		Code: "ND2213", Name: "answer-past-nat", Severity: diag.Error, Since: "0.2",
		Title:  "The answers of a published port leave past the NAT that rewrote the question",
		After:  []diag.Code{"ND2205"},
		Detect: func(in *diag.Input) []diag.Finding { return append(detectND2213(in), bridgedPast(in)...) },
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			ns := in.Netns(f.Subject.Netns)
			if v, ok := ns.Sysctl(f.Subject.Name); f.Subject.Kind != "sysctl" || !ok || v != "0" {
				return nil
			}
			ops := []fixups.Op{&fixups.SysctlSet{Where: at(in, ns.ID), Key: f.Subject.Name, Value: "1"}}
			if !healAll(in, f.Covers.Traces, ops) {
				return nil
			}
			return ops
		},
	}
}

func detectND2213(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Flows {
		f := &in.Flows[i]
		ref := answeredPast(in, f)
		if ref == "" {
			continue
		}
		ns := in.Netns(f.Trace.Arrived)
		who, got := in.Who(ns.ID), f.Trace.ArrivedAs
		line, source := routeLine(in, ns.ID, ref)
		gw := "GATEWAY"
		for _, a := range attachments(in) {
			if g, _ := gateway4(a.n); g.IsValid() && a.ns == ns && a.e.IPv4.Addr() == got.Addr() {
				gw = g.String()
			}
		}
		dev, own := "another device", ""
		if r, ok := itemAt[*snap.Route](in, ref); ok {
			dev = ns.LinkName(r.Oif)
			for _, a := range ns.AddrsOf(r.Oif) {
				if a.Prefix.Addr().Is4() == got.Addr().Is4() && !a.Prefix.Addr().IsLinkLocalUnicast() {
					own = a.Prefix.Addr().String()
				}
			}
		}
		subject := diag.Subject{Kind: "link", Name: dev, Netns: ns.ID}
		if k := sameSubject(out, subject); k >= 0 {
			out[k].Covers.Traces = append(out[k].Covers.Traces, i)
			if !f.Excused {
				out[k].Severity = diag.Error
			}
			continue
		}
		x := diag.Finding{
			Summary: fmt.Sprintf("%s answers %s by %s, past the NAT of this host: what was sent to %s is answered from %s, and dropped", who, f.Flow.Src, dev, f.To, got),
			Cause:   fmt.Sprintf("%s was rewritten to %s here, but %q leads the answer out by %s, where nobody puts the old address back", f.To, got, line, dev),
			Subject: subject,
			Evidence: []diag.Evidence{
				ev(source, line, ref),
				ev("trace", f.Trace.Where.Detail, f.Trace.Where.Ref),
			},
			Covers: diag.Cover{Traces: []int{i}},
			Advice: fmt.Sprintf("have %s answer by the way the question came: %s; %s", got.Addr(),
				ipIn(in, ns.ID, "route add default via "+gw+" table 100"), ipIn(in, ns.ID, "rule add from "+got.Addr().String()+" lookup 100")),
			Weight: 74,
		}
		if own != "" {
			x.Advice = fmt.Sprintf("let %s ask %s, the address of %s on %s, instead; or ", f.Flow.Src, own, who, dev) + x.Advice
		}
		if f.Excused {
			x.Severity = diag.Info
		}
		out = append(out, x)
	}
	return out
}

// answeredPast is the route of a container by which it answers somebody outside without
// coming by this host again, which had rewritten the question; "" for no such thing.
func answeredPast(in *diag.Input, f *diag.FlowCase) snap.Ref {
	w := f.Trace.Where
	if !f.Broken() || w == nil || !w.Foreign || f.Flow.Iif == "" || len(f.Trace.NATed) == 0 || !owned(in, f.Trace.Arrived) || f.Trace.Arrived == in.Snap.Host.Netns {
		return ""
	}
	var ref snap.Ref
	for i := range f.Trace.Reply {
		h := &f.Trace.Reply[i]
		if h.Netns == in.Snap.Host.Netns && h.Stage == "route" {
			return "" // it came by, and was not rewritten back: ND3222 tells of that
		}
		for _, b := range h.Because {
			if _, ok := itemAt[*snap.Route](in, b); ok && h.Netns == f.Trace.Arrived && ref == "" {
				ref = b
			}
		}
	}
	return ref
}
