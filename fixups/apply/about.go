package apply

import (
	"github.com/netdoctor/netdoctor/fixups"
)

// ruleOp says whether the operation is about a rule set, which is read for it
// alone: it may be large.
func ruleOp(op fixups.Op) bool {
	switch op.(type) {
	case *fixups.RuleInsert, *fixups.RuleDelete, *fixups.RuleRestore, *fixups.ChainPolicy, *fixups.ChainAdd, *fixups.ChainDel,
		*fixups.TableAdd, *fixups.TableDel, *fixups.TableDrop, *fixups.SetAdd, *fixups.SetDel, *fixups.SetElementAdd, *fixups.SetElementDel:
		return true
	}
	return false
}

// refOf is the place of an operation on rules.
func refOf(op fixups.Op) fixups.ChainRef {
	switch o := op.(type) {
	case *fixups.RuleInsert:
		return o.ChainRef
	case *fixups.RuleDelete:
		return o.ChainRef
	case *fixups.RuleRestore:
		return o.ChainRef
	case *fixups.ChainPolicy:
		return o.ChainRef
	case *fixups.ChainAdd:
		return o.ChainRef
	case *fixups.ChainDel:
		return o.ChainRef
	case *fixups.TableAdd:
		return o.ChainRef
	case *fixups.TableDel:
		return o.ChainRef
	case *fixups.TableDrop:
		return o.ChainRef
	case *fixups.SetAdd:
		return o.ChainRef
	case *fixups.SetDel:
		return o.ChainRef
	case *fixups.SetElementAdd:
		return o.ChainRef
	case *fixups.SetElementDel:
		return o.ChainRef
	}
	return fixups.ChainRef{}
}

// ctrOf is the container that an operation is about.
func ctrOf(op fixups.Op) (fixups.Ctr, bool) {
	switch o := op.(type) {
	case *fixups.EngineConnect:
		return o.Ctr, true
	case *fixups.EngineDisconnect:
		return o.Ctr, true
	case *fixups.ContainerStart:
		return o.Ctr, true
	case *fixups.ContainerStop:
		return o.Ctr, true
	case *fixups.ContainerPause:
		return o.Ctr, true
	case *fixups.ContainerUnpause:
		return o.Ctr, true
	}
	return fixups.Ctr{}, false
}
