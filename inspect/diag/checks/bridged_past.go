package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// bridgedPast are answers that a bridge hands to the asker, while the question went
// through this host and its NAT.
func bridgedPast(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Flows {
		f := &in.Flows[i]
		w := f.Trace.Where
		if !f.Broken() || f.Excused || w == nil || !w.Foreign || f.Flow.Iif != "" || len(f.Trace.NATed) == 0 {
			continue
		}
		ns, bridge := answeredOver(in, f)
		if ns == nil {
			continue
		}
		key := "net/bridge/bridge-nf-call-iptables"
		if f.Flow.Dst.Is6() {
			key = "net/bridge/bridge-nf-call-ip6tables"
		}
		name := fixups.SysctlName(key)
		subject := diag.Subject{Kind: "sysctl", Name: key, Netns: ns.ID}
		if k := sameSubject(out, subject); k >= 0 {
			out[k].Covers.Traces = append(out[k].Covers.Traces, i)
			continue
		}
		is, advice := name+" is 0", ""
		if _, ok := ns.Sysctl(key); !ok {
			is, advice = "br_netfilter is not loaded", "modprobe br_netfilter && sysctl -w "+name+"=1; and in /etc/modules-load.d and /etc/sysctl.d, to last"
		}
		got := f.Trace.ArrivedAs
		out = append(out, diag.Finding{
			Summary:  fmt.Sprintf("%s answers %s over the bridge %s, past the NAT of %s: %s", in.Who(f.Trace.Arrived), f.From, bridge, in.Who(ns.ID), is),
			Cause:    fmt.Sprintf("%s was rewritten to %s here; the answer is bridged to the asker with that address, which it never asked, as bridged frames do not pass the rules", f.To, got),
			Subject:  subject,
			Evidence: []diag.Evidence{ev(in.IPCommand(ns.ID, "sysctl "+name), is, snap.RefSysctl(ns.ID, key)), ev("trace", w.Detail, w.Ref)},
			Covers:   diag.Cover{Traces: []int{i}},
			Advice:   advice,
			Weight:   74,
		})
	}
	return out
}

// answeredOver is the namespace of ours, and the bridge in it, by which the answer to a
// flow went without coming up to that namespace's own stack; nil for none.
func answeredOver(in *diag.Input, f *diag.FlowCase) (*snap.Netns, string) {
	var ns *snap.Netns
	bridge := ""
	for i := range f.Trace.Reply {
		h := &f.Trace.Reply[i]
		at := in.Netns(h.Netns)
		if at == nil || !at.Class.Ours() || h.Netns == f.Trace.Arrived || h.Netns == f.Flow.From {
			continue
		}
		l := at.Link(h.Device)
		if l == nil || h.Stage == "route" {
			return nil, ""
		}
		if br := at.LinkAt(l.Master); br != nil && br.Bridge != nil {
			ns, bridge = at, br.Name
		}
	}
	return ns, bridge
}
