package checks

import (
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
)

// coverDevice covers the broken flows that were decided at a device of a
// namespace; without causes any cause counts.
func coverDevice(in *diag.Input, netns, device string, causes ...sim.Cause) diag.Cover {
	var c diag.Cover
	for i := range in.Flows {
		f := &in.Flows[i]
		w := f.Trace.Where
		if f.Broken() && !f.Excused && w != nil && w.Netns == netns && w.Device == device && (len(causes) == 0 || slices.Contains(causes, w.Cause)) {
			c.Traces = append(c.Traces, i)
		}
	}
	return c
}

// coverFrom covers the broken flows that a namespace sends and that die there.
func coverFrom(in *diag.Input, netns string, causes ...sim.Cause) diag.Cover {
	var c diag.Cover
	for i := range in.Flows {
		f := &in.Flows[i]
		w := f.Trace.Where
		if f.Broken() && !f.Excused && w != nil && w.Netns == netns && slices.Contains(causes, w.Cause) {
			c.Traces = append(c.Traces, i)
		}
	}
	return c
}

// coverNames covers the bad names that the predicate takes.
func coverNames(in *diag.Input, take func(*diag.NameCase) bool) []int {
	var out []int
	for i := range in.Names {
		if n := &in.Names[i]; n.Bad() && take(n) {
			out = append(out, i)
		}
	}
	return out
}

// upstreamCut says whether a name fails because no server can be reached.
func upstreamCut(n *diag.NameCase) bool {
	switch n.Path.Problem.Kind {
	case names.Unreachable, names.UpstreamDead, names.SilentForName:
		return true
	}
	return false
}
