package fixups

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// LinkGroupDel deletes all devices of a group at once, which costs the kernel
// one grace period instead of one for each (net/core/rtnetlink.c:
// rtnl_group_dellink).
type LinkGroupDel struct {
	Where
	Group uint32 `json:"group"`
}

func (*LinkGroupDel) Kind() string { return "link-group-del" }

func (o *LinkGroupDel) Describe() string {
	return fmt.Sprintf("delete all devices of group %d%s", o.Group, o.in())
}

func (o *LinkGroupDel) Shell() []string {
	return []string{o.line("ip", "link", "delete", "group", fmt.Sprint(o.Group))}
}

func (o *LinkGroupDel) members(s *snap.Snapshot) ([]string, error) {
	ns, err := o.find(s)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, l := range ns.Links {
		if l.Group == o.Group {
			out = append(out, l.Name)
		}
	}
	slices.Sort(out)
	return out, nil
}

func (o *LinkGroupDel) On(s *snap.Snapshot) error {
	names, err := o.members(s)
	if err != nil || o.Group == 0 {
		return err
	}
	for _, n := range names {
		if err := (&LinkDel{Where: o.Where, Name: n}).On(s); err != nil && s.Ns(o.ID).Link(n) != nil {
			return err
		}
	}
	return nil
}

// Inverse makes them again, one by one.
func (o *LinkGroupDel) Inverse(s *snap.Snapshot) (Op, error) {
	names, err := o.members(s)
	if err != nil {
		return nil, err
	}
	var ops []Op
	for _, n := range names {
		ops = append(ops, &LinkDel{Where: o.Where, Name: n})
	}
	inv, err := inverses(ops, s)
	if err != nil {
		return nil, err
	}
	return seq(inv...), nil
}

func (o *LinkGroupDel) Risk() Risk { return RiskHigh }

func (o *LinkGroupDel) Object(s *snap.Snapshot) any {
	names, err := o.members(s)
	if err != nil {
		return nil
	}
	return names
}

func (o *LinkGroupDel) Holds(s *snap.Snapshot) bool {
	names, err := o.members(s)
	return err == nil && len(names) == 0
}
