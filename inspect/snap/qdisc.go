package snap

import "slices"

// Qdisc is one queueing discipline that is not the kernel's default.
type Qdisc struct {
	Kind   string `json:"kind"` // "netem", "tbf", "clsact", "ingress", "htb" …
	Handle uint32 `json:"handle"`
	Parent uint32 `json:"parent"`
	// Netem and TBF figures, 0 when not applicable.
	LossPct     float64 `json:"lossPct,omitempty"`
	DelayMs     float64 `json:"delayMs,omitempty"`
	RateBps     uint64  `json:"rateBps,omitempty"` // bits per second
	BurstBytes  uint64  `json:"burstBytes,omitempty"`
	LimitBytes  uint64  `json:"limitBytes,omitempty"`
	DropPackets uint32  `json:"dropPackets,omitempty"`
	// Classes are those of htb; DefaultClass is the id of the one that takes what no
	// filter sorts, 0 when such packets are sent as they come.
	Classes      []TCClass `json:"classes,omitempty"`
	DefaultClass uint32    `json:"defaultClass,omitempty"`
}

// TCClass is one class of an htb discipline: it may send at its rate, and at up to its
// ceiling what its parent has to spare.
type TCClass struct {
	ID      uint32 `json:"id"`
	Parent  uint32 `json:"parent"`  // a class, or the discipline (its handle, or root)
	RateBps uint64 `json:"rateBps"` // bits per second
	CeilBps uint64 `json:"ceilBps"` // bits per second
}

// AtMost is how fast a class of the discipline can send, bits per second: its own rate,
// or what it may borrow (net/sched/sch_htb.c:htb_class_mode). 0: there is none such.
func (q *Qdisc) AtMost(class uint32) uint64 {
	var way []*TCClass
	for len(way) < len(q.Classes) { // more are a circle
		i := slices.IndexFunc(q.Classes, func(c TCClass) bool { return c.ID == class })
		if i < 0 {
			break
		}
		way = append(way, &q.Classes[i])
		class = q.Classes[i].Parent
	}
	var most uint64
	for i, c := range slices.Backward(way) {
		if most = min(c.CeilBps, most); i == len(way)-1 {
			most = c.CeilBps
		}
		most = max(c.RateBps, most)
	}
	return most
}
