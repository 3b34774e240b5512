package fixups

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TableAdd makes an empty table. ChainRef.Chain is not looked at.
type TableAdd struct {
	ChainRef
}

// TableDel deletes an empty table.
type TableDel struct {
	ChainRef
}

func (*TableAdd) Kind() string { return "table-add" }
func (*TableDel) Kind() string { return "table-del" }

func (o *TableAdd) Describe() string {
	return fmt.Sprintf("make table %s %s%s", o.Family.NFT(), o.Table, o.in())
}

func (o *TableDel) Describe() string {
	return fmt.Sprintf("delete table %s %s%s", o.Family.NFT(), o.Table, o.in())
}

func (o *TableAdd) Shell() []string {
	if o.System == snap.IPTablesLegacy {
		return []string{o.xtLine("-nL")}
	}
	return []string{o.line("nft", "add", "table", o.Family.NFT(), o.Table)}
}

func (o *TableDel) Shell() []string {
	if o.System == snap.IPTablesLegacy {
		return []string{"# a legacy table stays registered until its module is unloaded"}
	}
	return []string{o.line("nft", "delete", "table", o.Family.NFT(), o.Table)}
}

func (o *TableAdd) On(s *snap.Snapshot) error {
	ns, t, err := o.table(s)
	if err != nil {
		return err
	}
	if t != nil {
		return fmt.Errorf("table %s is there already", o.Table)
	}
	ns.Ruleset.Tables = append(ns.Ruleset.Tables, snap.Table{System: o.System, Family: o.Family, Name: o.Table, Chains: []snap.Chain{}})
	return nil
}

func (o *TableDel) On(s *snap.Snapshot) error {
	ns, t, err := o.mustTable(s)
	if err != nil {
		return err
	}
	if !empty(t) {
		return fmt.Errorf("table %s is not empty", o.Table)
	}
	system := t.System
	ns.Ruleset.Tables = snap.Without(ns.Ruleset.Tables, func(x snap.Table) bool {
		return x.System == system && x.Family == o.Family && x.Name == o.Table
	})
	return nil
}

func empty(t *snap.Table) bool {
	return len(t.Chains) == 0 && len(t.Sets) == 0 && len(t.Objects) == 0 && len(t.Flowtables) == 0
}

func (o *TableAdd) Inverse(s *snap.Snapshot) (Op, error) {
	if _, t, err := o.table(s); err != nil || t != nil {
		return nil, err
	}
	return &TableDel{o.ChainRef}, nil
}

func (o *TableDel) Inverse(s *snap.Snapshot) (Op, error) {
	if _, t, err := o.table(s); err != nil || t == nil {
		return nil, err
	}
	return &TableAdd{o.ChainRef}, nil
}

func (o *TableAdd) Risk() Risk { return RiskLow }
func (o *TableDel) Risk() Risk { return RiskMedium }

func (o *TableAdd) Object(s *snap.Snapshot) any { return o.tableObject(s) }
func (o *TableDel) Object(s *snap.Snapshot) any { return o.tableObject(s) }

func (c ChainRef) tableObject(s *snap.Snapshot) any {
	_, t, err := c.table(s)
	if err != nil || t == nil {
		return nil
	}
	return len(t.Chains)
}

func (o *TableAdd) Holds(s *snap.Snapshot) bool {
	_, t, err := o.table(s)
	return err == nil && t != nil
}

func (o *TableDel) Holds(s *snap.Snapshot) bool {
	_, t, err := o.table(s)
	return err == nil && t == nil
}
