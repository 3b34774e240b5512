package fixups

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// QdiscDel takes a queueing discipline off a device; the kernel puts its
// default there.
type QdiscDel struct {
	Where
	Dev   string     `json:"dev"`
	Qdisc snap.Qdisc `json:"qdisc"`
	// Raw is RTM_NEWQDISC as the kernel gave it, for putting the discipline back
	// exactly; fixups/apply reads it before it deletes.
	Raw []byte `json:"raw,omitempty"`
	// Under are its classes, the disciplines in them, and its filters, in the order
	// in which they can be made again; read with Raw.
	Under []TCObject `json:"under,omitempty"`
}

// TCObject is an object of traffic control as the kernel described it: the type of the
// message (RTM_NEWTCLASS, RTM_NEWQDISC, RTM_NEWTFILTER) and what was in it.
type TCObject struct {
	Type uint16 `json:"type"`
	Raw  []byte `json:"raw"`
}

// QdiscAdd puts a queueing discipline back that was deleted. Without Raw it
// can only be modelled.
type QdiscAdd struct {
	Where
	Dev   string     `json:"dev"`
	Qdisc snap.Qdisc `json:"qdisc"`
	// Filters hung on it.
	Filters []snap.TCFilter `json:"filters,omitempty"`
	Raw     []byte          `json:"raw,omitempty"`
	Under   []TCObject      `json:"under,omitempty"`
}

// Parents of tc(8) (include/uapi/linux/pkt_sched.h: TC_H_ROOT, TC_H_INGRESS).
const (
	tcRoot    = 0xffffffff
	tcIngress = 0xfffffff1
)

func (*QdiscDel) Kind() string { return "qdisc-del" }
func (*QdiscAdd) Kind() string { return "qdisc-add" }

func (o *QdiscDel) Describe() string {
	return fmt.Sprintf("take the %s discipline off %s%s", o.Qdisc.Kind, o.Dev, o.in())
}

func (o *QdiscAdd) Describe() string {
	return fmt.Sprintf("put the %s discipline back on %s%s", o.Qdisc.Kind, o.Dev, o.in())
}

func (o *QdiscDel) Shell() []string {
	return []string{o.line(append([]string{"tc", "qdisc", "del", "dev", o.Dev}, tcParent(o.Qdisc)...)...)}
}

// tcParent is where a discipline hangs, in tc(8)'s words.
func tcParent(q snap.Qdisc) []string {
	switch {
	case q.Kind == "clsact":
		return []string{"clsact"}
	case q.Parent == tcRoot || q.Parent == 0:
		return []string{"root"}
	case q.Parent == tcIngress:
		return []string{"ingress"}
	}
	return []string{"parent", tcHandle(q.Parent)}
}

func (o *QdiscAdd) Shell() []string {
	args := append([]string{"tc", "qdisc", "add", "dev", o.Dev}, tcParent(o.Qdisc)...)
	if o.Qdisc.Kind != "clsact" && o.Qdisc.Kind != "tbf" {
		args = append(args, o.Qdisc.Kind)
	}
	switch q := o.Qdisc; q.Kind {
	case "tbf":
		args = append(args, tbfArgs(q)...)
	case "htb":
		args = slices.Insert(args, len(args)-1, "handle", tcHandle(q.Handle))
		if q.DefaultClass != 0 {
			args = append(args, "default", fmt.Sprintf("%x", q.DefaultClass&0xffff))
		}
	case "netem":
		if q.LossPct > 0 {
			args = append(args, "loss", fmt.Sprintf("%g%%", q.LossPct))
		}
		if q.DelayMs > 0 {
			args = append(args, "delay", fmt.Sprintf("%gms", q.DelayMs))
		}
	}
	lines := []string{o.line(args...)}
	for _, c := range fromRoot(o.Qdisc.Classes) {
		parent := c.Parent
		if parent == tcRoot {
			parent = o.Qdisc.Handle
		}
		lines = append(lines, o.line("tc", "class", "add", "dev", o.Dev, "parent", tcHandle(parent), "classid", tcHandle(c.ID),
			o.Qdisc.Kind, "rate", fmt.Sprintf("%dbit", c.RateBps), "ceil", fmt.Sprintf("%dbit", c.CeilBps)))
	}
	return lines
}

// fromRoot orders classes so that each comes after its parent.
func fromRoot(list []snap.TCClass) []snap.TCClass {
	var out []snap.TCClass
	has := func(l []snap.TCClass, id uint32) bool {
		return slices.ContainsFunc(l, func(c snap.TCClass) bool { return c.ID == id })
	}
	for len(out) < len(list) {
		n := len(out)
		for _, c := range list {
			if !has(out, c.ID) && (has(out, c.Parent) || !has(list, c.Parent)) {
				out = append(out, c)
			}
		}
		if n == len(out) {
			return list // a circle
		}
	}
	return out
}

// tcHandle is a handle or class as tc(8) writes it.
func tcHandle(h uint32) string {
	if h&0xffff == 0 {
		return fmt.Sprintf("%x:", h>>16)
	}
	return fmt.Sprintf("%x:%x", h>>16, h&0xffff)
}

func (o *QdiscDel) at(l *snap.Link) int {
	return slices.IndexFunc(l.Qdiscs, func(q snap.Qdisc) bool {
		return q.Kind == o.Qdisc.Kind && q.Parent == o.Qdisc.Parent && q.Handle == o.Qdisc.Handle
	})
}

func (o *QdiscDel) On(s *snap.Snapshot) error {
	_, l, err := o.link(s, o.Dev)
	if err != nil {
		return err
	}
	i := o.at(l)
	if i < 0 {
		return snap.NotFoundf("%s has no such %s discipline", o.Dev, o.Qdisc.Kind)
	}
	if len(l.Qdiscs[i].Classes) > 0 && !filterHooks(l) {
		l.Filters = nil
	}
	gone := o.Qdisc.Handle >> 16
	l.Qdiscs = slices.Delete(slices.Clone(l.Qdiscs), i, i+1)
	l.Qdiscs = snap.Without(l.Qdiscs, func(q snap.Qdisc) bool { // those in its classes
		return q.Parent != tcRoot && q.Parent != tcIngress && gone != 0 && q.Parent>>16 == gone
	})
	if len(l.Qdiscs) == 0 {
		l.Qdiscs = nil
	}
	return nil
}

func (o *QdiscAdd) On(s *snap.Snapshot) error {
	_, l, err := o.link(s, o.Dev)
	if err != nil {
		return err
	}
	l.Qdiscs = append(slices.Clone(l.Qdiscs), o.Qdisc)
	l.Filters = append(slices.Clone(l.Filters), o.Filters...)
	return nil
}

// filterHooks says whether a device has a discipline that is there for filters alone.
func filterHooks(l *snap.Link) bool {
	return slices.ContainsFunc(l.Qdiscs, func(q snap.Qdisc) bool { return q.Kind == "clsact" || q.Kind == "ingress" })
}

// Inverse is refused where filters hang on the discipline: they would be lost.
func (o *QdiscDel) Inverse(s *snap.Snapshot) (Op, error) {
	_, l, err := o.link(s, o.Dev)
	if err != nil {
		return nil, err
	}
	i := o.at(l)
	if i < 0 {
		return nil, nil
	}
	// Which filter hangs on which discipline is not known: those of classes are put
	// back, if there is no other that could have any.
	if len(l.Filters) > 0 && filterHooks(l) {
		return nil, fmt.Errorf("filters hang on the disciplines of %s: %w", o.Dev, snap.ErrUnsupported)
	}
	return &QdiscAdd{Where: o.Where, Dev: o.Dev, Qdisc: l.Qdiscs[i], Filters: l.Filters, Raw: o.Raw, Under: o.Under}, nil
}

func (o *QdiscAdd) Inverse(s *snap.Snapshot) (Op, error) {
	if _, _, err := o.link(s, o.Dev); err != nil || o.Holds(s) {
		return nil, err
	}
	return &QdiscDel{Where: o.Where, Dev: o.Dev, Qdisc: o.Qdisc}, nil
}

func (o *QdiscDel) Risk() Risk { return RiskMedium }
func (o *QdiscAdd) Risk() Risk { return RiskMedium }

func (o *QdiscDel) Object(s *snap.Snapshot) any { return qdiscObject(s, o.Where, o.Dev) }
func (o *QdiscAdd) Object(s *snap.Snapshot) any { return qdiscObject(s, o.Where, o.Dev) }

func qdiscObject(s *snap.Snapshot, w Where, dev string) any {
	_, l, err := w.link(s, dev)
	if err != nil {
		return nil
	}
	out := []any{l.Index}
	for _, q := range l.Qdiscs {
		out = append(out, []any{q.Kind, q.Handle, q.Parent})
	}
	return out
}

func (o *QdiscDel) Holds(s *snap.Snapshot) bool {
	_, l, err := o.link(s, o.Dev)
	return err == nil && o.at(l) < 0
}

func (o *QdiscAdd) Holds(s *snap.Snapshot) bool {
	_, l, err := o.link(s, o.Dev)
	return err == nil && (&QdiscDel{Qdisc: o.Qdisc}).at(l) >= 0
}
