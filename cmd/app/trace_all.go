package app

import (
	"context"
	"fmt"
	"slices"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TraceAll walks from a source to all that it needs: its gateway, the way out,
// its resolvers, and to its published ports.
func (a *App) TraceAll(ctx context.Context, o TraceOptions) (*v1.TraceSetResult, error) {
	start := a.now()
	s, err := a.snapshot(ctx, o.Common)
	if err != nil {
		return nil, err
	}
	src, err := finder{s}.source(o.From)
	if err != nil {
		return nil, err
	}
	if src.Kind == kindAddress {
		return nil, snap.Hint(Usagef("%s needs a destination", o.From), "netdoctor trace "+o.From+" host:80")
	}
	for _, n := range src.Notes {
		a.note("%s", n)
	}
	res := &v1.TraceSetResult{From: v1.Endpoint{Target: src.Text, Netns: src.Netns}}
	asks := a.gateways(s, &src, o.Family)
	if src.Container != nil {
		res.From.Container = src.Container.Ref
	}
	ex, err := a.examine(ctx, s, asks, diag.Options{Only: []string{src.Netns}}, o.Common)
	if err != nil {
		return nil, err
	}
	for i := range ex.in.Flows {
		f := &ex.in.Flows[i]
		if !concerns(s, f, &src) {
			continue
		}
		t := neededTrace(ex.in.Snap, f)
		t.Head = a.head(v1.KindTrace, start)
		res.Traces = append(res.Traces, t)
	}
	for i := range ex.in.Names {
		if n := &ex.in.Names[i]; n.Ask.Netns == src.Netns && n.Path != nil && n.Path.Verdict != "" {
			d := dnsResult(ex.in.Snap, n)
			d.Head = a.head(v1.KindDNS, start)
			res.Names = append(res.Names, d)
		}
	}
	r := diag.Run(ex.in, a.Checks)
	r.Findings = touching(ex.in.Snap, r.Findings, []string{src.Netns})
	res.Tail = tail(ex.in.Snap, r)
	res.Verdict = worst(res)
	res.Head = a.head(v1.KindTraceSet, start)
	return res, nil
}

// neededTrace is one of the flows that a source needs.
func neededTrace(s *snap.Snapshot, f *diag.FlowCase) v1.TraceResult {
	t := v1.TraceResult{
		Why: f.Kind, Proto: string(f.Flow.Proto),
		From: v1.Endpoint{Target: f.From, Netns: f.Flow.From, Outside: f.Outside, Device: f.Flow.Iif},
		To:   v1.Endpoint{Target: f.To, Container: f.Target, Address: f.Flow.Dst.String(), Port: int(f.Flow.Dport)},
	}
	if f.Asked {
		t.Why = "gateway"
	}
	if f.Flow.Src.IsValid() {
		t.From.Address = f.Flow.Src.String()
	}
	fill(s, &t, f)
	if leavesWell(f) {
		t.Verdict = string(sim.Delivered)
	}
	return t
}

// leavesWell says of a flow into the world, which nobody answered yet, that it
// leaves this host and that an answer would come back: all that can be known.
func leavesWell(f *diag.FlowCase) bool {
	t := f.Trace
	return t != nil && f.Kind == "egress" && t.Verdict == sim.Unknown && t.IfAnswered == sim.Delivered
}

// concerns says whether a flow is the source's business: it sends it, or it is
// one of its published ports.
func concerns(s *snap.Snapshot, f *diag.FlowCase, src *Target) bool {
	if f.Flow.From == src.Netns && !f.Outside && f.Kind != "peer" {
		return true
	}
	c := s.Container(f.Target)
	return f.Port != nil && c != nil && c.Netns == src.Netns
}

// gateways are questions to the gateways of a namespace, one a family.
func (a *App) gateways(s *snap.Snapshot, src *Target, fam Family) []diag.Ask {
	var out []diag.Ask
	ns := s.Ns(src.Netns)
	if ns != nil && ns.UserNAT() != nil {
		return nil // behind it is a program, not a gateway
	}
	for _, f := range fam.order() {
		gw := gateway(ns, f)
		if !gw.IsValid() || gw.IsLinkLocalUnicast() {
			continue
		}
		out = append(out, diag.Ask{From: src.Label(), To: fmt.Sprintf("%s/icmp", gw), Flow: &sim.Flow{From: src.Netns, Dst: gw, Proto: snap.ICMP}})
	}
	return out
}

// worst is the verdict of the whole.
func worst(r *v1.TraceSetResult) string {
	var all []string
	for i := range r.Traces {
		all = append(all, r.Traces[i].Verdict)
	}
	for i := range r.Names {
		switch r.Names[i].Verdict {
		case string(names.Resolved), string(names.NoData):
			all = append(all, string(sim.Delivered))
		case string(names.Unknown):
		default:
			all = append(all, string(sim.Dropped))
		}
	}
	for _, v := range []sim.Verdict{sim.Dropped, sim.Refused, sim.Unknown, sim.Delivered} {
		if slices.Contains(all, string(v)) {
			return string(v)
		}
	}
	return string(sim.Unknown)
}
