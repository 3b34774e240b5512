package diag

import (
	"fmt"
	"slices"
)

// next is where a flow ends once a finding is mended: at another fault, which nothing
// shows as long as the first stands before it.
type next struct {
	flow int    // into Input.Flows
	line string // the rule's, or what the step says
	text string // the whole of it, for people
}

// ends is where a flow ends in this input, after a change, if something of this host
// stops it for certain that did not before; ok is false where it does not.
func (in *Input) ends(was, is *FlowCase) (next, bool) {
	if was.Excused || is.Excused || !was.Broken() || !is.stoppedHere() || !in.ours(is.place()) {
		return next{}, false
	}
	w, before := RulePlace(is.Trace.Where), RulePlace(was.Trace.Where)
	n := next{line: w.Detail, text: w.Detail + " in " + in.Who(w.Netns)}
	if w.Rule != nil {
		n.line, _ = in.RuleLine(w)
		n.text = fmt.Sprintf("%s (%s) in %s stops it: %s", ChainName(w), in.Owner(w), in.Who(w.Netns), n.line)
	}
	// A place is told by its words: its number is another where something went before it.
	same := before != nil && before.Netns == w.Netns && before.Layer == w.Layer && before.Detail == w.Detail
	return n, n.line != "" && !same
}

// tellNext says of each finding what stands behind it, unless a finding of its own does.
func (in *Input) tellNext(fs []Finding) {
	for i := range fs {
		f := &fs[i]
		k := slices.IndexFunc(f.next, func(n next) bool {
			return !slices.ContainsFunc(fs, func(o Finding) bool {
				return slices.ContainsFunc(o.Evidence, func(e Evidence) bool { return e.Text == n.line })
			})
		})
		if k < 0 {
			continue
		}
		n := f.next[k]
		c := &in.Flows[n.flow]
		f.Behind = fmt.Sprintf("%s → %s still fails then: %s", c.From, c.To, n.text)
	}
}
