package names

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Proof is what live answers say of a name.
type Proof struct {
	// Verdict is Unknown when the servers on the way were not asked for this name.
	Verdict Verdict
	Answers []string
	// Contradictions are servers that answered otherwise than predicted: the
	// model is wrong, or the host changed in between.
	Contradictions []Contradiction
	Probes         []snap.Ref // that were taken into account
}

// Contradiction is one server's.
type Contradiction struct {
	From, Name       string
	Server           netip.AddrPort
	Predicted, Seen  Verdict
	PredictedAnswers []string
	SeenAnswers      []string
	Probe            snap.Ref
}

// Reconcile follows the name once more by live answers alone, and compares
// what each server said with what was predicted for it.
func Reconcile(in Input) Proof {
	w := newWalker(in)
	if w.ns == nil || w.r == nil {
		return Proof{Verdict: Unknown}
	}
	if a, ok := literal(in.Name, w.typ); ok {
		return Proof{Verdict: Resolved, Answers: []string{a}}
	}
	w.run(w.libc) // the prediction for every server on the way
	seen := newWalker(in)
	seen.seenOnly, seen.predicted = true, w.memo
	res := seen.run(seen.libc)
	p := Proof{Verdict: res.verdict, Answers: res.answers}
	for q, o := range seen.memo {
		probe := seen.exactProbe(q.from, q.server, q.name)
		if probe == nil {
			continue
		}
		p.Probes = append(p.Probes, seen.refProbe(probe))
		if pre, ok := w.memo[q]; ok && !agree(pre, o) && !w.reached[reachKey{q.from, q.server}].Spared {
			p.Contradictions = append(p.Contradictions, Contradiction{
				From: q.from, Name: q.name, Server: q.server, Predicted: pre.verdict, Seen: o.verdict,
				PredictedAnswers: pre.answers, SeenAnswers: o.answers, Probe: seen.refProbe(probe),
			})
		}
	}
	slices.Sort(p.Probes)
	snap.Sort(p.Contradictions, func(a, b Contradiction) int { return compare(a.Probe, b.Probe) })
	return p
}

func compare(a, b snap.Ref) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// impatient says whether a probe may just not have waited long enough for a
// server that itself waits for a dead one before it answers.
func impatient(pre outcome, p *snap.Probe) bool {
	return p.Outcome == snap.TimedOut && pre.wait > 0 && pre.verdict != Timeout
}

// agree compares a prediction with a live answer. How a failure shows (silence,
// a reset, SERVFAIL) depends on timing, and is no contradiction.
func agree(pre, seen outcome) bool {
	failed := func(v Verdict) bool { return v == Timeout || v == Refused || v == ServFail }
	switch {
	case pre.verdict == Unknown || seen.verdict == Unknown:
		return true
	case failed(pre.verdict) || failed(seen.verdict):
		return failed(pre.verdict) && failed(seen.verdict)
	case pre.verdict == Resolved && seen.verdict == Resolved:
		if pre.cut != nil || seen.cut != nil {
			return true // each server puts into a packet what fits into its own (RFC 2181, section 9)
		}
		return same(pre.answers, seen.answers)
	}
	return pre.verdict == seen.verdict
}
