package app

import (
	"errors"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/fixups/shell"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// try reads changes as a person types them and makes them on a copy of the
// snapshot, one after the other.
func try(s *snap.Snapshot, lines []string) (*snap.Snapshot, []v1.Change, error) {
	now := s.Clone()
	var out []v1.Change
	for i, l := range lines {
		op, err := shell.Parse(now, l)
		if errors.Is(err, snap.ErrUnsupported) {
			return nil, nil, snap.Hint(Usagef("--what-if %q: %v", l, err), "read are: "+shell.Known)
		}
		if err != nil {
			return nil, nil, Usagef("--what-if %q: %v", l, err)
		}
		c := v1.Change{ID: i + 1, Summary: op.Describe(), Do: op.Shell(), Risk: string(op.Risk()), Netns: op.Netns()}
		if inv, err := op.Inverse(now); err == nil && inv != nil {
			c.Undo = inv.Shell()
		}
		if err := op.On(now); err != nil {
			return nil, nil, Usagef("--what-if %q would not work here: %v", l, err)
		}
		out = append(out, c)
	}
	return now, out, nil
}

// whatIf makes the changes on the model, and says what they do to all flows but
// this one; the tracer goes on with the changed host.
func (t *tracer) whatIf(q *ask, lines []string) (*v1.WhatIf, error) {
	now, changes, err := try(t.s, lines)
	if err != nil {
		return nil, err
	}
	res := &v1.WhatIf{Changes: changes}
	about := map[sim.Flow]bool{}
	res.Before.Verdict = string(sim.Unknown)
	if f := q.diag.Flow; f != nil {
		tr := sim.New(t.s).Trace(*f)
		res.Before = v1.Said{Verdict: string(tr.Verdict), Detail: detail(tr), Where: where(t.s, tr.Where)}
		about[*f] = true
	} else if q.stop != nil {
		res.Before = v1.Said{Verdict: string(sim.Dropped), Detail: q.stop.Detail}
	}
	res.Others = t.a.others(diag.Build(t.s, nil, diag.Options{}), now, t.c.Family, about)
	now.Probes = nil // of the host as it is
	t.s, t.world = now, nil
	return res, nil
}
