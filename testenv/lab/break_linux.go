package lab

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"

	"github.com/netdoctor/netdoctor/fixups/apply"
	"github.com/netdoctor/netdoctor/inspect"
	"github.com/netdoctor/netdoctor/inspect/engine"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/fault"
)

// read reads the lab's host. The program must answer engine.ChildArg.
func read(ctx context.Context) (*snap.Snapshot, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	return inspect.Read(ctx, inspect.Options{Engine: engine.Options{Child: []string{self, engine.ChildArg}}})
}

// applier has a journal of its own: what broke the lab is not the doctor's to
// undo.
func (l *Lab) applier() *apply.Applier { return &apply.Applier{Dir: RunDir + "/faults"} }

// Break brings a fault about by its name, "random" for any; target is the
// container to hit, "" one that fits.
func (l *Lab) Break(ctx context.Context, name, target string) ([]string, error) {
	f, err := pick(name)
	if err != nil {
		return nil, err
	}
	s, err := read(ctx)
	if err != nil {
		return nil, err
	}
	ops, err := f.Break(s, target)
	if err != nil {
		return nil, fmt.Errorf("breaking by %s: %w", f.Name, err)
	}
	res, err := l.applier().Apply(ctx, s, apply.Tx{ID: f.Name, Ops: ops})
	if err != nil {
		return nil, fmt.Errorf("breaking by %s: %w", f.Name, err)
	}
	if name == "random" {
		said, follow := f.Complaint(target)
		out := []string{"something is broken: " + said, "find out what: netdoctor check"}
		if follow != "netdoctor check" {
			out[1] += ", " + follow
		}
		return out, nil
	}
	return append([]string{f.Title}, res.Done...), nil
}

func pick(name string) (fault.Fault, error) {
	if name != "random" {
		return fault.Find(name)
	}
	all := fault.All()
	return all[rand.IntN(len(all))], nil // #nosec G404 -- which fault to practise on is no secret
}

// Heal takes back what was broken, the last first.
func (l *Lab) Heal(ctx context.Context) ([]string, error) {
	a := l.applier()
	list, err := a.List()
	if err != nil {
		return nil, err
	}
	var out []string
	snap.Sort(list, func(x, y apply.Entry) int { return y.At.Compare(x.At) })
	for _, e := range list {
		if e.State != "done" {
			continue
		}
		done, err := a.Undo(ctx, e.ID)
		if err != nil {
			return out, fmt.Errorf("healing %s: %w", e.Fix, err)
		}
		out = append(append(out, e.Fix+" is taken back"), done.Detail...)
	}
	if len(out) == 0 {
		out = []string{"nothing was broken"}
	}
	return out, nil
}
