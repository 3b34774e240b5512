package checks

import (
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// redirected notes the filters that send broken flows out of another device, where they
// die in the end, and that arrive when the filter is not there. A network program's own
// detours lead to where the packet is taken: without them nothing would arrive.
func (d *droppers) redirected() {
	tried := map[snap.Ref]bool{}
	for i := range d.in.Flows {
		f := &d.in.Flows[i]
		if !f.Broken() || f.Excused {
			continue
		}
		for _, h := range slices.Concat(f.Trace.Forward, f.Trace.Reply) {
			if h.Stage != "tc" || len(h.Because) != 1 || tried[h.Because[0]] || !owned(d.in, h.Netns) {
				continue
			}
			tried[h.Because[0]] = true
			s := d.in.Snap.Clone()
			l := s.Ns(h.Netns).Link(h.Device)
			l.Filters = snap.Without(slices.Clone(l.Filters), func(t snap.TCFilter) bool {
				return slices.ContainsFunc(t.Actions, func(a string) bool { return strings.HasPrefix(a, "redirect:") })
			})
			c := mended(d.in, d.in.On(s))
			if len(c.Traces) == 0 {
				continue
			}
			w := &sim.Where{Netns: h.Netns, Device: h.Device, Layer: "tc", Cause: sim.CauseTC, Detail: h.Did + ", where it gets lost"}
			d.note(w, c.Traces, nil)
		}
	}
}
