package checks

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd5117: a bpf program of a control group keeps processes from sending or receiving.
//
// Sockets belong to the control group of the process that made them, and what they
// send and receive passes through the bpf programs of that group and of all above it:
// systemd's IPAddressDeny= and RestrictNetworkInterfaces= are such programs, load
// balancers and accounting tools have others. They run behind every firewall rule, so
// that no iptables or nft list shows them, and the packet of another process in the
// same namespace (nsenter with a ping) gets through. systemd's lists are read, and a
// program that answers the same to everything is followed; any other is told of when
// the kernel was seen to drop a probe there.
//
// See it by hand:
//
//	bpftool cgroup tree                      each group's programs
//	cat /proc/PID/cgroup
//	systemctl show UNIT -p IPAddressAllow -p IPAddressDeny
//
// False positives: none known; whether it is meant is for the group's owner to say.
//
// Sources: kernel/bpf/cgroup.c: __cgroup_bpf_run_filter_skb; systemd.resource-control(5),
// systemd src/core/bpf-firewall.c; bpftool-cgroup(8)
func nd5117() diag.Check {
	return diag.Check{
		Code: "ND5117", Name: "cgroup-program", Severity: diag.Error, Since: "0.2",
		Title:  "A bpf program of a control group stops what its processes send or receive",
		Detect: detectND5117,
	}
}

func detectND5117(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	note := func(w *sim.Where, i int, p *snap.Probe) {
		g, x := programOf(in, w)
		if x == nil || !owned(in, w.Netns) {
			return
		}
		subject := diag.Subject{Kind: "cgroup", Name: g.Path, Netns: w.Netns}
		k := sameSubject(out, subject)
		if k < 0 {
			f := diag.Finding{
				Summary: fmt.Sprintf("%s of %s drops what its processes %s", sim.ProgramName(g, x), in.Who(w.Netns), wayOf(x)),
				Cause:   "packets of these processes meet a bpf program that no firewall rule tells of",
				Subject: subject, Weight: 86,
				Evidence: []diag.Evidence{ev("bpftool cgroup show /sys/fs/cgroup"+g.Path+" effective", programLine(x), snap.RefNetns(w.Netns))},
				Advice:   programAdvice(g, x),
			}
			if x.Filter != nil {
				f.Evidence = append(f.Evidence, ev(fmt.Sprintf("bpftool map dump of the lists of program %d", x.ID), listsOf(x.Filter), snap.RefNetns(w.Netns)))
			}
			out = append(out, f)
			k = len(out) - 1
		}
		f := &out[k]
		f.Covers.Traces = append(f.Covers.Traces, i)
		if d := p; d != nil && d.Died != nil && f.Confidence == "" {
			f.Confidence = diag.Proved
			f.Evidence = append(f.Evidence, probed(in, p, fmt.Sprintf("the kernel freed it in %s (%s)", in.Who(d.Died.Netns), d.Died.Reason)))
		}
	}
	for _, g := range in.Groups(sim.CauseCgroup) {
		for _, i := range g.Flows {
			note(in.Flows[i].Trace.Where, i, nil)
		}
	}
	for i := range in.Flows {
		f := &in.Flows[i]
		w, p := f.Trace.Where, f.Probe
		if f.Excused || f.Trace.Verdict != sim.Unknown || w == nil || w.Cause != sim.CauseCgroup || diag.ProbeSays(p) != "dropped" {
			continue
		}
		if d := p.Died; d == nil || d.Netns == w.Netns && (d.Reason == w.Reason || d.Reason == "") {
			note(w, i, p)
		}
	}
	for k := range out {
		f := &out[k]
		slices.Sort(f.Covers.Traces)
		f.Covers.Names = coverNames(in, func(n *diag.NameCase) bool {
			return upstreamCut(n) && slices.ContainsFunc(n.Path.Servers, func(s names.Server) bool { return s.AskedFrom == f.Subject.Netns && !s.Reach.OK })
		})
	}
	return out
}

// programOf is the program that a place names, and the group that it was met in.
func programOf(in *diag.Input, w *sim.Where) (*snap.Cgroup, *snap.CgroupProgram) {
	ns := in.Netns(w.Netns)
	if ns == nil {
		return nil, nil
	}
	for i := range ns.Cgroups {
		g := &ns.Cgroups[i]
		for j := range g.Programs {
			if p := &g.Programs[j]; p.ID == w.Program {
				return g, p
			}
		}
	}
	return nil, nil
}

// wayOf says which way the packets go that a program sees.
func wayOf(p *snap.CgroupProgram) string {
	if strings.HasSuffix(p.Hook, "ingress") {
		return "receive"
	}
	return "send"
}

// programLine is a program as bpftool(8) lists it.
func programLine(p *snap.CgroupProgram) string {
	t := strings.TrimSpace(fmt.Sprintf("%d %s %s", p.ID, p.Hook, p.Name))
	if p.Always == "deny" {
		t += ", which denies everything"
	}
	return t
}

// listsOf are the lists of systemd's program as a unit's file has them.
func listsOf(f *snap.CgroupFilter) string {
	words := func(list []netip.Prefix) string {
		var t []string
		for _, p := range list {
			t = append(t, p.String())
		}
		return strings.Join(t, " ")
	}
	return fmt.Sprintf("IPAddressAllow=%s IPAddressDeny=%s", words(f.Allow), words(f.Deny))
}

// programAdvice says how a program is taken off, or told to let packets through.
func programAdvice(g *snap.Cgroup, p *snap.CgroupProgram) string {
	at := p.At
	if at == "" {
		at = g.Path
	}
	unit := path.Base(at)
	if strings.HasPrefix(p.Name, "sd_") && strings.Contains(unit, ".") {
		return fmt.Sprintf("if it is not meant: systemctl set-property --runtime %s IPAddressAllow=ADDRESS, or change IPAddressDeny= of the unit", unit)
	}
	return fmt.Sprintf("if it is not meant: end what loaded it, or bpftool cgroup detach /sys/fs/cgroup%s %s id %d", at, p.Hook, p.ID)
}
