package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// usedUp is the rule that lets a flow pass up to an amount of data, in the chain whose
// later rule stops it, or the latter itself, where it stops all beyond that amount: more
// than that has gone by (net/netfilter/xt_quota.c, nft_quota.c: it never recovers by
// itself). What stops the flow then is meant to. nil where no such rule decides.
func usedUp(in *diag.Input, w *sim.Where, flow sim.Flow) *sim.Where {
	if w == nil || w.Rule == nil || w.Rule.ChainP == nil || w.Rule.Policy {
		return nil
	}
	p := w.Rule
	for i := range min(p.Num, len(p.ChainP.Rules)) {
		r := &p.ChainP.Rules[i]
		if !slices.ContainsFunc(r.Exprs, hasQuota) {
			continue
		}
		at := *p
		at.Num, at.Handle, at.Rule = r.Num, r.Handle, r
		at.Ref = snap.RefRule(w.Netns, p.TableP, p.Chain, r.Num)
		if r.Num == p.Num {
			return &sim.Where{Netns: w.Netns, Rule: &at, Ref: at.Ref}
		}
		s := in.Snap.Clone()
		if v, err := s.At(at.Ref); err == nil {
			x := v.(*snap.Rule)
			x.Exprs = snap.Without(slices.Clone(x.Exprs), hasQuota)
			if t := sim.New(s).Trace(flow); t.Where == nil || t.Where.Ref != w.Ref {
				return &sim.Where{Netns: w.Netns, Rule: &at, Ref: at.Ref}
			}
		}
	}
	return nil
}

// hasQuota says whether an expression counts down from an amount of data.
func hasQuota(e snap.Expr) bool {
	switch x := e.(type) {
	case *snap.Quota:
		return true
	case *snap.Objref:
		return x.Type == "quota"
	case *snap.Xt:
		return !x.Target && x.Name == "quota"
	}
	return false
}

// saySpent adds to a finding the quota that is used up, and how it begins anew; false
// where there is none.
func saySpent(in *diag.Input, f *diag.Finding, w *sim.Where, flow sim.Flow) bool {
	q := usedUp(in, w, flow)
	if q == nil {
		return false
	}
	p := q.Rule
	text, source := in.RuleLine(q)
	if n := p.Rule.Bytes; n > 0 {
		text += fmt.Sprintf(" (%d bytes)", n)
	}
	f.Cause = fmt.Sprintf("the quota of rule %d is used up: the rest of the chain decides now", p.Num)
	f.Evidence = append(f.Evidence, ev(source, text, q.Ref))
	f.Advice = "raise the quota, or begin it anew; the rule that stops the rest stays"
	if op := deleteRule(in, q.Netns, p.System, p.Family, p.Table, p.Chain, p.Num); op != nil && p.System != snap.NFT {
		f.Advice += ": " + strings.Replace(shellOf(op), "-D "+p.Chain, fmt.Sprintf("-R %s %d", p.Chain, p.Num), 1)
	}
	return true
}
