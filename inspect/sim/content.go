package sim

import (
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ByContent is where an open TCP connection may end once it carries data: at a rule that
// looks into the packets, as inside says, and that no packet without content meets. What
// will be sent is not known, so that it may as well get through. t is what Trace gave; nil
// when it does not open, or there is no such rule on the way.
func (w *World) ByContent(t *Trace, inside func(*snap.Rule) bool) *Where {
	if t.Proxy != nil {
		t = t.Proxy
	}
	if t.Flow.Proto != snap.TCP || !opens(t) {
		return nil
	}
	for _, reply := range []bool{false, true} {
		if at := w.byContent(t.Flow, word{reply: reply, flags: rules.TCPPSH | rules.TCPACK, data: lineBytes, kind: LaterData}, inside); at != nil {
			return at
		}
	}
	return nil
}

func (w *World) byContent(f Flow, s word, inside func(*snap.Rule) bool) *Where {
	var picks []int
	for range maxPaths {
		r := newRun(w, picks)
		r.how, r.useSnapConns, r.anew = ways{conns: true}, f.Sport != 0, f.Anew
		if first := r.trace(f); opens(first) && r.took != nil {
			if end := r.more(first, s); end != nil && end.kind == fateDropped && end.where.Cause == CauseRule && end.where.Rule != nil && inside(end.where.Rule.Rule) {
				at := end.where
				r.done()
				return &at
			}
		}
		picks = r.next()
		r.done()
		if picks == nil {
			break
		}
	}
	return nil
}
