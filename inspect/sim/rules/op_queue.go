package rules

import (
	"strconv"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// queueOp hands the packet to user space (net/netfilter/nft_queue.c).
type queueOp struct{ *snap.Queue }

func (o queueOp) exec(m *machine) ctl { return m.queue(o.Num, o.Total, o.Bypass) }

func (m *machine) queue(num, total uint16, bypass bool) ctl {
	which := "queue " + strconv.Itoa(int(num))
	if total > 1 {
		which += " to " + strconv.Itoa(int(num)+int(total)-1)
	}
	if m.unread(num, total) {
		// nf_queue (net/netfilter/nf_queue.c): -ESRCH of nfqnl_enqueue_packet.
		if bypass {
			return m.finish(ending{Verdict: "accept"})
		}
		return m.finish(ending{Verdict: "drop", Why: " hands it to " + which + ", which no program reads"})
	}
	s := "the program at " + which + " decides"
	if bypass {
		s += ", and without one the packet is accepted"
	} else {
		s += ", and without one the packet is dropped"
	}
	return m.finish(ending{Verdict: "queue", Unknown: s})
}

// unread says whether for certain no program reads from any of the queues.
func (m *machine) unread(num, total uint16) bool {
	for i := range max(total, 1) {
		if taken, known := m.env.Queued(num + i); taken || !known {
			return false
		}
	}
	return true
}
