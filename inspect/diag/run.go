package diag

import (
	"bytes"
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
	in := &Input{Snap: s, World: sim.New(s), Graph: walk.New(s), Asks: asks, reached: map[reachKey]names.Reach{}, onlyAsked: o.OnlyAsked, arrivals: o.Arrivals, audit: o.Audit}
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
		flows, asked := expect(in, o)
		in.Flows = append(in.Flows, in.only(flows, o.Only)...)
		for _, n := range asked {
			if len(o.Only) == 0 || slices.Contains(o.Only, n.Ask.Netns) {
				in.Names = append(in.Names, n)
			}
		}
	}
	for i := range in.Names {
		in.Names[i].Path = in.path(&in.Names[i])
	}
	in.Flows = append(in.Flows, in.upstreams()...)
	in.traceAll(0)
	twins := in.twins()
	in.Flows = append(in.Flows, twins...)
	in.traceAll(len(in.Flows) - len(twins))
	in.excuse()
	in.Witnesses = in.witnesses()
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
			f.Trace = in.World.Trace(f.Flow)
		}
		f.Astray = in.astray(f)
		f.Probe = in.probeOf(f)
		f.Settled = in.settled(f)
		f.Unmasked = in.unmasked(f)
	}
}

// settled says whether the wire decides what the model leaves open: the probe
// died at the very place that the model names.
func (in *Input) settled(f *FlowCase) bool {
	if f.Trace.Verdict != sim.Unknown || f.Trace.Where == nil || f.Trace.Where.Rule == nil {
		return false
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
					f.Fix = &Fix{Ops: ops, Survives: survives(ops)}
				}
			}
			if !c.Audit { // what is exposed keeps nothing from working
				in.healed(&f)
			}
			in.finish(&f)
			rep.Findings = append(rep.Findings, f)
		}
	}
	order(rep.Findings)
	rep.Findings = in.about(fold(rep.Findings, by))
	rep.Checked = in.working()
	return rep
}

// survives says how long operations last.
func survives(ops []fixups.Op) string {
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
		return "until reboot"
	}
	return "until the container is made again"
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
	slices.SortStableFunc(fs, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(b.Severity.Rank(), a.Severity.Rank()),
			-compareBool(a.Asked, b.Asked),
			cmp.Compare(b.Weight, a.Weight),
			cmp.Compare(len(b.Flows), len(a.Flows)),
			cmp.Compare(a.Code, b.Code),
			cmp.Compare(a.Subject.Netns, b.Subject.Netns),
			cmp.Compare(a.Subject.Name, b.Subject.Name),
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

// fold hides the findings that are consequences of others: their check names
// the other's code in After, or knows no cause at all, and all that they explain
// is explained there, too, or by several together, or they speak of the same
// subject. Of several
// of one weight that one fix heals, the first is left.
func fold(fs []Finding, by map[Code]Check) []Finding {
	causeOf := make([]int, len(fs))
	for i := range fs {
		causeOf[i] = -1
		for j := range fs {
			if i == j {
				continue
			}
			x, cause := &fs[i], &fs[j]
			named := slices.Contains(by[x.Code].After, cause.Code) && related(x, cause)
			vague := by[x.Code].CatchAll && !by[cause.Code].CatchAll && cause.Severity == Error && x.covers() && related(x, cause)
			twin := j < i && (sameFix(x, cause) || x.Weight == cause.Weight && heals(x, cause))
			if named || vague || twin || explained(x, cause) {
				causeOf[i] = j
				break
			}
		}
		if causeOf[i] < 0 {
			causeOf[i] = together(fs, i, by)
		}
	}
	root := func(i int) int {
		for n := 0; causeOf[i] >= 0 && n < len(fs); n++ {
			i = causeOf[i]
		}
		return i
	}
	var out []Finding
	at := map[int]int{}
	for i := range fs {
		if causeOf[i] < 0 {
			at[i] = len(out)
			out = append(out, fs[i])
		}
	}
	for i := range fs {
		if causeOf[i] < 0 {
			continue
		}
		if k, ok := at[root(i)]; ok {
			hide(&out[k], &fs[i])
		} else { // a circle in After: nothing is hidden
			out = append(out, fs[i])
		}
	}
	return out
}

// together is the first of several causes that explain a consequence between them,
// as two faults at once do; -1 when there are none.
func together(fs []Finding, i int, by map[Code]Check) int {
	x, first := &fs[i], -1
	if !x.covers() {
		return -1
	}
	var all Finding
	for j := range fs {
		cause := &fs[j]
		named := slices.Contains(by[x.Code].After, cause.Code)
		vague := by[x.Code].CatchAll && !by[cause.Code].CatchAll && cause.Severity == Error
		if i == j || !named && !vague || !meet(x, cause) {
			continue
		}
		if first < 0 {
			first = j
		}
		all.Covers.Traces = append(all.Covers.Traces, cause.Covers.Traces...)
		all.Covers.Names = append(all.Covers.Names, cause.Covers.Names...)
	}
	if !within(x, &all) {
		return -1
	}
	return first
}

// meet says whether two findings cover something that is the same.
func meet(a, b *Finding) bool {
	in := func(list []int) func(int) bool { return func(i int) bool { return slices.Contains(list, i) } }
	return slices.ContainsFunc(a.Covers.Traces, in(b.Covers.Traces)) || slices.ContainsFunc(a.Covers.Names, in(b.Covers.Names))
}

func hide(under, f *Finding) {
	under.Asked = under.Asked || f.Asked
	for k := range under.Hides {
		if under.Hides[k].Code == f.Code {
			under.Hides[k].Count++
			return
		}
	}
	under.Hides = append(under.Hides, Hidden{Code: f.Code, Count: 1, Summary: f.Summary})
}

// sameFix says whether two findings are mended by the very same operations:
// they are one fault, seen twice.
func sameFix(a, b *Finding) bool {
	if a.Fix == nil || b.Fix == nil || len(a.Fix.Ops) == 0 || len(a.Fix.Ops) != len(b.Fix.Ops) {
		return false
	}
	for i := range a.Fix.Ops {
		x, errX := fixups.Marshal(a.Fix.Ops[i])
		y, errY := fixups.Marshal(b.Fix.Ops[i])
		if errX != nil || errY != nil || !bytes.Equal(x, y) {
			return false
		}
	}
	return true
}

// explained says whether mending the cause, a state that is wrong in itself,
// heals all that f tells of: f is then a symptom, whatever its check knows.
func explained(f, cause *Finding) bool {
	return cause.heals && f.Weight < cause.Weight && f.Severity.Rank() <= cause.Severity.Rank() && f.covers() && related(f, cause)
}

// heals says whether mending the cause heals all that f tells of, so that nothing is
// left for f's own remedy.
func heals(f, cause *Finding) bool {
	return cause.heals && f.Severity.Rank() <= cause.Severity.Rank() && f.covers() && within(f, cause)
}

// covers says whether a finding explains a flow or a name at all.
func (f *Finding) covers() bool { return len(f.Covers.Traces)+len(f.Covers.Names) > 0 }

// related says whether f may be a consequence of cause.
func related(f, cause *Finding) bool {
	if f.Subject == cause.Subject {
		return true
	}
	if len(f.Covers.Traces)+len(f.Covers.Names) == 0 {
		return f.Subject.Netns != "" && f.Subject.Netns == cause.Subject.Netns && f.Subject.Kind == cause.Subject.Kind
	}
	return within(f, cause)
}

// within says whether the cause covers all that f covers.
func within(f, cause *Finding) bool {
	for _, i := range f.Covers.Traces {
		if !slices.Contains(cause.Covers.Traces, i) {
			return false
		}
	}
	for _, i := range f.Covers.Names {
		if !slices.Contains(cause.Covers.Names, i) {
			return false
		}
	}
	return true
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
		if in.Names[i].Path != nil && in.Names[i].Path.Verdict == "resolved" {
			n++
		}
	}
	return n
}
