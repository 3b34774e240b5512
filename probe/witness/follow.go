package witness

import (
	"context"
	"sync"
	"time"

	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/probe"
)

// grace is how long after a drop nothing more may be seen of a packet before it
// is called dead: a copy of it may still be under way. Between namespaces of one
// host packets take microseconds.
const grace = 40 * time.Millisecond

// maxSeen bounds the sightings that are kept of one probe: a loop has no end.
const maxSeen = 96

// sighting is one packet of a probe as the kernel told of it.
type sighting struct {
	snap.Seen
	at uint64 // nanoseconds of the machine's monotonic clock
	// out says that it was handed to a device whose other end is in none of the
	// watched namespaces: what becomes of it there is not seen.
	out bool
	// addr is the kernel function that dropped it; 0 none.
	addr uint64
}

// follower is the sightings of one probe so far.
type follower struct {
	id   probe.Identity
	key  key
	stop func(*follower) bool     // true when all that happened was read before
	name func(addr uint64) string // of a kernel function

	mu    sync.Mutex
	all   []sighting
	timer *time.Timer
	over  bool

	dead context.Context
	kill context.CancelFunc
}

func newFollower(id probe.Identity, stop func(*follower) bool, name func(uint64) string) *follower {
	f := &follower{id: id, key: key{icmp: id.ICMP, id: id.ID}, stop: stop, name: name}
	f.dead, f.kill = context.WithCancel(context.Background())
	return f
}

// Dead ends when the packet died and nothing more came for a while.
func (f *follower) Dead() context.Context { return f.dead }

// add takes a sighting in.
func (f *follower) add(s sighting) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		return
	}
	if s.Answer && f.id.ICMP && s.What == snap.SeenDrop && s.Reason == "NO_SOCKET" && s.Netns == f.id.From.ID {
		return // its raw socket had a copy (net/ipv4/icmp.c:icmp_rcv, ping_rcv)
	}
	if f.id.Arrives && s.What == snap.SeenDrop && s.Device == "lo" && !s.Answer && s.Netns == f.id.From.ID {
		return // net/bpf/test_run.c:bpf_prog_test_run_skb
	}
	if len(f.all) < maxSeen {
		f.all = append(f.all, s)
	}
	if f.timer != nil {
		f.timer.Stop()
		f.timer = nil
	}
	if death(f.all, hasAnswer(f.all)) >= 0 {
		f.timer = time.AfterFunc(grace, f.kill)
	}
}

// End puts the sightings into the probe.
func (f *follower) End(r *snap.Probe) {
	all := f.stop(f)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	if f.timer != nil {
		f.timer.Stop()
	}
	f.kill()
	r.Watched = all
	for i := range f.all {
		if s := &f.all[i]; s.addr != 0 {
			s.Func = f.name(s.addr)
		}
	}
	r.Seen, r.Died = story(f.all, r.Outcome)
}

// story is what is kept: each sighting once, repeats counted, and the last.
func story(all []sighting, outcome string) (seen []snap.Seen, died *snap.Seen) {
	at := map[snap.Seen]int{}
	mark := map[int]int{} // from all to seen
	for i, s := range all {
		k := s.Seen
		if s.ICMP != nil {
			k.ICMP = nil
			k.Func = "icmp"
		}
		j, ok := at[k]
		if !ok {
			j = len(seen)
			at[k] = j
			n := s.Seen
			n.AfterMs = float64(s.at-all[0].at) / 1e6
			seen = append(seen, n)
		} else {
			seen[j].Times = max(seen[j].Times, 1) + 1
		}
		mark[i] = j
	}
	if outcome == snap.Answered {
		return seen, nil
	}
	answered := false
	if outcome != snap.Refused && outcome != snap.Rejected { // then it is asked who answered, and so where the question died
		answered = hasAnswer(all)
	}
	if i := death(all, answered); i >= 0 {
		d := seen[mark[i]]
		died = &d
	}
	return seen, died
}

// hasAnswer says whether an answer was seen, which an ICMP error is not.
func hasAnswer(all []sighting) bool {
	for i := range all {
		if all[i].Answer && all[i].ICMP == nil {
			return true
		}
	}
	return false
}

// death is the index of the drop by which a question, or the answer to it,
// ended; -1 when it lives, or may: in some namespace it was last seen coming
// in, or it left by a device whose other end nobody watches.
func death(all []sighting, answer bool) int {
	last := map[string]*sighting{}
	out, at, stray := false, -1, -1
	for i := range all {
		s := &all[i]
		if s.ICMP != nil || s.Answer != answer {
			continue
		}
		last[s.Netns] = s
		switch {
		case s.out && s.What == snap.SeenTransmit:
			out = true
		case s.What == snap.SeenDrop && s.Reason == "OTHERHOST":
			stray = i // most often a copy that a bridge flooded
		case s.What == snap.SeenDrop:
			at = i
		}
	}
	if at < 0 {
		at = stray
	}
	if at < 0 || out {
		return -1
	}
	for _, s := range last {
		if s.What == snap.SeenReceive {
			return -1
		}
	}
	return at
}
