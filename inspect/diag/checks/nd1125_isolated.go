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

// nd1125: ports of one bridge are kept apart.
//
// A bridge passes no frame from one isolated port to another: whoever is behind them
// reaches the host, and ports that are not isolated, and nobody else. ARP fails between
// them, so that it looks as if the other were gone. No engine sets it for containers;
// a script for hardening does, and sets it for one port too many.
//
// See it by hand:
//
//	bridge -d link show                      isolated on
//	bridge link set dev PORT isolated off    one of two is enough
//
// False positives: members that are to be kept apart, as guests are. Give them a network
// each, or one with com.docker.network.bridge.enable_icc=false, which says so.
//
// Sources: net/bridge/br_private.h: br_skb_isolated; bridge(8)
func nd1125() diag.Check {
	return diag.Check{
		Code: "ND1125", Name: "isolated-ports", Severity: diag.Error, Since: "0.2",
		Title:  "Bridge ports are isolated from each other",
		After:  []diag.Code{"ND1101", "ND1103", "ND1107", "ND1109"},
		Detect: detectND1125,
		Fix:    unisolate,
	}
}

func detectND1125(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, g := range in.Groups(sim.CauseIsolated) {
		port, ns := portBehind(in, g.Where)
		if port == nil || !ns.Class.Ours() {
			continue
		}
		br := ns.LinkAt(port.Master)
		if br == nil {
			continue
		}
		subject := diag.Subject{Kind: "bridge", Name: br.Name, Netns: ns.ID}
		if k := sameSubject(out, subject); k >= 0 {
			out[k].Covers.Traces = append(out[k].Covers.Traces, g.Flows...)
			continue
		}
		var who []string
		f := diag.Finding{
			Subject: subject, Weight: 60,
			Cause:  "a bridge passes nothing from one isolated port to another",
			Covers: diag.Cover{Traces: slices.Clone(g.Flows)},
			Advice: "where some of them are to be kept apart, open the port of the one that all are to reach: bridge link set dev PORT isolated off",
		}
		for _, l := range isolatedPorts(ns, br) {
			name := l.Name
			if c := behind(in, ns, l); c != "" {
				name += " (" + c + ")"
			}
			who = append(who, name)
			f.Evidence = append(f.Evidence, ev("bridge -d link show dev "+l.Name, portLine(ns, l), snap.RefLink(ns.ID, l.Name)))
		}
		f.Summary = fmt.Sprintf("%d ports of %s are isolated, and pass nothing to each other: %s", len(who), br.Name, strings.Join(who, ", "))
		out = append(out, f)
	}
	for k := range out {
		out[k].Covers.Names = coverSenders(in, out[k].Covers.Traces)
	}
	return out
}

func isolatedPorts(ns *snap.Netns, br *snap.Link) []*snap.Link {
	var out []*snap.Link
	for i := range ns.Links {
		if l := &ns.Links[i]; l.Master == br.Index && l.Port != nil && l.Port.Isolated {
			out = append(out, l)
		}
	}
	return out
}

// unisolate takes the isolation off the port that a flow which was asked for goes to, or
// comes from: others stay apart. Else off all of them: one of two would be left behind.
func unisolate(in *diag.Input, f *diag.Finding) []fixups.Op {
	ns := in.Netns(f.Subject.Netns)
	ports := isolatedPorts(ns, ns.Link(f.Subject.Name))
	off := false
	open := func(l *snap.Link) fixups.Op {
		return &fixups.PortSet{Where: at(in, ns.ID), Name: l.Name, Isolated: &off}
	}
	i := f.Covers.Traces[0]
	if flow := &in.Flows[i]; flow.Asked {
		ends := []string{flow.Flow.From}
		for _, o := range in.Graph.Owners(flow.Flow.Dst) {
			ends = append([]string{o.Netns.ID}, ends...)
		}

		for _, end := range ends {
			for _, l := range ports {
				if l.PeerNetns != end {
					continue
				}
				if ops := []fixups.Op{open(l)}; reunites(in, i, ops) {
					return ops
				}
			}
		}
	}
	var ops []fixups.Op
	for _, l := range ports {
		ops = append(ops, open(l))
	}
	if reunites(in, i, ops) {
		return ops
	}
	return nil
}

// reunites says whether a flow works with operations, or is stopped by something else
// than isolation then.
func reunites(in *diag.Input, flow int, ops []fixups.Op) bool {
	f := tried(in, flow, ops)
	if f == nil || f.Works() {
		return f != nil
	}
	w := f.Trace.Where
	return w != nil && w.Cause != sim.CauseIsolated && (w.Behind == nil || w.Behind.Cause != sim.CauseIsolated)
}
