package diag

import (
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/inspect/walk"
)

// WhatIf is the input as it would be after the operations: the same flows and
// names, followed through the changed value. The error says which operation
// can't be tried, and why.
func (in *Input) WhatIf(ops []fixups.Op) (*Input, error) {
	s := in.Snap.Clone()
	for _, op := range ops {
		if err := op.On(s); err != nil {
			return nil, err
		}
	}
	return in.On(s), nil
}

// Bare is the input by the model alone, as if nothing had been tried: what a change
// does on the value is compared with it. The input itself where nothing was.
func (in *Input) Bare() *Input {
	if len(in.Snap.Probes)+len(in.Snap.Tracked) == 0 {
		return in
	}
	if in.bare == nil {
		s := *in.Snap
		in.bare = in.On(&s)
	}
	return in.bare
}

// Along is a flow as another model has it: what probes said was of the state before.
func (in *Input) Along(w *sim.World, f FlowCase) *FlowCase {
	f.Trace, f.Probe, f.Settled = w.Trace(f.Flow), nil, false
	f.Astray = in.astray(&f)
	return &f
}

// On is the input with the same flows and names, followed through another value of
// this host: what was tried on it speaks of the state before, and is taken off.
func (in *Input) On(s *snap.Snapshot) *Input {
	s.Probes, s.Tracked = nil, nil
	out := &Input{Snap: s, World: sim.New(s), Graph: walk.New(s), Asks: in.Asks, reached: map[reachKey]names.Reach{}}
	out.Flows = slices.Clone(in.Flows)
	for i := range out.Flows {
		f := &out.Flows[i]
		f.Trace, f.Probe, f.Settled = out.follow(f.Flow), nil, false
		f.Astray = out.astray(f)
		f.Unmasked = out.unmasked(f)
	}
	out.excuse()
	out.Names = slices.Clone(in.Names)
	for i := range out.Names {
		out.Names[i].Path = out.path(&out.Names[i])
	}
	return out
}

// healed adds to a finding's cover what its fix, or else its cure, would mend: the flows and
// names that are broken now and would work then. What keeps traffic from
// working is an error, whatever its check takes it for when nothing suffers.
func (in *Input) healed(f *Finding) {
	ops := f.Cure
	if f.Fix != nil && len(f.Fix.Ops) > 0 {
		ops = f.Fix.Ops
	}
	if len(ops) == 0 {
		return
	}
	then, err := in.WhatIf(ops)
	if err != nil {
		return // it can't be tried on the value; what the check found stands
	}
	for i := range in.Flows {
		was, is := &in.Flows[i], &then.Flows[i]
		if (was.Broken() || was.Unmasked) && !was.Excused && (is.Works() && !is.Unmasked || in.Arrives(was, is)) && f.mends(&f.Covers.Traces, i) {
			f.Covers.Traces = append(f.Covers.Traces, i)
		} else if n, ok := then.ends(was, is); ok && slices.Contains(f.Covers.Traces, i) {
			n.flow = i
			f.next = append(f.next, n)
		}
	}
	bare := in.Bare()
	for i := range in.Names {
		model, is := &bare.Names[i], &then.Names[i]
		// What a server said, or did not say, is not known to be another by a change
		// that has nothing to do with the way to it.
		if in.Names[i].Bad() && !is.Bad() && (model.Bad() || asksOtherwise(model, is)) && f.mends(&f.Covers.Names, i) {
			f.Covers.Names = append(f.Covers.Names, i)
		}
	}
	if len(f.Covers.Traces)+len(f.Covers.Names) > 0 && f.Severity == Warning {
		f.Severity = Error
	}
}

// asksOtherwise says whether a name is asked of other servers, from elsewhere, or by
// another way than it was.
func asksOtherwise(was, is *NameCase) bool {
	return !slices.EqualFunc(was.Path.Servers, is.Path.Servers, func(a, b names.Server) bool {
		return a.Addr == b.Addr && a.AskedFrom == b.AskedFrom && slices.Equal(a.Reach.Because, b.Reach.Because)
	})
}

// Arrives says whether a flow that was stopped on its way gets to its target now,
// where no program takes it: that is another matter, and had no say before.
func (in *Input) Arrives(was, is *FlowCase) bool {
	c := in.Snap.Container(is.Target)
	ended := func(f *FlowCase) bool {
		w := f.Trace.Where
		return w != nil && w.Cause == sim.CauseNoListener && !w.Reply && w.Netns == c.Netns
	}
	return c != nil && c.Netns != "" && ended(is) && !ended(was)
}

// mends notes that a fix heals case i, and says whether the list lacks it.
func (f *Finding) mends(list *[]int, i int) bool {
	f.heals = true
	return !slices.Contains(*list, i)
}
