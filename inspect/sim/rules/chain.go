package rules

import (
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// table is a compiled table.
type table struct {
	src    *snap.Table
	chains []*chain
	byName map[string]*chain
	sets   map[string]*set
	objs   map[string][]op // stateful objects as expressions, by "type/name"
	filled map[int]bool    // ipsets, by index, that rules add to or delete from
	looks  bool            // see Program.Looks
}

// chain is a compiled chain.
type chain struct {
	id    int // position in its table
	src   *snap.Chain
	table *table
	rules []rule
}

// rule is a compiled rule.
type rule struct {
	src   *snap.Rule
	place Place
	ops   []op
}

func compileTable(src *snap.Table, filled map[int]bool) *table {
	t := &table{src: src, byName: make(map[string]*chain), sets: make(map[string]*set), objs: make(map[string][]op), filled: filled}
	for i := range src.Sets {
		t.sets[src.Sets[i].Name] = compileSet(&src.Sets[i])
	}
	for i := range src.Objects {
		o := &src.Objects[i]
		t.objs[o.Type+"/"+o.Name] = t.compileExprs(o.Expr)
	}
	for i := range src.Chains {
		c := &chain{id: i, src: &src.Chains[i], table: t}
		t.chains = append(t.chains, c)
		t.byName[c.src.Name] = c
	}
	for i := range src.Chains {
		for j := range src.Chains[i].Rules {
			for _, e := range src.Chains[i].Rules[j].Exprs {
				if d, ok := e.(*snap.Dynset); ok && t.sets[d.Set] != nil {
					t.sets[d.Set].filled = true
				}
			}
		}
	}
	for _, c := range t.chains {
		c.compile()
	}
	for _, s := range t.sets {
		s.link(t)
	}
	return t
}

func (c *chain) compile() {
	c.rules = make([]rule, len(c.src.Rules))
	for i := range c.src.Rules {
		src := &c.src.Rules[i]
		num := src.Num
		if num == 0 {
			num = i + 1
		}
		c.rules[i] = rule{src: src, ops: c.table.compileExprs(src.Exprs), place: Place{
			System: c.table.src.System, Family: c.table.src.Family, Table: c.table.src.Name, Chain: c.src.Name,
			Handle: src.Handle, Num: num, Rule: src, ChainP: c.src, TableP: c.table.src,
		}}
	}
}

func (t *table) compileExprs(exprs snap.Exprs) []op {
	ops := make([]op, 0, len(exprs))
	for _, e := range exprs {
		t.looks = t.looks || looksAt(e)
		if o := t.compileExpr(e); o != nil {
			ops = append(ops, o)
		}
	}
	return ops
}
