package checks

import (
	"cmp"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// suspect is something on the way of a broken flow, and what takes it away.
type suspect struct {
	ref snap.Ref
	ops []fixups.Op
}

// blamed is a suspect without which flows or names would work that do not.
type blamed struct {
	suspect
	covers diag.Cover
	flow   *diag.FlowCase // one that met it
}

// maxSuspects bounds how often the host is followed anew.
const maxSuspects = 48

// without asks of everything that broken flows met, and that pick takes for a
// suspect, whether they would work if it were not there: an object that sends a
// packet where it dies is at fault, wherever the packet then dies. The
// questions to name servers of names that do not resolve are flows, too.
func without(in *diag.Input, pick func(*diag.FlowCase) []suspect) []blamed {
	var out []blamed
	tried := map[snap.Ref]bool{}
	look := func(f *diag.FlowCase) {
		for _, x := range pick(f) {
			if tried[x.ref] || len(tried) >= maxSuspects {
				continue
			}
			tried[x.ref] = true
			if c := mends(in, x.ops); len(c.Traces)+len(c.Names) > 0 {
				out = append(out, blamed{x, c, f})
			}
		}
	}
	for i := range in.Flows {
		if f := &in.Flows[i]; (f.Broken() || f.Unmasked) && !f.Excused {
			look(f)
		}
	}
	for i := range in.Names {
		n := &in.Names[i]
		if !n.Bad() {
			continue
		}
		for _, s := range n.Path.Servers {
			if s.Reach.OK && s.Reach.Known {
				continue
			}
			f := &diag.FlowCase{Kind: "upstream", From: in.Who(s.AskedFrom), To: s.Addr.String() + "/udp"}
			f.Flow = sim.Flow{From: s.AskedFrom, Dst: s.Addr.Addr(), Dport: s.Addr.Port(), Proto: snap.UDP}
			if f.Trace = in.World.Trace(f.Flow); f.Broken() {
				look(f)
			}
		}
	}
	snap.Sort(out, func(a, b blamed) int {
		return cmp.Compare(len(b.covers.Traces)+len(b.covers.Names), len(a.covers.Traces)+len(a.covers.Names))
	})
	return out
}

// mends are the flows and names that do not work, and would after the operations.
// Where only a probe says that they do not, the model has no word in it.
func mends(in *diag.Input, ops []fixups.Op) diag.Cover {
	var c diag.Cover
	then, err := in.WhatIf(ops)
	if err != nil {
		return c
	}
	return mended(in, then)
}

// mended are the flows and names that do not work, and do on another value of the host.
func mended(in, then *diag.Input) diag.Cover {
	var c diag.Cover
	bare := in.Bare()
	fails := func(f *diag.FlowCase) bool { return f.Broken() || f.Unmasked }
	for i := range in.Flows {
		if f := &in.Flows[i]; fails(f) && fails(&bare.Flows[i]) && !f.Excused && then.Flows[i].Works() && (!then.Flows[i].Unmasked || routedBack(&then.Flows[i])) {
			c.Traces = append(c.Traces, i)
		}
	}
	for i := range in.Names {
		if n := &then.Names[i]; in.Names[i].Bad() && bare.Names[i].Bad() && !n.Bad() && asks(n) {
			c.Names = append(c.Names, i)
		}
	}
	return c
}

// asks says whether a name has an answer on this host, or a server that a question
// gets to: that nothing is known of it is no cure.
func asks(n *diag.NameCase) bool {
	return n.Path.Verdict == names.Resolved || slices.ContainsFunc(n.Path.Servers, func(s names.Server) bool { return s.Reach.Known && s.Reach.OK })
}

// met are the lines of the host that a flow and its answer met, the last first.
func met(t *sim.Trace) []snap.Ref {
	var out []snap.Ref
	for x := t; x != nil; x = x.Proxy {
		for _, hops := range [][]sim.Hop{x.Reply, x.Forward} {
			for i := len(hops) - 1; i >= 0; i-- {
				out = append(out, hops[i].Because...)
			}
		}
	}
	return out
}
