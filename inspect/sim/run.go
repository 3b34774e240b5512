package sim

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Limits of one walk. A packet that is routed in circles ends by its TTL after
// at most 64 namespaces of about 20 stages; maxSteps is several times that.
const (
	maxSteps = 6000
	maxPaths = 192
)

// run is one path of a trace: every fork is decided by picks. A trace with
// forks is walked again for every combination of picks, so that the walk itself
// is written as if the world were certain.
type run struct {
	w      *World
	picks  []int // decisions to repeat, then those made
	widths []int
	at     int

	steps int
	quiet int // hops are not recorded while it is > 0

	order   []string    // of the keys of assumed
	answers []arpAnswer // of the question under way
	arpLost []lostCopy  // where copies of the question or answers got lost
	arpOut  []end       // where the question left the snapshot
	asking  *asked      // what is noted of that question; nil when there is none
	nats    []rules.NAT

	how       ways
	remembers string // what it went by that was learned and will be forgotten
	// redirects are those that the way may give rise to: the new gateway by
	// sender and destination; teacher is who sends them.
	redirects           map[runNeigh]netip.Addr
	teacher             string
	asker               *netns  // who sent the request; nil when it came in from outside
	origin              *netns  // who sent the packet under way
	originRoute         *routed // and by which route
	circling            bool    // the packet was here before: more of the same is not recorded
	reply               bool
	group               uint64 // control group of the flow's sender
	anew                bool   // the sender's path MTU is not looked at
	useSnapConns        bool   // entries of the snapshot count: the flow has a source port of its own
	usedConn            bool   // and one did
	stopOutside         bool
	sent                tuple  // the request as its sender's socket knows it
	took                *fate  // where it ended: at who takes it, or beyond the host; nil when it got nowhere
	gave                uint16 // MSS of the SYN-ACK as its rules left it
	leftHost, leftNetns string
	exit                tuple // the packet as it left there

	scratch
}

// scratch is what a run writes on the way. Most runs need little of it, and all
// of them some: it is kept for the next run, so that nothing of it may be part
// of a Trace.
type scratch struct {
	hops     []stop
	refs     []snap.Ref // of hops
	scrap    stop       // a stage that is not recorded
	asks     []RouteAsk
	branches []rules.Branch                // of the base chain that was run last
	assumed  map[string][]rules.Assumption // by namespace
	conns    []nsConn                      // made on the way
	neighs   map[runNeigh]string           // learned on the way: MAC
	// overheard are those of neighs that only idle questions taught: such as an
	// asker does not put for as long as it has an entry. idle says that the one
	// under way is such.
	overheard map[runNeigh]bool
	idle      bool
	fdb       map[runFDB]int        // learned on the way: port
	tunnels   map[runFDB]netip.Addr // learned on the way: tunnel end, by vxlan device
	visits    map[runDev]int        // forwarding decisions
	packets   slab[skb]
	senders   slab[rules.Sender]
	routes    slab[routed]
	entries   slab[conn]
	fates     slab[fate]
}

// runDev names a device.
type runDev struct {
	ns    *netns
	index int
}

type runNeigh struct {
	ns    *netns
	index int
	ip    netip.Addr
}

type runFDB struct {
	ns *netns
	fdbKey
}

// nsConn is a conntrack entry in its namespace.
type nsConn struct {
	ns *netns
	*conn
}

// arpAnswer is one answer to a question for a neighbour.
type arpAnswer struct {
	mac    string
	holder *netns
	dev    *snap.Link
}

// newRun begins a path; done ends it.
func newRun(w *World, picks []int) *run {
	r, ok := w.runs.Get().(*run)
	if !ok {
		r = &run{scratch: scratch{
			hops: make([]stop, 0, 12), assumed: map[string][]rules.Assumption{},
			neighs: map[runNeigh]string{}, overheard: map[runNeigh]bool{}, fdb: map[runFDB]int{}, tunnels: map[runFDB]netip.Addr{}, visits: map[runDev]int{},
		}}
	}
	r.w, r.picks = w, picks
	return r
}

// done leaves the run's scratch to others.
func (r *run) done() {
	s := r.scratch
	clear(s.assumed)
	clear(s.neighs)
	clear(s.overheard)
	clear(s.fdb)
	clear(s.tunnels)
	clear(s.visits)
	clear(s.conns)
	s.packets.reset()
	s.senders.reset()
	s.routes.reset()
	s.entries.reset()
	s.fates.reset()
	s.hops, s.refs, s.asks, s.branches, s.conns = s.hops[:0], s.refs[:0], s.asks[:0], s.branches[:0], s.conns[:0]
	w := r.w
	*r = run{scratch: s}
	w.runs.Put(r)
}

// choose decides a fork of n sides.
func (r *run) choose(n int) int {
	if n <= 1 {
		return 0
	}
	if r.at == len(r.picks) {
		r.picks = append(r.picks, 0)
	}
	v := min(r.picks[r.at], n-1)
	r.widths = append(r.widths, n)
	r.at++
	r.spoil()
	return v
}

// next are the picks of the next path; nil when all were walked.
func (r *run) next() []int {
	for i := len(r.widths) - 1; i >= 0; i-- {
		if r.picks[i]+1 < r.widths[i] {
			out := append([]int(nil), r.picks[:i+1]...)
			out[i]++
			return out
		}
	}
	return nil
}

// assume records what a fork has taken to be so.
func (r *run) assume(ns string, a rules.Assumption) {
	r.spoil()
	if _, ok := r.assumed[ns]; !ok {
		r.order = append(r.order, ns)
	}
	r.assumed[ns] = append(r.assumed[ns], a)
}

func (r *run) setAssumed(ns string, list []rules.Assumption) {
	if len(list) == 0 {
		return
	}
	r.spoil()
	if _, ok := r.assumed[ns]; !ok {
		r.order = append(r.order, ns)
	}
	r.assumed[ns] = list
}

func (r *run) allAssumed() []rules.Assumption {
	var out []rules.Assumption
	for _, ns := range r.order {
		out = append(out, r.assumed[ns]...)
	}
	return out
}

// pickWay chooses among nexthops: the kernel hashes the flow with a secret, or goes by
// what it took last, so that all are possible.
func (r *run) pickWay(n *netns) func([]way, string) way {
	return func(ways []way, text string) way {
		if len(ways) < 2 {
			return ways[0]
		}
		sum := 0
		for _, w := range ways {
			sum += w.weight
		}
		i := r.choose(len(ways))
		r.assume(n.n.ID, rules.Assumption{
			Key: fmt.Sprintf("multipath %s %d %d", text, i, r.at), Value: true, StateDependent: true,
			What:   "the kernel takes " + n.wayName(ways[i]) + " of " + text,
			Chance: float64(ways[i].weight) / float64(sum),
		})
		return ways[i]
	}
}

// stop is a hop under way; from and to bound its refs among those of the run.
type stop struct {
	Hop
	from, to int
}

// hop records one stage; what it gives can be completed, and is thrown away
// when the stage is not recorded.
func (r *run) hop(n *netns, dev *snap.Link, stage, did, verdict string, k *skb, because ...snap.Ref) *stop {
	if r.quiet > 0 || r.circling && verdict == "ok" {
		return &r.scrap
	}
	r.hops = append(r.hops, stop{from: len(r.refs), to: len(r.refs)})
	h := &r.hops[len(r.hops)-1]
	h.Hop = Hop{Netns: n.n.ID, Stage: stage, Did: did, Verdict: verdict, Src: k.source(), Dst: k.dest(), Proto: protoName(k.Proto)}
	if dev != nil {
		h.Device = dev.Name
	}
	for _, b := range because {
		r.because(h, b)
	}
	return h
}

// because adds a reason to the last stage.
func (r *run) because(h *stop, b snap.Ref) {
	if b != "" && h != &r.scrap {
		r.refs = append(r.refs, b)
		h.to = len(r.refs)
	}
}

// walked are the stages so far, for the Trace.
func (r *run) walked() []Hop {
	if len(r.hops) == 0 {
		return nil
	}
	hops, refs := make([]Hop, len(r.hops)), slices.Clone(r.refs)
	for i := range r.hops {
		s := &r.hops[i]
		hops[i] = s.Hop
		if s.to > s.from {
			hops[i].Because = refs[s.from:s.to:s.to]
		}
	}
	return hops
}

// turn begins the way of the answer.
func (r *run) turn() {
	r.hops, r.refs, r.reply, r.circling = r.hops[:0], r.refs[:0], true, false
	clear(r.visits)
}

// again begins the way of another packet of the same connection.
func (r *run) again() {
	r.turn()
	r.reply = false
}

// step counts stages; a fate when the walk goes on for ever.
func (r *run) step(n *netns, dev *snap.Link, k *skb) *fate {
	r.steps++
	if n.undecided != "" {
		return r.unknown(n, dev, k, Where{Layer: "link", Cause: CauseUnread, Detail: n.undecided})
	}
	if r.steps < maxSteps {
		return nil
	}
	return r.drop(n, dev, k, Where{Layer: "link", Cause: CauseLoop, Detail: "the packet goes round in circles"})
}

// drop ends a packet.
func (r *run) drop(n *netns, dev *snap.Link, k *skb, w Where) *fate {
	return r.end(fateDropped, "drop", n, dev, k, w)
}

// unknown ends a path that can't be decided.
func (r *run) unknown(n *netns, dev *snap.Link, k *skb, w Where) *fate {
	return r.end(fateUnknown, "unknown", n, dev, k, w)
}

func (r *run) end(kind fateKind, verdict string, n *netns, dev *snap.Link, k *skb, w Where) *fate {
	w.Netns, w.Reply = n.n.ID, r.reply
	if dev != nil {
		w.Device = dev.Name
	}
	f := r.fates.new()
	f.kind, f.where, f.ns, f.dev, f.pkt = kind, w, n, dev, *k
	stage, line := w.Layer, ""
	if w.Rule != nil && r.quiet == 0 {
		s := n.say(w.Rule)
		if line = s.line; w.Behind == nil {
			stage = s.chain
		}
	}
	r.hop(n, dev, stage, w.Detail, verdict, k, w.Ref).Rule = line
	return f
}
