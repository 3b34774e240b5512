package intent

import (
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// OfOps gives the rule sets that a list of operations makes: what an engine
// wants whose every operation is known. Namespaces that the snapshot does not
// have are left out.
func OfOps(s *snap.Snapshot, engine string, ops []fixups.Op) []Set {
	blank := &snap.Snapshot{Host: snap.Host{Netns: s.Host.Netns}}
	for i := range s.Netns {
		blank.Netns = append(blank.Netns, snap.Netns{ID: s.Netns[i].ID, Class: s.Netns[i].Class})
	}
	for _, op := range fixups.Flat(ops...) {
		if !ruleOp(op) || fixups.Holds(op, blank) {
			continue
		}
		_ = op.On(blank) // it fails in a namespace that was not read: nothing is claimed of it
	}
	var out []Set
	for i := range blank.Netns {
		ns := &blank.Netns[i]
		for j := range ns.Ruleset.Tables {
			out = addTable(out, engine, ns, &ns.Ruleset.Tables[j])
		}
	}
	return out
}

// ruleOp says whether an operation is about rules and what holds them.
func ruleOp(op fixups.Op) bool {
	switch op.(type) {
	case *fixups.RuleInsert, *fixups.ChainAdd, *fixups.ChainPolicy, *fixups.TableAdd, *fixups.SetAdd, *fixups.SetElementAdd:
		return true
	}
	return false
}

// addTable adds a table to the set of its namespace, system and family.
func addTable(out []Set, engine string, ns *snap.Netns, t *snap.Table) []Set {
	var set *Set
	for i := range out {
		if x := &out[i]; x.Netns == ns.ID && x.System == t.System && x.Family == t.Family {
			set = x
		}
	}
	if set == nil {
		out = append(out, Set{Engine: engine, Netns: ns.ID, System: t.System, Family: t.Family})
		set = &out[len(out)-1]
	}
	for i := range t.Sets {
		m := &t.Sets[i]
		if !m.Map || m.DataType != fixups.VerdictMap("").DataType {
			set.Sets = append(set.Sets, TableSet{Table: t.Name, Set: *m})
			continue
		}
		set.Maps = append(set.Maps, Map{Table: t.Name, Name: m.Name})
		for _, e := range m.Elements {
			set.Jumps = append(set.Jumps, Jump{Table: t.Name, Map: m.Name, Device: strings.TrimRight(string(e.Key), "\x00"), Chain: e.Verdict.Chain})
		}
	}
	for i := range t.Chains {
		c := &t.Chains[i]
		set.Chains = append(set.Chains, Chain{Table: t.Name, Name: c.Name, Hook: c.Hook, Type: c.Type, Priority: c.Priority, Policy: c.Policy})
		for k := range c.Rules {
			text := firewall.RuleText(ns, t, c, &c.Rules[k])
			set.Rules = append(set.Rules, Rule{Table: t.Name, Chain: c.Name, Text: text, For: "as netdoctor set it up"})
		}
	}
	return out
}
