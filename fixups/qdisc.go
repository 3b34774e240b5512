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
}

// QdiscAdd puts a queueing discipline back that was deleted. Without Raw it
// can only be modelled.
type QdiscAdd struct {
	Where
	Dev   string     `json:"dev"`
	Qdisc snap.Qdisc `json:"qdisc"`
	Raw   []byte     `json:"raw,omitempty"`
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
	return []string{"parent", fmt.Sprintf("%x:%x", q.Parent>>16, q.Parent&0xffff)}
}

func (o *QdiscAdd) Shell() []string {
	args := append([]string{"tc", "qdisc", "add", "dev", o.Dev}, tcParent(o.Qdisc)...)
	if o.Qdisc.Kind != "clsact" {
		args = append(args, o.Qdisc.Kind)
	}
	switch q := o.Qdisc; q.Kind {
	case "tbf":
		args = append(args, "rate", fmt.Sprintf("%dbit", q.RateBps), "burst", fmt.Sprintf("%db", q.BurstBytes), "limit", fmt.Sprintf("%db", q.LimitBytes))
	case "netem":
		if q.LossPct > 0 {
			args = append(args, "loss", fmt.Sprintf("%g%%", q.LossPct))
		}
		if q.DelayMs > 0 {
			args = append(args, "delay", fmt.Sprintf("%gms", q.DelayMs))
		}
	}
	return []string{o.line(args...)}
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
	l.Qdiscs = slices.Delete(slices.Clone(l.Qdiscs), i, i+1)
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
	return nil
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
	if k := l.Qdiscs[i].Kind; len(l.Filters) > 0 && (k == "clsact" || k == "ingress") {
		return nil, fmt.Errorf("filters hang on the %s discipline of %s: %w", k, o.Dev, snap.ErrUnsupported)
	}
	return &QdiscAdd{Where: o.Where, Dev: o.Dev, Qdisc: l.Qdiscs[i], Raw: o.Raw}, nil
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
