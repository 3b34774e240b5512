package fixups

import (
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Unmake is what takes away the object that an operation makes, whatever the
// host looks like; nil for one that makes nothing of its own: what hangs on a
// device, a namespace or a table goes with it. It is for objects whose names are
// their owner's, where it needs no snapshot to know what is meant.
func Unmake(op Op) Op {
	switch o := op.(type) {
	case *SandboxAdd:
		return &SandboxDel{o.Where}
	case *NetnsAdd:
		return &NetnsDel{o.Name}
	case *LinkAdd:
		return &LinkDel{Where: o.Where, Name: o.Link.Name}
	case *TableAdd:
		if o.System == snap.NFT {
			return &TableDrop{o.ChainRef}
		}
	case *ChainAdd:
		if o.Hook == "" {
			return &ChainDel{o.ChainRef}
		}
	case *SetAdd:
		return &SetDel{o.ChainRef, o.Set.Name}
	case *SetElementAdd:
		return &SetElementDel{o.ChainRef, o.Set, o.Fields, o.Elements}
	case *RuleInsert:
		r, err := o.Compile()
		if err != nil {
			return nil // it was never made, either
		}
		return &RuleDelete{ChainRef: o.ChainRef, Rule: r, Args: o.Args, Text: o.Text}
	case *RouteAdd:
		return &RouteDel{Where: o.Where, Devs: o.Devs, Route: o.Route}
	case *AddrAdd:
		return &AddrDel{Where: o.Where, Dev: o.Dev, Prefix: o.Addr.Prefix, Peer: o.Addr.Peer}
	case *NeighSet:
		return &NeighDel{Where: o.Where, Dev: o.Dev, IP: o.Neigh.IP, Proxy: o.Neigh.Proxy}
	case *FDBSet:
		return &FDBDel{Where: o.Where, Dev: o.Dev, Entry: o.Entry}
	case *FilePut:
		return &FilePut{Path: o.Path, Open: o.Open}
	}
	return nil
}

// UnmakeAll takes away what a list makes, the last one first. What lies within
// something that goes as a whole, a namespace, a device or a table, is left out.
func UnmakeAll(ops ...Op) []Op {
	ops = Flat(ops...)
	var out []Op
	for _, op := range slices.Backward(ops) {
		if !Within(op, ops) {
			if u := Unmake(op); u != nil {
				out = append(out, u)
			}
		}
	}
	return out
}

// Within says whether the object that an operation makes lies in another one
// that the list makes, and so goes with it.
func Within(op Op, ops []Op) bool {
	return slices.ContainsFunc(ops, func(other Op) bool {
		if other == op {
			return false
		}
		switch in := other.(type) {
		case *SandboxAdd:
			// A device that hangs on one elsewhere goes by itself: the kernel ends
			// namespaces later, and until then a VNI or a parent stays taken.
			l, link := op.(*LinkAdd)
			return op.Netns() == in.ID && !(link && (l.Peer != nil || l.LowerIn != nil))
		case *LinkAdd:
			has := func(ns, dev string) bool {
				return ns == in.ID && dev == in.Link.Name || in.Peer != nil && ns == in.Peer.ID && dev == in.Peer.Name
			}
			switch o := op.(type) {
			case *AddrAdd:
				return has(o.ID, o.Dev)
			case *RouteAdd:
				return len(o.Devs) == 1 && has(o.ID, o.Devs[0])
			case *NeighSet:
				return has(o.ID, o.Dev)
			case *FDBSet:
				return has(o.ID, o.Dev)
			}
		case *TableAdd:
			c, ok := chainRefOf(op)
			return ok && in.System == snap.NFT && c.ID == in.ID && c.System == in.System && c.Family == in.Family && c.Table == in.Table
		}
		return false
	})
}

func chainRefOf(op Op) (ChainRef, bool) {
	switch o := op.(type) {
	case *RuleInsert:
		return o.ChainRef, true
	case *ChainAdd:
		return o.ChainRef, true
	case *SetAdd:
		return o.ChainRef, true
	case *SetElementAdd:
		return o.ChainRef, true
	}
	return ChainRef{}, false
}
