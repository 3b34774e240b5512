package diag

import (
	"cmp"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/inspect/walk"
)

// Build derives from the snapshot which flows and names must work, adds the
// asked ones, and follows each through the model.
func Build(s *snap.Snapshot, asks []Ask, o Options) *Input {
	in := &Input{Snap: s, World: sim.New(s), Graph: walk.New(s), Asks: asks, reached: map[reachKey]names.Reach{}, onlyAsked: o.OnlyAsked, arrivals: o.Arrivals, audit: o.Audit, targets: o.Only}
	if o.Own != nil {
		in.Own = o.Own(s)
	}
	for _, a := range asks {
		if a.Flow != nil {
			in.Flows = append(in.Flows, FlowCase{Kind: "asked", From: a.From, To: a.To, Flow: *a.Flow, Target: a.Container, Asked: true, Outside: a.Outside})
		}
		if a.Name != nil {
			in.Names = append(in.Names, NameCase{From: a.From, Ask: *a.Name, Asked: true})
		}
	}
	if !o.OnlyAsked {
		flows, asked := expect(in)
		in.Flows = append(in.Flows, in.only(flows, o.Only)...)
		for _, n := range asked {
			if len(o.Only) == 0 || slices.Contains(o.Only, n.Ask.Netns) {
				in.Names = append(in.Names, n)
			}
		}
	}
	for _, n := range in.proxyNames() {
		if len(o.Only) == 0 || slices.Contains(o.Only, n.Ask.Netns) {
			in.Names = append(in.Names, n)
		}
	}
	for i := range in.Names {
		in.Names[i].Path = in.path(&in.Names[i])
	}
	in.Flows = append(in.Flows, in.only(in.toProxies(), o.Only)...)
	in.Flows = append(in.Flows, in.upstreams()...)
	in.Flows = append(in.Flows, in.closedServers()...)
	in.traceAll(0)
	twins := in.twins()
	in.Flows = append(in.Flows, twins...)
	in.traceAll(len(in.Flows) - len(twins))
	in.excuse()
	in.shutOut()
	in.Witnesses = in.witnesses()
	in.heardBack()
	if o.Audit {
		in.forbid(o)
	}
	return in
}

// traceAll follows the flows from the given one on.
func (in *Input) traceAll(first int) {
	for i := first; i < len(in.Flows); i++ {
		f := &in.Flows[i]
		in.aim(f)
		if f.Trace == nil {
			f.Trace = in.follow(f.Flow)
		}
		f.Astray = in.astray(f)
		f.Probe = in.probeOf(f)
		f.Settled = in.settled(f)
		f.Unmasked = in.unmasked(f)
	}
}

// follow is a flow's first packet and its answer, or what comes after them where
// they get through and that does not.
func (in *Input) follow(f sim.Flow) *sim.Trace {
	t := in.World.Trace(f)
	if l := in.World.Later(t); l != nil {
		return l
	}
	return t
}

// settled says whether the wire decides what the model leaves open: the probe
// died at the very place that the model names. Or it came by a remembered MAC to somebody
// who is not meant by it, where the model knows another who answers for the address.
func (in *Input) settled(f *FlowCase) bool {
	if f.Trace.Verdict != sim.Unknown || f.Trace.Where == nil {
		return false
	}
	if w := f.Trace.Where; w.Rule == nil {
		died := f.Probe != nil && ProbeSays(f.Probe) == "dropped" && f.Probe.Died != nil && f.Probe.Died.Reason == "OTHERHOST" // net/ipv4/ip_input.c: ip_rcv_core
		return w.Cause == sim.CauseDuplicate && died && f.Probe.Died.Answer == w.Reply
	}
	p := in.Prove(f)
	return p != nil && p.Verdict == "dropped" && p.Where == f.Trace.Where
}

// only keeps the flows that touch one of the namespaces; nil keeps all.
func (in *Input) only(flows []FlowCase, ids []string) []FlowCase {
	if len(ids) == 0 {
		return flows
	}
	var out []FlowCase
	for _, f := range flows {
		target := in.Snap.Container(f.Target)
		if slices.Contains(ids, f.Flow.From) || target != nil && slices.Contains(ids, target.Netns) {
			out = append(out, f)
		}
	}
	return out
}

// Works says whether the model lets the flow work as far as this host goes: it
// is delivered, or it leaves the host and an answer would come back.
func (f *FlowCase) Works() bool {
	return !f.Astray && !f.Settled && f.Trace.Verdict == sim.Delivered || f.Trace.Verdict == sim.Unknown && f.Trace.IfAnswered == sim.Delivered
}

// Broken says whether the model says firmly, or the wire in its stead, that the
// flow does not work.
func (f *FlowCase) Broken() bool {
	return f.Astray || f.Settled || f.Trace.Verdict == sim.Dropped || f.Trace.Verdict == sim.Refused || f.Trace.Verdict == sim.Unknown && f.Trace.IfAnswered == sim.Dropped
}

// Run looks with every check, folds consequences under their causes, and puts
// the root causes first.
func Run(in *Input, checks []Check) Report {
	var rep Report
	by := map[Code]Check{}
	for _, c := range checks {
		if c.Audit && !in.audit {
			continue
		}
		if why, needs, ok := blocked(in.Snap, c); ok {
			rep.Skipped = append(rep.Skipped, Skip{Code: c.Code, Name: c.Name, Reason: why, Needs: needs})
			continue
		}
		rep.Ran = append(rep.Ran, c.Code)
		by[c.Code] = c
		for _, f := range c.Detect(in) {
			f.Code, f.Name = c.Code, c.Name
			f.Severity = cmp.Or(f.Severity, c.Severity)
			if f.Fix == nil && c.Fix != nil {
				if ops := c.Fix(in, &f); len(ops) > 0 {
					f.Fix = &Fix{Ops: ops, Survives: survives(in.Snap, ops)}
				}
			}
			if !c.Audit { // what is exposed keeps nothing from working
				in.healed(&f)
			}
			in.unasked(&f)
			in.finish(&f)
			rep.Findings = append(rep.Findings, f)
		}
	}
	order(rep.Findings)
	rep.Findings = in.about(fold(rep.Findings, by))
	in.tellNext(rep.Findings)
	rep.Checked = in.working()
	return rep
}

// survives says how long operations last.
func survives(s *snap.Snapshot, ops []fixups.Op) string {
	last := "until the container is made again"
	for _, op := range ops {
		switch x := op.(type) {
		case *fixups.ContainerStart, *fixups.EngineConnect, *fixups.EngineDisconnect:
			return "until it is changed again"
		case *fixups.FileWrite:
			if x.Pid != 0 {
				continue
			}
			return "until it is written again"
		}
		if ns := s.Ns(op.Netns()); ns == nil || ns.Class != snap.ClassContainer {
			return "until reboot"
		}
		last = "until the container is started again" // its engine makes it a new namespace then
	}
	return last
}

// about keeps, when only certain flows and names were asked for, the findings
// that speak of them. When none does although one of them fails, all are kept:
// one may be the cause that the model did not see.
func (in *Input) about(fs []Finding) []Finding {
	if !in.onlyAsked {
		return fs
	}
	var out []Finding
	for _, f := range fs {
		if f.Asked || f.Severity == Info {
			out = append(out, f)
		}
	}
	fails := slices.ContainsFunc(in.Flows, func(f FlowCase) bool { return !f.Works() || ProbeSays(f.Probe) == "dropped" }) ||
		slices.ContainsFunc(in.Names, func(n NameCase) bool { return n.Bad() || n.Path.Verdict != names.Resolved })
	if fails && !slices.ContainsFunc(out, func(f Finding) bool { return f.Asked }) {
		return fs
	}
	return out
}

// blocked says whether a gap keeps a check from running.
func blocked(s *snap.Snapshot, c Check) (why, needs string, ok bool) {
	for _, n := range c.Needs {
		for _, g := range s.Gaps {
			if g.What == n && (g.Netns == "" || g.Netns == s.Host.Netns) {
				return g.Why, g.Needs, true
			}
		}
	}
	return "", "", false
}

// order puts what to mend first on top: severity, what was asked for, weight,
// how much suffers, then code and subject for a stable order.
func order(fs []Finding) {
	snap.Sort(fs, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(b.Severity.Rank(), a.Severity.Rank()),
			-compareBool(a.Asked, b.Asked),
			cmp.Compare(b.Weight, a.Weight),
			cmp.Compare(len(b.Flows), len(a.Flows)),
			cmp.Compare(a.Code, b.Code),
			snap.CompareNames(a.Subject.Netns, b.Subject.Netns),
			snap.CompareNames(a.Subject.Name, b.Subject.Name),
		)
	})
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// working counts the flows and names that were looked at and are right.
func (in *Input) working() int {
	n := 0
	for i := range in.Flows {
		if in.Flows[i].Works() {
			n++
		}
	}
	for i := range in.Forbidden {
		if f := &in.Forbidden[i]; f.Broken() && !f.GetsIn() {
			n++
		}
	}
	for i := range in.Names {
		if in.Names[i].Path != nil && in.Names[i].Path.Verdict == names.Resolved {
			n++
		}
	}
	return n
}
