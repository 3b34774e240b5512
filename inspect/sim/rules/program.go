package rules

import (
	"cmp"
	"strings"
	"sync"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Program is a rule set made ready to run: every rule decoded once, chains and
// sets found by name. It is immutable and safe for concurrent use. It points
// into the rule set it was compiled from.
type Program struct {
	bases []*BaseChain
	hooks map[hookKey][]*BaseChain // what BaseChains gives, for all hooks but those of devices
	ports []*BaseChain             // on the hooks of devices
	looks bool                     // see Looks
}

type hookKey struct {
	fam  snap.Family
	hook string
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

// Policy is the place of the chain's policy.
func (b *BaseChain) Policy() *Place { return &b.policy }

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
		p.looks = p.looks || t.looks
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
	snap.Sort(p.bases, orderBases)
	p.sortHooks()
	return p
}

// sortHooks makes BaseChains a matter of one look-up.
func (p *Program) sortHooks() {
	p.hooks = make(map[hookKey][]*BaseChain)
	for _, b := range p.bases {
		if deviceHook(b.Chain.Hook) {
			p.ports = append(p.ports, b)
			continue
		}
		fams := []snap.Family{b.Table.Family}
		if b.Table.Family == snap.Inet {
			fams = []snap.Family{snap.IPv4, snap.IPv6, snap.Inet}
		}
		for _, fam := range fams {
			k := hookKey{fam, b.Chain.Hook}
			p.hooks[k] = append(p.hooks[k], b)
		}
	}
	for _, list := range p.hooks {
		markTied(list)
	}
}

// deviceHook says whether a hook belongs to a device.
func deviceHook(hook string) bool { return hook == "ingress" || hook == "egress" }

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
	if !deviceHook(hook) {
		return p.hooks[hookKey{fam, hook}]
	}
	var out []*BaseChain
	for _, b := range p.ports {
		if b.Chain.Hook == hook && (b.Table.Family == snap.Netdev || b.Table.Family == snap.Inet) && onDevice(b.Chain.Devices, dev) {
			out = append(out, b)
		}
	}
	markTied(out)
	return out
}

// markTied marks the chains of a sorted list that share their priority with a
// chain of another table.
func markTied(list []*BaseChain) {
	for i := range list {
		if i > 0 && tied(list[i-1], list[i]) || i+1 < len(list) && tied(list[i], list[i+1]) {
			c := *list[i]
			c.Tied = true
			list[i] = &c
		}
	}
}

// tied says that the order of two chains is not certain: within a table the
// handles tell it, but not between tables.
//
//go:noinline
func tied(a, b *BaseChain) bool { return a.Priority == b.Priority && a.Table != b.Table }

func legacy(s snap.System) bool { return s == snap.IPTablesLegacy || s == snap.EBTablesLegacy }

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
