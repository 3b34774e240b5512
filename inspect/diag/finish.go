package diag

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// finish fills in what follows from the covered cases: flows and confidence.
func (in *Input) finish(f *Finding) {
	proved, contradicted, half := 0, 0, 0
	later := map[string]bool{}
	for _, i := range f.Covers.Traces {
		c := &in.Flows[i]
		later[c.Trace.Tells()] = true
		f.Asked = f.Asked || c.Asked
		f.Flows = append(f.Flows, FlowRef{From: c.From, To: c.To})
		if t := Tried(c); c.Kind == "tried" && len(f.Covers.Traces) == 1 && !slices.Contains(f.Evidence, t) {
			f.Evidence = append(f.Evidence, t)
		}
		switch p := in.Prove(c); {
		case p == nil:
			if halfway(c) { // the proxy's own answer says nothing of the way behind it
				half++
			}
		case p.Verdict == string(sim.Delivered):
			// An answer is no proof against a fault that lets some packets through.
			if (c.Broken() || c.Unmasked) && !c.Astray {
				contradicted++
			}
		default:
			proved++
		}
	}
	if len(later) == 1 {
		for tells := range later {
			if tells != "" {
				f.Cause += "; " + tells
			}
		}
	}
	// Of what it explains everything was seen to get through: what it tells of is
	// there, and stops nobody now (a neighbour that was learned otherwise, a
	// connection that is known already).
	if n := len(f.Covers.Traces); contradicted > 0 && contradicted+half == n && len(f.Covers.Names) == 0 && f.Severity == Error {
		f.Severity = Warning
	}
	for _, i := range f.Covers.Names {
		n := &in.Names[i]
		f.Asked = f.Asked || n.Asked
		f.Flows = append(f.Flows, FlowRef{From: n.From, To: n.Ask.Name})
	}
	snap.Sort(f.Flows, func(a, b FlowRef) int {
		return cmp.Or(snap.CompareNames(a.From, b.From), snap.CompareNames(a.To, b.To))
	})
	f.Flows = slices.Compact(f.Flows)
	if f.Confidence == "" {
		switch {
		case proved > 0:
			f.Confidence = Proved
		case contradicted > 0:
			f.Confidence = Contradicted
		default:
			f.Confidence = Predicted
		}
	}
	if f.Confidence == Predicted {
		if t, p := in.testimony(f.Covers.Traces); p != nil {
			f.Confidence = Proved
			f.Evidence = append(f.Evidence, Evidence{Source: fmt.Sprintf("probe %d", p.ID), Text: t, Ref: snap.RefProbe(p.ID)})
		}
	}
	f.Unproved = in.whyNot(f)
}
