package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd3106: a bpf program on a hook of netfilter drops packets.
//
// From Linux 6.4 on a program can stand on the hooks that iptables and nft have their
// chains on, and no list of theirs shows it. What it does is not modelled: it is named
// where a probe died on such a hook and no rule is there that could have done it.
//
// See it by hand:
//
//	bpftool link list                        netfilter, with hook and prio
//	bpftool prog show id N
//
// False positives: none known; whether the drop is meant is for its owner to say.
//
// Sources: net/netfilter/nf_bpf_link.c: bpf_nf_link_attach; bpftool-link(8)
func nd3106() diag.Check {
	return diag.Check{
		Code: "ND3106", Name: "hook-program-drops", Severity: diag.Error, Since: "0.2",
		Title: "A bpf program on a hook of netfilter drops packets",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			at := func(ns *snap.Netns, prog uint32, p *snap.Probe, flows ...int) {
				for i := range ns.Ruleset.BPF {
					x := &ns.Ruleset.BPF[i]
					if x.Accepts || prog != 0 && x.Program != prog || !freedOnHook(p, ns.ID) {
						continue
					}
					subject := diag.Subject{Kind: "bpf link", Name: fmt.Sprint(x.Link), Netns: ns.ID}
					k := sameSubject(out, subject)
					if k < 0 {
						who, end := "", ""
						if h := x.Holder; h != nil {
							who, end = fmt.Sprintf("; %s (pid %d) holds it there", h.Name, h.PID), fmt.Sprintf("end %s (pid %d), or ", h.Name, h.PID)
						}
						k = len(out)
						out = append(out, diag.Finding{
							Summary: fmt.Sprintf("bpf program %d %s on the hook %s of %s drops packets%s", x.Program, x.Name, x.Hook, in.Who(ns.ID), who),
							Cause:   "it stands beside the rules of iptables and nft, and no list of theirs shows it",
							Subject: subject, Weight: 86, Confidence: diag.Proved,
							Evidence: []diag.Evidence{
								ev("bpftool link list", fmt.Sprintf("%d: netfilter prog %d, hook %s, prio %d", x.Link, x.Program, x.Hook, x.Priority), snap.RefNetns(ns.ID)),
								probed(in, p, "the kernel freed it there: "+p.Died.Reason),
							},
							Advice: fmt.Sprintf("if it is not meant: %sbpftool link detach id %d", end, x.Link),
						})
					}
					out[k].Covers.Traces = append(out[k].Covers.Traces, flows...)
					return
				}
			}
			note := func(c *diag.FlowCase, of int) {
				if w := c.Trace.Where; !c.Excused && c.Trace.Verdict == sim.Unknown && w != nil && w.Cause == sim.CauseHook && owned(in, w.Netns) {
					at(in.Netns(w.Netns), w.Program, c.Probe, of)
				}
			}
			for i := range in.Flows {
				note(&in.Flows[i], i)
			}
			for i := range in.Witnesses {
				note(&in.Witnesses[i].FlowCase, in.Witnesses[i].Of)
			}
			dies := func(s names.Server, ns *snap.Netns) bool { // of a question no more is known than the namespace
				i := slices.IndexFunc(in.Snap.Probes, func(p snap.Probe) bool {
					return p.Kind == "dns" && p.From == s.AskedFrom && p.Dst == s.Addr && freedOnHook(&p, ns.ID)
				})
				if i < 0 || s.Reach.Known || !slices.Contains(s.Reach.Because, snap.RefNetns(ns.ID)) {
					return false
				}
				at(ns, 0, &in.Snap.Probes[i])
				return true
			}
			var cover diag.Cover
			for i := range in.Snap.Netns {
				if ns := &in.Snap.Netns[i]; ns.Class.Ours() && len(ns.Ruleset.BPF) > 0 {
					cover.Names = append(cover.Names, coverNames(in, func(n *diag.NameCase) bool {
						return upstreamCut(n) && slices.ContainsFunc(n.Path.Servers, func(s names.Server) bool { return dies(s, ns) })
					})...)
				}
			}
			if len(out) > 0 {
				out[0].Covers.Names = cover.Names
			}
			return out
		},
	}
}

// freedOnHook says whether a rule or a program had the kernel free a probe there.
func freedOnHook(p *snap.Probe, netns string) bool {
	return diag.ProbeSays(p) == "dropped" && p.Died != nil && p.Died.Netns == netns && p.Died.Reason == "NETFILTER_DROP"
}
