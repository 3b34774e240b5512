package app

import (
	"time"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// states reads the state beside a loop, one reading at a time, and not so often
// that it takes more than its share of a core.
type states struct {
	read  func() *snap.Snapshot // nil: it failed, and is read again
	got   chan *snap.Snapshot
	cost  chan time.Duration // of the reading that got came from
	due   *time.Timer        // fires when it is time to read
	armed bool               // due will fire
	busy  bool
	again bool // something happened since the reading began
	next  time.Time
}

func newStates(read func() *snap.Snapshot) *states {
	due := time.NewTimer(time.Hour)
	due.Stop()
	return &states{read: read, got: make(chan *snap.Snapshot, 1), cost: make(chan time.Duration, 1), due: due}
}

// want has the state read soon.
func (r *states) want() {
	switch {
	case r.busy:
		r.again = true
	case !r.armed:
		r.armed = true
		r.due.Reset(max(watchGather, time.Until(r.next)))
	}
}

// begin reads.
func (r *states) begin() {
	r.armed, r.busy, r.again = false, true, false
	go func() {
		start := time.Now()
		s := r.read()
		r.cost <- time.Since(start)
		r.got <- s
	}()
}

// took notes that a reading has ended.
func (r *states) took() {
	r.busy = false
	r.next = time.Now().Add(watchShare * <-r.cost)
	if r.again {
		r.want()
	}
}
