package rules

import (
	"cmp"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Program is a rule set made ready to run: every rule decoded once, chains and
// sets found by name. It is immutable and safe for concurrent use. It points
// into the rule set it was compiled from.
type Program struct {
	bases []*BaseChain
}

// BaseChain is a chain that hangs on a hook.
type BaseChain struct {
	Table    *snap.Table
	Chain    *snap.Chain
	Priority int32
	Type     string // "filter", "nat" or "route"
	System   snap.System
	// Tied says that another chain of the same hook has the same priority and
	// was registered by another system, so that their order is not known.
	Tied bool

	code *chain
}

// Compile makes a rule set ready to run. A nil rule set is an empty one.
func Compile(rs *snap.Ruleset) *Program {
	p := &Program{}
	if rs == nil {
		return p
	}
	for i := range rs.Tables {
		t := compileTable(&rs.Tables[i])
		if t.src.Dormant {
			continue // net/netfilter/nf_tables_api.c: a dormant table's chains are not registered
		}
		for _, c := range t.chains {
			if !c.src.Base() {
				continue
			}
			typ := c.src.Type
			if typ == "" {
				typ = "filter"
			}
			p.bases = append(p.bases, &BaseChain{
				Table: t.src, Chain: c.src, Priority: c.src.Priority, Type: typ, System: t.src.System, code: c,
			})
		}
	}
	slices.SortStableFunc(p.bases, orderBases)
	return p
}

// orderBases sorts as the kernel runs them: by priority, and at the same
// priority the chain registered last comes first
// (net/netfilter/core.c:nf_hook_entries_grow).
func orderBases(a, b *BaseChain) int {
	return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Chain.Seq, b.Chain.Seq))
}

// BaseChains are the base chains of one hook that see packets of a family, in
// the order in which the kernel runs them. The family is snap.IPv4 or
// snap.IPv6 (chains of inet tables count for both), snap.ARP,
// snap.BridgeFamily or snap.Netdev; for the hooks "ingress" and "egress" of a
// device dev names it, else dev is not looked at. Chains of dormant tables are
// left out.
func (p *Program) BaseChains(fam snap.Family, hook, dev string) []*BaseChain {
	var out []*BaseChain
	for _, b := range p.bases {
		if b.Chain.Hook == hook && b.sees(fam, hook, dev) {
			out = append(out, b)
		}
	}
	if len(out) < 2 {
		return out
	}
	for i := 1; i < len(out); i++ {
		if out[i].Priority == out[i-1].Priority && legacy(out[i].System) != legacy(out[i-1].System) {
			return tied(out)
		}
	}
	return out
}

// tied marks the chains whose order is not known, on copies.
func tied(in []*BaseChain) []*BaseChain {
	out := slices.Clone(in)
	for i, b := range in {
		for _, o := range in {
			if o.Priority == b.Priority && legacy(o.System) != legacy(b.System) {
				c := *b
				c.Tied = true
				out[i] = &c
				break
			}
		}
	}
	return out
}

func legacy(s snap.System) bool { return s == snap.IPTablesLegacy || s == snap.EBTablesLegacy }

// sees says whether the chain sees packets of the family on that hook.
func (b *BaseChain) sees(fam snap.Family, hook, dev string) bool {
	own := b.Table.Family
	if hook == "ingress" || hook == "egress" {
		return (own == snap.Netdev || own == snap.Inet) && onDevice(b.Chain.Devices, dev)
	}
	if own == snap.Inet {
		return fam == snap.IPv4 || fam == snap.IPv6 || fam == snap.Inet
	}
	return own == fam
}

// onDevice says whether a chain hangs on the device; a name that ends in "*"
// stands for all that begin so (Linux 6.16).
func onDevice(devices []string, dev string) bool {
	for _, d := range devices {
		if d == dev {
			return true
		}
		if p, wild := strings.CutSuffix(d, "*"); wild && strings.HasPrefix(dev, p) {
			return true
		}
	}
	return false
}
