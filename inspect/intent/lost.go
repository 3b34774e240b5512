package intent

import (
	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Lost are the operations, rules aside, whose end does not hold any more, in the
// order given, which is that in which things are made. Of what was not read
// nothing is claimed.
func Lost(s *snap.Snapshot, ops []fixups.Op) []fixups.Op {
	now := s.Clone()
	var out []fixups.Op
	for _, op := range fixups.Flat(ops...) {
		if _, made := op.(*fixups.SandboxAdd); made || ruleOp(op) || !known(s, op) {
			continue
		}
		for _, part := range parts(now, op) {
			if fixups.Holds(part, now) {
				continue
			}
			if part.On(now) == nil {
				out = append(out, part)
			}
		}
	}
	return out
}

// known says whether the snapshot can tell whether an operation still holds.
func known(s *snap.Snapshot, op fixups.Op) bool {
	if p, ok := op.(fixups.Placed); ok {
		for _, w := range p.Places() {
			if s.Ns(w.ID) == nil {
				return false
			}
		}
	}
	if o, ok := op.(*fixups.SysctlSet); ok {
		ns := s.Ns(o.ID)
		if _, read := ns.Sysctls[o.Key]; !read {
			dev := fixups.SysctlDev(o.Key)
			return dev != "" && ns.Link(dev) == nil // gone with its device
		}
	}
	return true
}

// parts are what is to hold of a device that is there: its bridge, its state.
func parts(s *snap.Snapshot, op fixups.Op) []fixups.Op {
	o, ok := op.(*fixups.LinkAdd)
	if !ok {
		return []fixups.Op{op}
	}
	ns := s.Ns(o.ID)
	l := ns.Link(o.Link.Name)
	if l == nil {
		return []fixups.Op{op}
	}
	var out []fixups.Op
	if o.Master != "" {
		out = append(out, &fixups.LinkMaster{Where: o.Where, Name: l.Name, Master: o.Master})
	}
	if o.Up {
		out = append(out, &fixups.LinkSet{Where: o.Where, Name: l.Name, Up: true})
	}
	if o.Link.MTU != 0 {
		out = append(out, &fixups.LinkMTU{Where: o.Where, Name: l.Name, MTU: o.Link.MTU})
	}
	return out
}
