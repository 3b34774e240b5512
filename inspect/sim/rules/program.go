package rules

import (
	"sync"

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
	// Tied says that a chain of another table has the same priority at this
	// hook, so that their order is only as good as Chain.Seq.
	Tied bool

	code   *chain
	policy Place      // of the policy
	pool   *sync.Pool // of work; nil: none is kept
}

// Compile makes a rule set ready to run. A nil rule set is an empty one.
func Compile(rs *snap.Ruleset) *Program {
	p := &Program{}
	if rs == nil {
		return p
	}
	filled := filledIPSets(rs)
	pool := &sync.Pool{}
	for i := range rs.Tables {
		t := compileTable(&rs.Tables[i], filled)
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
				pool:  pool,
				Table: t.src, Chain: c.src, Priority: c.src.Priority, Type: typ, System: t.src.System, code: c,
				policy: Place{
					System: t.src.System, Family: t.src.Family, Table: t.src.Name, Chain: c.src.Name, Policy: true, ChainP: c.src, TableP: t.src,
				},
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
	return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(b.Chain.Seq, a.Chain.Seq))
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
	for i := range out {
		if i > 0 && tied(out[i-1], out[i]) || i+1 < len(out) && tied(out[i], out[i+1]) {
			c := *out[i]
			c.Tied = true
			out[i] = &c
		}
	}
	return out
}

// tied says that the order of two chains is not certain: within a table the
// handles tell it, but not between tables.
func tied(a, b *BaseChain) bool { return a.Priority == b.Priority && a.Table != b.Table }

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
