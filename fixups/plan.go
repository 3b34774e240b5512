package fixups

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Step is one operation of a plan and the finding that asked for it.
type Step struct {
	Finding string // "ND1101", "" for none
	Op      Op
}

// Plan is a list of changes in the order in which they are to be made.
type Plan struct {
	Steps []Step
}

// Wish is what one finding wants done, in its own order.
type Wish struct {
	Finding string
	Ops     []Op
}

// NewPlan orders wishes and takes out what is asked for twice. Wishes about
// lower things come first (devices before addresses before routes before rules
// before engines); among equals the order given counts, and the order within a
// wish is kept.
func NewPlan(wishes ...Wish) (Plan, error) {
	list := slices.Clone(wishes)
	slices.SortStableFunc(list, func(a, b Wish) int { return a.rank() - b.rank() })
	var p Plan
	var seen [][]byte
	for _, w := range list {
		for _, op := range Flat(w.Ops...) {
			b, err := Marshal(op)
			if err != nil {
				return Plan{}, err
			}
			if slices.ContainsFunc(seen, func(x []byte) bool { return bytes.Equal(x, b) }) {
				continue
			}
			seen = append(seen, b)
			p.Steps = append(p.Steps, Step{w.Finding, op})
		}
	}
	return p, nil
}

func (w Wish) rank() int {
	r := 9
	for _, op := range w.Ops {
		r = min(r, rank(op))
	}
	return r
}

// rank orders operations by what they stand on.
func rank(op Op) int {
	switch op := op.(type) {
	case *NetnsAdd, *NetnsDel, *SandboxAdd, *SandboxDel:
		return 0
	case *LinkAdd, *LinkDel, *LinkGroupDel, *LinkMaster, *LinkSet, *LinkMTU, *LinkARP, *LinkMAC, *PortSet, *BridgeSet, *QdiscDel, *QdiscAdd:
		return 1
	case *SysctlSet:
		return 2
	case *AddrAdd, *AddrDel, *NeighSet, *NeighDel, *FDBSet, *FDBDel:
		return 3
	case *RouteAdd, *RouteDel, *RouteReplace, *PolicyRuleAdd, *PolicyRuleDel:
		return 4
	case *Seq:
		r := 9
		for _, o := range op.Ops {
			r = min(r, rank(o))
		}
		return r
	case *FileWrite, *EngineConnect, *EngineDisconnect, *ContainerStart, *ContainerStop, *ContainerPause, *ContainerUnpause,
		*ProcessContinue, *ProcessStop, *HelperStart, *HelperStop, *AardvarkStart, *AardvarkStop:
		return 6
	case *ConntrackDelete:
		return 7 // after the rules, or the entry comes back as it was
	}
	return 5
}

// Ops are the operations in order.
func (p Plan) Ops() []Op {
	out := make([]Op, len(p.Steps))
	for i, s := range p.Steps {
		out[i] = s.Op
	}
	return out
}

// Risk is the highest of its steps.
func (p Plan) Risk() Risk { return highest(p.Ops()) }

// On applies the plan to a snapshot in place. The error names the step; the
// steps before it are done then.
func (p Plan) On(s *snap.Snapshot) error {
	for i, st := range p.Steps {
		if err := st.Op.On(s); err != nil {
			return fmt.Errorf("step %d, %s: %w", i+1, st.Op.Describe(), err)
		}
	}
	return nil
}

// Inverse is the plan that puts back what is in the snapshot now.
func (p Plan) Inverse(s *snap.Snapshot) (Plan, error) {
	now := s.Clone()
	var out Plan
	for i, st := range p.Steps {
		inv, err := st.Op.Inverse(now)
		if err == nil {
			err = st.Op.On(now)
		}
		if err != nil {
			return Plan{}, fmt.Errorf("step %d, %s: %w", i+1, st.Op.Describe(), err)
		}
		if inv != nil {
			out.Steps = append(out.Steps, Step{st.Finding, inv})
		}
	}
	slices.Reverse(out.Steps)
	return out, nil
}

// Pending is the plan without the steps that would change nothing any more.
func (p Plan) Pending(s *snap.Snapshot) Plan {
	now := s.Clone()
	var out Plan
	for _, st := range p.Steps {
		if Holds(st.Op, now) {
			continue
		}
		out.Steps = append(out.Steps, st)
		if st.Op.On(now) != nil {
			continue // the caller's On says why
		}
	}
	return out
}
