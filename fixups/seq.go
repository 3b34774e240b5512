package fixups

import (
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Seq is several operations that belong together, in order. It is mostly what
// an inverse is made of: a device that goes down takes routes with it.
type Seq struct {
	Ops Ops `json:"ops"`
}

// Flat takes sequences apart.
func Flat(ops ...Op) []Op {
	var out []Op
	for _, op := range ops {
		switch op := op.(type) {
		case nil:
		case *Seq:
			out = append(out, Flat(op.Ops...)...)
		default:
			out = append(out, op)
		}
	}
	return out
}

// seq is the shortest Op for a list; nil for an empty one.
func seq(ops ...Op) Op {
	ops = Flat(ops...)
	switch len(ops) {
	case 0:
		return nil
	case 1:
		return ops[0]
	}
	return &Seq{Ops: ops}
}

func (*Seq) Kind() string { return "seq" }

// Netns is the one of the first operation.
func (q *Seq) Netns() string {
	if len(q.Ops) == 0 {
		return ""
	}
	return q.Ops[0].Netns()
}

func (q *Seq) Describe() string {
	list := make([]string, len(q.Ops))
	for i, op := range q.Ops {
		list[i] = op.Describe()
	}
	return strings.Join(list, ", ")
}

func (q *Seq) Shell() []string {
	out := []string{}
	for _, op := range q.Ops {
		out = append(out, op.Shell()...)
	}
	return out
}

func (q *Seq) On(s *snap.Snapshot) error {
	for _, op := range q.Ops {
		if err := op.On(s); err != nil {
			return err
		}
	}
	return nil
}

// Inverse undoes the last one first; each one's inverse is taken from the
// state that it will find.
func (q *Seq) Inverse(s *snap.Snapshot) (Op, error) {
	inv, err := inverses(q.Ops, s)
	if err != nil {
		return nil, err
	}
	return seq(inv...), nil
}

// inverses gives the inverses of operations that are done one after another,
// in the order in which they are to be done.
func inverses(ops []Op, s *snap.Snapshot) ([]Op, error) {
	now := s.Clone()
	var out []Op
	for _, op := range ops {
		inv, err := op.Inverse(now)
		if err != nil {
			return nil, err
		}
		if inv != nil {
			out = append(out, inv)
		}
		if err := op.On(now); err != nil {
			return nil, err
		}
	}
	slices.Reverse(out)
	return out, nil
}

// Risk is the highest of its operations.
func (q *Seq) Risk() Risk { return highest(q.Ops) }

func highest(ops []Op) Risk {
	r := RiskLow
	for _, op := range ops {
		switch op.Risk() {
		case RiskHigh:
			return RiskHigh
		case RiskMedium:
			r = RiskMedium
		case RiskLow:
		}
	}
	return r
}

func (q *Seq) Object(s *snap.Snapshot) any {
	now := s.Clone()
	list := []any{}
	for _, op := range q.Ops {
		if c, ok := op.(Checked); ok {
			list = append(list, c.Object(now))
		}
		if op.On(now) != nil {
			return list
		}
	}
	return list
}

func (q *Seq) Holds(s *snap.Snapshot) bool {
	for _, op := range q.Ops {
		if !Holds(op, s) {
			return false
		}
	}
	return true
}
