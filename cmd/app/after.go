package app

import (
	"slices"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// after follows the flows and names again on the changed value.
func after(d *diagnosis, changed *snap.Snapshot, flows, asked []int) []v1.AfterFlow {
	slices.Sort(flows)
	slices.Sort(asked)
	copied := *changed
	then := d.in.On(&copied)
	var out []v1.AfterFlow
	for _, i := range slices.Compact(flows) {
		if i < 0 || i >= len(d.in.Flows) {
			continue
		}
		f := &d.in.Flows[i]
		was, is := flowOutcome(f), flowOutcome(&then.Flows[i])
		if p := d.in.Prove(f); p != nil && p.Differs != "" && was == is {
			was = p.Verdict // the wire knows better what there is than the model
		}
		if a, b := f.Trace.ExitSrc.Addr(), then.Flows[i].Trace.ExitSrc.Addr(); was == is && a.IsValid() && b.IsValid() && a != b {
			was, is = was+" as "+a.String(), is+" as "+b.String() // who answers to the wrong one is not followed
		}
		out = append(out, v1.AfterFlow{From: f.From, To: f.To, Before: was, After: is})
	}
	for _, i := range slices.Compact(asked) {
		if i < 0 || i >= len(then.Names) {
			continue
		}
		n := &d.in.Names[i]
		out = append(out, v1.AfterFlow{From: n.From, To: "the name " + n.Ask.Name, Before: nameOutcome(n), After: nameOutcome(&then.Names[i])})
	}
	return out
}

// flowOutcome is a flow's verdict in words, for before and after.
func flowOutcome(f *diag.FlowCase) string {
	if f.Unmasked {
		return "gets out, unmasqueraded" // with a source that nobody out there can answer
	}
	return outcome(f.Trace)
}

// nameOutcome is a name's verdict in a word, for before and after.
func nameOutcome(n *diag.NameCase) string {
	switch {
	case n.Path == nil:
		return string(names.Unknown)
	case n.Path.Verdict == names.Unknown && !n.Bad():
		return "asked beyond this host"
	}
	return string(n.Path.Verdict)
}
