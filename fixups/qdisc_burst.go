package fixups

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// QdiscBurst sets how many bytes a token bucket (tbf) may send at once: its rate and its
// queue stay.
type QdiscBurst struct {
	Where
	Dev   string     `json:"dev"`
	Qdisc snap.Qdisc `json:"qdisc"` // as it is to be
	// Raw is RTM_NEWQDISC as the kernel gave it before; fixups/apply reads it. With Back
	// it is given again, since bytes are rounded to ticks on their way.
	Raw  []byte `json:"raw,omitempty"`
	Back bool   `json:"back,omitempty"`
}

func (*QdiscBurst) Kind() string { return "qdisc-burst" }

func (o *QdiscBurst) Describe() string {
	return fmt.Sprintf("set the burst of the %s discipline on %s to %d bytes%s", o.Qdisc.Kind, o.Dev, o.Qdisc.BurstBytes, o.in())
}

func (o *QdiscBurst) Shell() []string {
	args := append([]string{"tc", "qdisc", "change", "dev", o.Dev}, tcParent(o.Qdisc)...)
	return []string{o.line(append(args, tbfArgs(o.Qdisc)...)...)}
}

// tbfArgs are a token bucket's settings in the words of tc-tbf(8).
func tbfArgs(q snap.Qdisc) []string {
	return []string{"tbf", "rate", fmt.Sprintf("%dbit", q.RateBps), "burst", fmt.Sprintf("%db", q.BurstBytes), "limit", fmt.Sprintf("%db", q.LimitBytes)}
}

// find is the discipline on its device, of which the snapshot then has its own copy.
func (o *QdiscBurst) find(s *snap.Snapshot) (*snap.Qdisc, error) {
	_, l, err := o.link(s, o.Dev)
	if err != nil {
		return nil, err
	}
	i := (&QdiscDel{Qdisc: o.Qdisc}).at(l)
	if i < 0 {
		return nil, snap.NotFoundf("%s has no such %s discipline", o.Dev, o.Qdisc.Kind)
	}
	l.Qdiscs = slices.Clone(l.Qdiscs)
	return &l.Qdiscs[i], nil
}

func (o *QdiscBurst) On(s *snap.Snapshot) error {
	q, err := o.find(s)
	if err == nil {
		q.BurstBytes = o.Qdisc.BurstBytes
	}
	return err
}

func (o *QdiscBurst) Inverse(s *snap.Snapshot) (Op, error) {
	q, err := o.find(s)
	if err != nil || q.BurstBytes == o.Qdisc.BurstBytes {
		return nil, err
	}
	return &QdiscBurst{Where: o.Where, Dev: o.Dev, Qdisc: *q, Raw: o.Raw, Back: true}, nil
}

func (o *QdiscBurst) Risk() Risk { return RiskLow }

func (o *QdiscBurst) Object(s *snap.Snapshot) any {
	q, err := o.find(s)
	if err != nil {
		return nil
	}
	return []any{o.Dev, q.Handle, q.RateBps, q.BurstBytes}
}

// Holds takes a burst for the one that is wanted that differs by no more than ticks round.
func (o *QdiscBurst) Holds(s *snap.Snapshot) bool {
	const ticks = 16
	q, err := o.find(s)
	return err == nil && q.BurstBytes+ticks >= o.Qdisc.BurstBytes && q.BurstBytes <= o.Qdisc.BurstBytes+ticks
}
