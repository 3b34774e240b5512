package fixups

import (
	"path"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Freezer is the file by which a control group is frozen: cgroup.freeze, or
// freezer.state of the older kind (Documentation/admin-guide/cgroup-v2.rst;
// cgroup-v1/freezer-subsystem.rst). Procs are the processes with sockets in it: an
// engine gives the same group to another process when the container starts again,
// and that one is not to be frozen by an undo.
type Freezer struct {
	File  string `json:"file"`
	Procs []Proc `json:"procs"`
}

// GroupThaw lets a frozen control group go on.
type GroupThaw struct{ Freezer }

// GroupFreeze freezes it again: what undoes GroupThaw.
type GroupFreeze struct{ Freezer }

// NewGroupThaw thaws the group of that file, with the processes that a snapshot knows in it.
func NewGroupThaw(s *snap.Snapshot, file string) *GroupThaw {
	o := &GroupThaw{Freezer{File: file}}
	eachProcess(s, func(x **snap.Process) {
		p := Proc{PID: (*x).PID, Name: (*x).Name}
		if slices.Contains((*x).FrozenBy, file) && !slices.Contains(o.Procs, p) {
			o.Procs = append(o.Procs, p)
		}
	})
	return o
}

func (*GroupThaw) Kind() string   { return "group-thaw" }
func (*GroupFreeze) Kind() string { return "group-freeze" }

// Netns is "": a control group is not of a namespace's own.
func (Freezer) Netns() string { return "" }

func (o *GroupThaw) Describe() string   { return "thaw the control group " + path.Dir(o.File) }
func (o *GroupFreeze) Describe() string { return "freeze the control group " + path.Dir(o.File) }

func (o *GroupThaw) Shell() []string   { return o.echo(false) }
func (o *GroupFreeze) Shell() []string { return o.echo(true) }

func (f Freezer) echo(frozen bool) []string {
	return []string{"echo " + f.Text(frozen) + " > " + word(f.File)}
}

// Text is what is written to the file.
func (f Freezer) Text(frozen bool) string {
	switch two := path.Base(f.File) == "cgroup.freeze"; {
	case two && frozen:
		return "1"
	case two:
		return "0"
	case frozen:
		return "FROZEN"
	}
	return "THAWED"
}

// frozen says whether one of its processes is frozen by that file, and whether one is known at all.
func (f Freezer) frozen(s *snap.Snapshot) (frozen, known bool) {
	for _, p := range f.Procs {
		p.Each(s, func(x **snap.Process) {
			known = true
			frozen = frozen || slices.Contains((*x).FrozenBy, f.File)
		})
	}
	return frozen, known
}

func (f Freezer) set(s *snap.Snapshot, frozen bool) error {
	if _, known := f.frozen(s); !known {
		return snap.NotFoundf("no process in the control group %s", path.Dir(f.File))
	}
	for _, p := range f.Procs {
		p.Each(s, func(x **snap.Process) {
			c := **x
			c.FrozenBy = snap.Without(slices.Clone(c.FrozenBy), func(by string) bool { return by == f.File })
			if frozen {
				c.FrozenBy = append(c.FrozenBy, f.File)
				slices.Sort(c.FrozenBy)
			}
			c.Frozen = len(c.FrozenBy) > 0
			*x = &c
		})
	}
	return nil
}

func (o *GroupThaw) On(s *snap.Snapshot) error   { return o.set(s, false) }
func (o *GroupFreeze) On(s *snap.Snapshot) error { return o.set(s, true) }

func (o *GroupThaw) Inverse(s *snap.Snapshot) (Op, error) {
	if frozen, _ := o.frozen(s); !frozen {
		return nil, nil
	}
	return &GroupFreeze{o.Freezer}, nil
}

func (o *GroupFreeze) Inverse(s *snap.Snapshot) (Op, error) {
	if frozen, known := o.frozen(s); frozen || !known {
		return nil, nil
	}
	return &GroupThaw{o.Freezer}, nil
}

func (o *GroupThaw) Risk() Risk   { return RiskMedium } // everything in the group goes on
func (o *GroupFreeze) Risk() Risk { return RiskHigh }

func (o *GroupThaw) Object(s *snap.Snapshot) any   { return o.object(s) }
func (o *GroupFreeze) Object(s *snap.Snapshot) any { return o.object(s) }

func (f Freezer) object(s *snap.Snapshot) any {
	frozen, _ := f.frozen(s)
	return frozen
}

func (o *GroupThaw) Holds(s *snap.Snapshot) bool {
	frozen, known := o.frozen(s)
	return known && !frozen
}

func (o *GroupFreeze) Holds(s *snap.Snapshot) bool {
	frozen, _ := o.frozen(s)
	return frozen
}
