package sim

import (
	"net/netip"
	"slices"
	"sync"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// The same few questions for a neighbour are put by flow after flow, and most
// come to the same each time. What one came to is kept, with all that it read
// of the walk before it and wrote for the walk after it: it holds wherever it
// would read the same. A question that met a fork, a connection or a tunnel is
// not kept.

// maxAsked bounds the questions of one namespace that are kept, about 300 bytes
// each.
const maxAsked = 4096

// question is a question for a neighbour.
type question struct {
	dev     int
	ip, sip netip.Addr
	// stopOutside is Flow's: the question may not leave the host either.
	stopOutside bool
}

// asked is what a question came to.
type asked struct {
	got         []arpAnswer
	lost        []lostCopy
	out         []end
	steps       int
	read, wrote []learnedPort
	neighs      []learnedNeigh
	open        bool // it can't be kept
}

// lostCopy is a copy of a question, or an answer to it, that got lost.
type lostCopy struct {
	kind            fateKind
	where           Where
	ns              *netns
	dev             *snap.Link
	question, reply bool // which it was
	bridged         bool // it came in by a bridge's port
}

// learnedPort is a port of run.fdb, 0 for none.
type learnedPort struct {
	key  runFDB
	port int
}

// learnedNeigh is an entry of run.neighs.
type learnedNeigh struct {
	key runNeigh
	mac string
}

// askedBook keeps the questions that a namespace has put.
type askedBook struct {
	mu   sync.RWMutex
	kept map[question]*asked
}

// recall gives what a question came to before, and does what it would do to
// this walk; nil when it has to be put.
func (r *run) recall(n *netns, q question) *asked {
	if len(r.order) > 0 || r.asking != nil {
		return nil
	}
	n.asked.mu.RLock()
	a := n.asked.kept[q]
	n.asked.mu.RUnlock()
	if a == nil || r.steps+a.steps >= maxSteps {
		return nil
	}
	for i := range a.read {
		if r.fdb[a.read[i].key] != a.read[i].port {
			return nil
		}
	}
	for i := range a.wrote {
		r.fdb[a.wrote[i].key] = a.wrote[i].port
	}
	for i := range a.neighs {
		r.knowNeigh(a.neighs[i].key, a.neighs[i].mac)
	}
	r.steps += a.steps
	return a
}

// keep keeps what a question came to, if it may.
func (n *netns) keep(q question, a *asked) {
	if a.open {
		return
	}
	n.asked.mu.Lock()
	defer n.asked.mu.Unlock()
	if n.asked.kept == nil {
		n.asked.kept = map[question]*asked{}
	}
	if len(n.asked.kept) < maxAsked {
		n.asked.kept[q] = a
	}
}

// spoil says that the question under way hangs on more than is noted.
func (r *run) spoil() {
	if r.asking != nil {
		r.asking.open = true
	}
}

// portOf looks a MAC up among what the bridge has learned on the way.
func (r *run) portOf(key runFDB) (int, bool) {
	i, ok := r.fdb[key]
	if a := r.asking; a != nil && !slices.ContainsFunc(a.wrote, func(l learnedPort) bool { return l.key == key }) {
		a.read = append(a.read, learnedPort{key, i})
	}
	return i, ok
}

// learnPort is the bridge's learning.
func (r *run) learnPort(key runFDB, port int) {
	r.fdb[key] = port
	if a := r.asking; a != nil {
		a.wrote = append(a.wrote, learnedPort{key, port})
	}
}

// learnNeigh remembers a neighbour.
func (r *run) learnNeigh(key runNeigh, mac string) {
	r.knowNeigh(key, mac)
	if a := r.asking; a != nil {
		a.neighs = append(a.neighs, learnedNeigh{key, mac})
	}
}

// knowNeigh makes the entry, and notes whether nothing but an idle question did.
func (r *run) knowNeigh(key runNeigh, mac string) {
	if _, known := r.neighs[key]; !r.idle {
		delete(r.overheard, key)
	} else if !known {
		r.overheard[key] = true
	}
	r.neighs[key] = mac
}
