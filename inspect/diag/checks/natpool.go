package checks

import (
	"bytes"
	"net/netip"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// poolOps puts the network of a sender into the set by which a rule knows whose source it
// replaces: a list of pools, as Calico has one. It is the rule that has the network in
// another of its sets (what goes from pool to pool is left alone), or else the only one,
// and that not for a bridge's network: a program's list of its own is not meant for it.
func poolOps(in *diag.Input, f *diag.Finding, bridged bool) []fixups.Op {
	i, host := f.Covers.Traces[0], in.Snap.HostNs()
	tr := in.Flows[i].Trace
	src, h := tr.ExitSrc.Addr(), &sim.Hop{Src: tr.ExitSrc, Dst: tr.ExitDst, Proto: tr.Flow.Proto}
	var only fixups.Op
	var by snap.Ref
	n := 0
	for a := range host.Ruleset.Tables {
		t := &host.Ruleset.Tables[a]
		for b := range t.Chains {
			c := &t.Chains[b]
			for k := range c.Rules {
				r := &c.Rules[k]
				e := poolElement(t, r, src)
				if !mapsSource(r) || e == nil && bridged {
					continue
				}
				w := &sim.Where{Netns: host.ID, Ref: snap.RefRule(host.ID, t, c.Name, r.Num), Rule: &rules.Place{Chain: c.Name, TableP: t}}
				for _, op := range listing(in, w, r, h) {
					widen(host, t, op, e, src)
					x := tried(in, i, []fixups.Op{op})
					if x == nil || !x.Works() || x.Trace.ExitSrc == tr.ExitSrc {
						continue
					}
					if n++; e != nil {
						return poolFix(in, f, w.Ref, op)
					}
					only, by = op, w.Ref
				}
			}
		}
	}
	if n != 1 {
		return nil
	}
	return poolFix(in, f, by, only)
}

// poolFix is the operation; the finding then shows the rule.
func poolFix(in *diag.Input, f *diag.Finding, rule snap.Ref, op fixups.Op) []fixups.Op {
	text, source := in.RuleLine(rulePlace(in, rule))
	f.Evidence = append(f.Evidence, ev(source, text, rule))
	f.Advice = "what fills the set has to name the network, too (in Calico: natOutgoing of its IPPool), or it goes again"
	return []fixups.Op{op}
}

// mapsSource says whether a rule is of the kind that replaces sources.
func mapsSource(r *snap.Rule) bool {
	if len(r.Exprs) == 0 {
		return false
	}
	switch x := r.Exprs[len(r.Exprs)-1].(type) {
	case *snap.Masq:
		return true
	case *snap.Nat:
		return x.Type == "snat"
	case *snap.Xt:
		return x.Name == "MASQUERADE" || x.Name == "SNAT"
	}
	return false
}

// poolElement is the element that spans an address in one of the sets of addresses that a
// rule asks; nil for none.
func poolElement(t *snap.Table, r *snap.Rule, a netip.Addr) *snap.Element {
	for _, e := range r.Exprs {
		x, ok := e.(*snap.Lookup)
		if !ok {
			continue
		}
		s := t.Set(x.Set)
		for k := 0; s != nil && len(s.Fields) == 0 && k < len(s.Elements); k++ {
			if covers(s, &s.Elements[k], a) {
				return &s.Elements[k]
			}
		}
	}
	return nil
}

// widen has an operation put a whole network into its set, if the set takes any and has
// nothing of it yet: what the element spans, or else the block around an address whose
// others this host drops (Calico's, by a route of type blackhole).
func widen(host *snap.Netns, t *snap.Table, op fixups.Op, e *snap.Element, a netip.Addr) {
	p := netip.PrefixFrom(a, a.BitLen())
	for i := range host.Routes {
		if r := &host.Routes[i]; r.Type == "blackhole" && r.Dst.Bits() > 0 && r.Dst.Contains(a) {
			p = r.Dst
		}
	}
	switch o := op.(type) {
	case *fixups.IPSetMember:
		if host.IPSet(o.Set).Type == "hash:net" {
			o.Entry.IP = p
		}
	case *fixups.SetElementAdd:
		from, to := p.Addr().AsSlice(), snap.LastAddr(p).AsSlice()
		if e != nil && len(e.KeyEnd) > 0 {
			from, to = e.Key, e.KeyEnd
		}
		s := t.Set(o.Set)
		for k := range s.Elements {
			x := &s.Elements[k]
			if bytes.Compare(x.Key, to) <= 0 && (bytes.Compare(x.Key, from) >= 0 || bytes.Compare(x.KeyEnd, from) >= 0) {
				return
			}
		}
		if s.Interval {
			o.Elements[0].Key, o.Elements[0].KeyEnd = from, to
		}
	}
}
