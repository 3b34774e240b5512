package diag

import (
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Ruleable says whether the kernel's trace of rules would tell more of a probe:
// one that was asked for.
func (in *Input) Ruleable(f *FlowCase) bool {
	return f.Asked && f.Probe != nil && len(f.Probe.Ruled) == 0 && ProbeSays(f.Probe) != ""
}

// ruled is the place that the kernel's trace of rules names; nil when the packet
// did not end by a rule, or ended elsewhere.
func (in *Input) ruled(p *snap.Probe, model *sim.Where) *sim.Where {
	var l *snap.Ruled
	for i := range p.Ruled {
		if in.dropped(&p.Ruled[i]) != nil {
			l = &p.Ruled[i]
		}
	}
	if l == nil || p.Died != nil && (p.Died.Netns != l.Netns || p.Died.Answer != l.Answer) {
		return nil
	}
	w := in.dropped(l)
	w.Reply = l.Answer
	if p.Died != nil {
		w.Device = p.Died.Device
	}
	if model != nil && sameRule(w, model) && model.Reply == w.Reply {
		return model
	}
	return w
}

// dropped is the place of a line that ended the packet; nil for any other. The
// trace of legacy tables does not tell verdicts: there the rule itself does.
func (in *Input) dropped(l *snap.Ruled) *sim.Where {
	if l.Verdict != "drop" && (l.Verdict != "" || l.System != snap.IPTablesLegacy) {
		return nil
	}
	w := in.endingAt(l.Netns, "ended it, says the kernel's own trace", func(t *snap.Table, ch *snap.Chain, r *snap.Rule) bool {
		if t.System != l.System || t.Family != l.Family || t.Name != l.Table || ch.Name != l.Chain || l.Policy != (r == nil) {
			return false
		}
		return r == nil || r.Num == l.Num && l.Num > 0
	})
	if w != nil || l.Verdict == "" {
		return w
	}
	// A rule that the snapshot does not have.
	w = &sim.Where{
		Netns: l.Netns, Layer: "netfilter", Reason: netfilterDrop, Cause: sim.CauseRule,
		Rule: &rules.Place{System: l.System, Family: l.Family, Table: l.Table, Chain: l.Chain, Num: l.Num, Handle: l.Handle, Policy: l.Policy},
	}
	if l.Policy {
		w.Cause = sim.CausePolicy
	}
	w.Detail = ChainName(w) + " ended it, says the kernel's own trace; it was not there when the rules were read"
	return w
}
