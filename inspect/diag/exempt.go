package diag

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxExempt bounds the rules that are tried with any sender.
const maxExempt = 16

// Exempt is the number of a rule that stands before the one that stops a flow, and would
// let its packets pass if another had sent them: the two together are a list of senders,
// and who wrote it meant the second for all others. 0 when there is none.
func (in *Input) Exempt(f *FlowCase) int {
	w := RulePlace(f.Trace.Where)
	if !f.Broken() || w == nil || w.Reply || w.Cause != sim.CauseRule || w.Rule == nil || w.Rule.Rule == nil || w.Rule.ChainP == nil {
		return 0
	}
	if _, asks := fromAny(*w.Rule.Rule); asks { // it is about this sender, and not about the rest
		return 0
	}
	tried := 0
	for k := range w.Rule.ChainP.Rules[:min(w.Rule.Num-1, len(w.Rule.ChainP.Rules))] {
		r, ok := fromAny(w.Rule.ChainP.Rules[k])
		if !ok {
			continue
		}
		if tried++; tried > maxExempt {
			break
		}
		if trace := in.withRule(w, k, r); trace != nil && !samePlace(RulePlace(trace(f.Flow).Where), w) {
			return k + 1
		}
	}
	return 0
}

// withRule follows flows with another rule in the place of the k-th one of the chain
// that stops it.
func (in *Input) withRule(w *sim.Where, k int, r snap.Rule) func(sim.Flow) *sim.Trace {
	s := in.Snap.Clone()
	for i := range s.Ns(w.Netns).Ruleset.Tables {
		t := &s.Ns(w.Netns).Ruleset.Tables[i]
		if t.System != w.Rule.System || t.Family != w.Rule.TableP.Family || t.Name != w.Rule.Table {
			continue
		}
		if c := t.Chain(w.Rule.Chain); c != nil && k < len(c.Rules) {
			c.Rules[k] = r
			return sim.New(s).Trace
		}
	}
	return nil
}

// Without says whether the k-th rule of a chain would stop a flow which works if it asked for
// less: without those of its expressions that drop tells, such as what it measures.
func (in *Input) Without(f *FlowCase, ns *snap.Netns, t *snap.Table, c *snap.Chain, k int, drop func(snap.Expr) bool) bool {
	r := c.Rules[k]
	r.Exprs = snap.Without(slices.Clone(r.Exprs), drop)
	w := &sim.Where{Netns: ns.ID, Rule: &rules.Place{System: t.System, Family: t.Family, Table: t.Name, Chain: c.Name, TableP: t, ChainP: c}}
	trace := in.withRule(w, k, r)
	if trace == nil {
		return false
	}
	at := RulePlace(trace(f.Flow).Where)
	return at != nil && at.Rule != nil && at.Netns == ns.ID && at.Rule.Table == t.Name && at.Rule.Chain == c.Name && at.Rule.Num == k+1
}

// fromAny is a rule without what it asks of the sender's address; false when it asks
// nothing of that.
func fromAny(r snap.Rule) (snap.Rule, bool) {
	const at4, at6 = 12, 8 // of the source in an IPv4 and an IPv6 header (RFC 791, RFC 8200)
	var out snap.Exprs
	changed := false
	held := map[int]bool{} // registers that hold the source
	for _, e := range r.Exprs {
		switch x := e.(type) {
		case *snap.Payload:
			delete(held, x.Dreg)
			if x.Base == "nh" && x.Dreg != snap.NoReg && (x.Offset == at4 && x.Len <= 4 || x.Offset == at6 && x.Len > 4) {
				held[x.Dreg] = true
				continue
			}
		case *snap.Bitwise:
			if held[x.Sreg] {
				held[x.Dreg] = true
				continue
			}
		case *snap.Cmp:
			if held[x.Sreg] {
				continue
			}
		case *snap.Range:
			if held[x.Sreg] {
				continue
			}
		case *snap.Lookup:
			if held[x.Sreg] && x.Dreg == snap.NoReg {
				continue
			}
		case *snap.Xt:
			if asksSource(x) {
				continue
			}
		case *snap.XtEntry:
			if x.Src.IsValid() || len(x.SrcAddr) > 0 {
				y := *x
				y.Src, y.SrcMask, y.SrcAddr = netip.Prefix{}, nil, nil
				y.Inv = snap.Without(slices.Clone(x.Inv), func(s string) bool { return s == "src" })
				out, changed = append(out, &y), true
				continue
			}
		}
		out = append(out, e)
	}
	changed = changed || len(out) != len(r.Exprs)
	r.Exprs = out
	return r, changed
}

// asksSource says whether a match of iptables is on the sender's address, by a list.
func asksSource(x *snap.Xt) bool {
	if x.Target || x.Name != "set" && x.Name != "iprange" {
		return false
	}
	m, err := firewall.DecodeXt(x, false)
	if err != nil {
		return false
	}
	switch v := m.(type) {
	case *firewall.SetMatch:
		return slices.Contains(v.Dirs, "src")
	case *firewall.IPRangeMatch:
		return v.HasSrc
	}
	return false
}
