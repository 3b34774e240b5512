package diag

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// What is worth telling of time: a wait on one host, where packets take
// microseconds; an answer of a name server, of which libc waits for five seconds
// (resolv.conf(5), timeout).
const (
	slowStepMs = 200
	slowDNSMs  = 2000
	libcWaitMs = 5000
)

// SlowServer says whether a name server took so long that each name waits for it.
func SlowServer(p *snap.Probe) bool {
	return p.Kind == "dns" && p.Outcome == snap.Answered && p.RTTMs >= slowDNSMs
}

// Slow says what of a probe that was answered took so long, or had to be sent
// again, that a person would notice; nil when nothing did.
func (in *Input) Slow(p *snap.Probe) []string {
	if p == nil || p.Outcome != snap.Answered {
		return nil
	}
	var out []string
	switch {
	case p.Kind == "tcp" && p.Sent > 1 && p.Size == 0:
		out = append(out, fmt.Sprintf("%d SYNs were needed: it took %.1f s until one was answered", p.Sent, p.RTTMs/1000))
	case SlowServer(p):
		out = append(out, fmt.Sprintf("the answer took %.1f s, and a program's resolver waits for %d s", p.RTTMs/1000, libcWaitMs/1000))
	}
	for i := 1; i < len(p.Seen); i++ {
		a, b := &p.Seen[i-1], &p.Seen[i]
		gap := b.AfterMs - a.AfterMs
		if gap < slowStepMs || a.What == snap.SeenDrop {
			continue
		}
		what := "the packet"
		if b.Answer {
			what = "the answer"
		}
		switch {
		case a.Netns == b.Netns && a.Answer == b.Answer && a.What == snap.SeenReceive && b.What == snap.SeenTransmit:
			out = append(out, fmt.Sprintf("%s waited %.0f ms in %s before it was given to %s: for a neighbour's address, or in a queue", what, gap, in.Who(b.Netns), b.Device))
		case a.Netns == b.Netns && !a.Answer && b.Answer:
			out = append(out, fmt.Sprintf("%s answered after %.0f ms", in.Who(b.Netns), gap))
		case a.Answer == b.Answer && (a.Netns != b.Netns || a.Device != b.Device):
			out = append(out, fmt.Sprintf("%s took %.0f ms from %s of %s to %s of %s", what, gap, a.Device, in.Who(a.Netns), b.Device, in.Who(b.Netns)))
		}
	}
	return out
}
