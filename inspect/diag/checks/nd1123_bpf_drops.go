package checks

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd1123: a bpf program or a traffic control filter of a device drops packets.
//
// Before any firewall rule is asked, a device hands what comes in to its XDP program
// and to its traffic control filters, and what they drop is gone without a trace in
// iptables, nft or conntrack. Such programs are loaded by DDoS filters, load balancers,
// network plugins and intrusion detection, and stay when these are gone or wrong.
// A program that does the same with every packet is followed; of any other it is said
// that it drops when the kernel was seen to free a probe there. A filter that redirects
// a packet to where it gets lost, and without which it would arrive, is named as well.
//
// See it by hand:
//
//	ip -d link show DEVICE                   prog/xdp id N
//	bpftool net; bpftool link; bpftool prog show id N
//	tc -s filter show dev DEVICE ingress
//
// False positives: none known; whether the drop is meant is for its owner to say.
//
// Sources: net/core/dev.c: do_xdp_generic, sch_handle_ingress; bpf(2)
func nd1123() diag.Check {
	return diag.Check{
		Code: "ND1123", Name: "device-program-drops", Severity: diag.Error, Since: "0.2",
		Title:  "An XDP program or a traffic control filter drops packets at a device",
		Detect: detectND1123,
		Fix:    fixND1123,
	}
}

func detectND1123(in *diag.Input) []diag.Finding {
	d := droppers{in: in}
	for _, g := range in.Groups(sim.CauseXDP, sim.CauseTC) {
		w := program(g.Where)
		if owned(in, w.Netns) && in.Netns(w.Netns) != nil && !byQueue(w) {
			d.note(w, g.Flows, nil)
		}
	}
	for i := range in.Flows {
		if !in.Flows[i].Excused {
			d.undecided(&in.Flows[i], i)
		}
	}
	for i := range in.Witnesses {
		d.undecided(&in.Witnesses[i].FlowCase, in.Witnesses[i].Of)
	}
	for i := range in.Snap.Probes {
		if p := &in.Snap.Probes[i]; diedHere(in, p) {
			if w := freedByProgram(in, p.Died); w != nil {
				d.note(w, nil, p)
			}
		}
	}
	for _, w := range silentBehind(in) {
		d.note(w, nil, nil)
	}
	d.redirected()
	for k := range d.found {
		f := &d.found[k]
		slices.Sort(f.Covers.Traces)
		f.Covers.Traces = slices.Compact(f.Covers.Traces)
		f.Covers.Names = coverNames(in, func(n *diag.NameCase) bool {
			return upstreamCut(n) && slices.ContainsFunc(n.Path.Servers, func(s names.Server) bool { return diesAt(in, &s, f.Subject) })
		})
	}
	return d.found
}

// program is the place of the program or filter that decides.
func program(w *sim.Where) *sim.Where {
	if w = diag.RulePlace(w); w.Behind != nil {
		return w.Behind
	}
	return w
}

// droppers are the devices with a program or filter that drops packets, a finding each.
type droppers struct {
	in    *diag.Input
	found []diag.Finding
}

// note puts down that one of them drops these flows; p is the probe that proves it, nil
// for none.
func (d *droppers) note(w *sim.Where, flows []int, p *snap.Probe) {
	l := d.in.Netns(w.Netns).Link(w.Device)
	subject := diag.Subject{Kind: "link", Name: w.Device, Netns: w.Netns}
	if at := sameSubject(d.found, subject); at >= 0 {
		d.found[at].Covers.Traces = append(d.found[at].Covers.Traces, flows...)
		return
	}
	if l == nil {
		return
	}
	x := diag.Finding{
		Summary: strings.NewReplacer(" on "+w.Device, " on "+w.Device+" of "+d.in.Who(w.Netns), "may do anything with it", "drops packets").Replace(w.Detail) + by(w, l),
		Cause:   "what the program or filter drops at the device, no firewall rule and no socket ever sees",
		Subject: subject, Covers: diag.Cover{Traces: slices.Clone(flows)}, Weight: 86,
	}
	x.Evidence, x.Advice = programLines(d.in, w, l)
	if p != nil {
		x.Confidence = diag.Proved
		x.Evidence = append(x.Evidence, probed(d.in, p, fmt.Sprintf("the kernel freed it on %s%s", p.Died.Device, freedAt(p.Died))))
	}
	d.found = append(d.found, x)
}

// undecided notes the program that the model can't judge where a probe of the flow was
// dropped: at that very place, or with nothing else on the way that could have done it.
// i is the flow that suffers.
func (d *droppers) undecided(f *diag.FlowCase, i int) {
	w, p := f.Trace.Where, f.Probe
	if f.Trace.Verdict != sim.Unknown || w == nil || w.Cause != sim.CauseXDP && w.Cause != sim.CauseTC || diag.ProbeSays(p) != "dropped" {
		return
	}
	if w.Behind != nil {
		w = w.Behind
	}
	switch died := p.Died; {
	case !owned(d.in, w.Netns):
	case died != nil && died.Netns == w.Netns && died.Device == w.Device && died.Answer == w.Reply:
		d.note(w, []int{i}, p)
	case f.Trace.LeftHost == "" && (died == nil || died.Reason == "NEIGH_FAILED" || died.Reason == "OTHERHOST"): // a copy that a bridge flooded
		d.note(w, []int{i}, nil) // all else on the way is known, and lets it pass
	}
}

// by is who holds an XDP program there, as a part of a sentence.
func by(w *sim.Where, l *snap.Link) string {
	if w.Cause != sim.CauseXDP || l.XDP == nil || len(l.XDP.Holders) == 0 {
		return ""
	}
	h := &l.XDP.Holders[0]
	return fmt.Sprintf("; %s (pid %d) holds it there", h.Name, h.PID)
}

// byQueue says whether a queue lost the packet, and no filter.
func byQueue(w *sim.Where) bool { return w.Reason == "QDISC_DROP" }

// diesAt says whether the questions of a name to a server, or their answers, end at
// a device.
func diesAt(in *diag.Input, s *names.Server, dev diag.Subject) bool {
	if slices.Contains(s.Reach.Because, snap.RefLink(dev.Netns, dev.Name)) {
		return true
	}
	return slices.ContainsFunc(in.Snap.Probes, func(p snap.Probe) bool {
		return p.Kind == "dns" && p.From == s.AskedFrom && p.Dst == s.Addr && p.Died != nil && p.Died.Netns == dev.Netns && p.Died.Device == dev.Name
	})
}

// freedByProgram is the place of a drop that the kernel's words put down to a program
// or a filter that the device does have; nil for any other.
func freedByProgram(in *diag.Input, d *snap.Seen) *sim.Where {
	ns := in.Netns(d.Netns)
	if ns == nil { // it came after the reading
		return nil
	}
	l := ns.Link(d.Device)
	w := &sim.Where{Netns: d.Netns, Device: d.Device, Reply: d.Answer}
	switch {
	case l == nil:
		return nil
	case l.XDP != nil && (d.Reason == "XDP" || strings.Contains(d.Func, "xdp")):
		w.Layer, w.Cause = "xdp", sim.CauseXDP
		w.Detail = strings.TrimSpace(fmt.Sprintf("XDP program %d %s", l.XDP.ProgID, l.XDP.Name)) + " on " + l.Name + " drops packets"
	case len(l.Filters) > 0 && strings.HasPrefix(d.Reason, "TC_"):
		w.Layer, w.Cause = "tc", sim.CauseTC
		w.Detail = "a traffic control filter on " + l.Name + " drops packets"
	default:
		return nil
	}
	return w
}

// silentBehind are the XDP programs, not modelled, on devices whose neighbours tell no
// MAC to those who ask a name server by them: the question was sent and never left.
func silentBehind(in *diag.Input) []*sim.Where {
	var out []*sim.Where
	host := in.Snap.HostNs()
	for _, up := range diag.Uplinks(in.Snap) {
		if up.XDP == nil || up.XDP.Always != "" {
			continue
		}
		stuck := func(s names.Server) bool {
			if s.Reach.Known || !slices.Contains(s.Reach.Because, snap.RefLink(host.ID, up.Name)) {
				return false
			}
			return slices.ContainsFunc(in.Snap.Probes, func(p snap.Probe) bool {
				return p.Kind == "dns" && p.Dst == s.Addr && p.Watched && diag.ProbeSays(&p) == "dropped" &&
					!slices.ContainsFunc(p.Seen, func(x snap.Seen) bool { return x.Netns == host.ID && x.Device == up.Name })
			})
		}
		if slices.ContainsFunc(in.Names, func(n diag.NameCase) bool { return n.Path != nil && slices.ContainsFunc(n.Path.Servers, stuck) }) {
			out = append(out, &sim.Where{Netns: host.ID, Device: up.Name, Layer: "xdp", Cause: sim.CauseXDP, Detail: fmt.Sprintf("XDP program %d on %s drops packets", up.XDP.ProgID, up.Name)})
		}
	}
	return out
}

// freedAt is the kernel's function that let a packet go.
func freedAt(d *snap.Seen) string {
	if d.Func == "" {
		return ""
	}
	return " in " + d.Func
}

// programLines show the program or the filters of a device, and how a person takes
// them off.
func programLines(in *diag.Input, w *sim.Where, l *snap.Link) ([]diag.Evidence, string) {
	ref := snap.RefLink(w.Netns, l.Name)
	x := l.XDP
	if w.Cause != sim.CauseXDP || x == nil {
		var out []diag.Evidence
		hook, pref := "ingress (or egress)", "N"
		for i := range l.Filters {
			f := &l.Filters[i]
			out = append(out, ev(in.IPCommand(w.Netns, fmt.Sprintf("tc -s filter show dev %s %s", l.Name, f.Hook)), filterLine(f), ref))
			if len(l.Filters) == 1 {
				hook, pref = f.Hook, strconv.Itoa(int(f.Priority))
			}
		}
		return out, fmt.Sprintf("if it is not meant: %s", in.IPCommand(w.Netns, "tc filter del dev "+l.Name+" "+hook+" pref "+pref))
	}
	line := linkLine(l) + fmt.Sprintf(" xdp%s prog/xdp id %d", modeWord(x.Mode), x.ProgID)
	if x.Name != "" {
		line += " name " + x.Name
	}
	out := []diag.Evidence{ev(ipIn(in, w.Netns, "-d link show "+l.Name), line, ref)}
	advice := "if it is not meant: " + ipIn(in, w.Netns, fmt.Sprintf("link set dev %s xdp%s off", l.Name, modeWord(x.Mode)))
	for i := range x.Holders {
		h := &x.Holders[i]
		what := fmt.Sprintf("%s (pid %d) has the program open", h.Name, h.PID)
		if x.Link != 0 {
			what = fmt.Sprintf("%s (pid %d) holds it there by bpf link %d", h.Name, h.PID, x.Link)
			advice = fmt.Sprintf("if it is not meant: end %s (pid %d), or bpftool link detach id %d", h.Name, h.PID, x.Link)
		}
		out = append(out, ev(fmt.Sprintf("grep -l 'prog_id:.*%d' /proc/%d/fdinfo/*", x.ProgID, h.PID), what, ref))
	}
	return out, advice
}

// modeWord is ip(8)'s ending for a mode of XDP.
func modeWord(mode string) string {
	switch mode {
	case "generic":
		return "generic"
	case "driver":
		return "drv"
	case "offload":
		return "offload"
	}
	return ""
}

// filterLine is a filter as tc(8) puts it, in one line.
func filterLine(f *snap.TCFilter) string {
	t := fmt.Sprintf("filter pref %d %s", f.Priority, f.Kind)
	if f.Name != "" {
		t += " " + f.Name
	}
	return t + " action " + strings.Join(f.Actions, ", ")
}

// fixND1123 takes off a program that drops everything, as long as somebody has it
// open, so that it can be put back.
func fixND1123(in *diag.Input, f *diag.Finding) []fixups.Op {
	ns := in.Netns(f.Subject.Netns)
	if ns == nil {
		return nil
	}
	l := ns.Link(f.Subject.Name)
	if l != nil {
		for _, x := range l.Filters { // a bandwidth limiter's detour (tc-mirred(8)) that is shut
			for _, a := range x.Actions {
				if i, ok := strings.CutPrefix(a, "redirect:"); ok {
					n, _ := strconv.Atoi(i)
					if to := ns.LinkAt(n); to != nil && to.Kind == "ifb" && !to.Up {
						f.Advice = "the limiter's detour by " + to.Name + " is opened again; if it is not meant, take away the filter"
						return []fixups.Op{&fixups.LinkSet{Where: at(in, ns.ID), Name: to.Name, Up: true}}
					}
				}
			}
		}
	}
	if l == nil || l.XDP == nil || l.XDP.Always == "" || l.XDP.Always == "pass" || l.XDP.Mode == "several" || len(l.XDP.Holders) == 0 {
		return nil
	}
	return []fixups.Op{&fixups.XDPSet{Where: at(in, ns.ID), Name: l.Name, Mode: l.XDP.Mode, Link: l.XDP.Link}}
}

// programAt is an uplink with a program or filter whose doings are not known; nil
// when there is none.
func programAt(in *diag.Input) *snap.Link {
	for _, up := range diag.Uplinks(in.Snap) {
		if up.XDP != nil && up.XDP.Always != "pass" || slices.ContainsFunc(up.Filters, func(f snap.TCFilter) bool { return f.Opaque }) {
			return up
		}
	}
	return nil
}
