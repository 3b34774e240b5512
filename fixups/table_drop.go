package fixups

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TableDrop deletes a table of nftables with everything in it; it is for tables
// of one's own. ChainRef.Chain is not looked at.
type TableDrop struct{ ChainRef }

func (*TableDrop) Kind() string { return "table-drop" }

func (o *TableDrop) Describe() string {
	return fmt.Sprintf("delete table %s %s with everything in it%s", o.Family.NFT(), o.Table, o.in())
}

func (o *TableDrop) Shell() []string {
	return []string{o.line("nft", "delete", "table", o.Family.NFT(), o.Table)}
}

func (o *TableDrop) On(s *snap.Snapshot) error {
	ns, _, err := o.mustTable(s)
	if err != nil {
		return err
	}
	ns.Ruleset.Tables = snap.Without(ns.Ruleset.Tables, func(x snap.Table) bool {
		return x.System == o.System && x.Family == o.Family && x.Name == o.Table
	})
	return nil
}

// Inverse makes the table again, chain by chain and rule by rule.
func (o *TableDrop) Inverse(s *snap.Snapshot) (Op, error) {
	_, t, err := o.table(s)
	if err != nil || t == nil {
		return nil, err
	}
	if len(t.Objects) > 0 || len(t.Flowtables) > 0 {
		return nil, fmt.Errorf("putting table %s back: %w", o.Table, snap.ErrUnsupported)
	}
	ops := []Op{&TableAdd{o.ChainRef}}
	at := func(chain string) ChainRef { r := o.ChainRef; r.Chain = chain; return r }
	for _, c := range t.Chains {
		ops = append(ops, &ChainAdd{ChainRef: at(c.Name), Hook: c.Hook, Type: c.Type, Priority: c.Priority, Policy: c.Policy, Devices: c.Devices})
	}
	for _, x := range t.Sets {
		if !x.Anonymous {
			ops = append(ops, &SetAdd{o.ChainRef, x})
		}
	}
	for _, c := range t.Chains {
		for i, r := range c.Rules {
			ops = append(ops, &RuleRestore{ChainRef: at(c.Name), Num: i + 1, Rule: r, Sets: anonymous(t, &r)})
		}
	}
	return seq(ops...), nil
}

func (o *TableDrop) Risk() Risk                  { return RiskHigh }
func (o *TableDrop) Object(s *snap.Snapshot) any { return o.tableObject(s) }

func (o *TableDrop) Holds(s *snap.Snapshot) bool {
	_, t, err := o.table(s)
	return err == nil && t == nil
}
