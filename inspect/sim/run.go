package sim

import (
	"fmt"
	"net/netip"

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
	hops  []Hop

	assumed map[string][]rules.Assumption // by namespace
	order   []string                      // of its keys
	conns   map[string][]*conn            // by namespace, made on the way
	neighs  map[runNeigh]string           // learned on the way: MAC
	fdb     map[runFDB]int                // learned on the way: port
	tunnels map[runFDB]netip.Addr         // learned on the way: tunnel end, by vxlan device
	answers []arpAnswer                   // of the question under way
	arpLost []fate                        // where copies of the question or answers got lost
	arpOut  []end                         // where the question left the snapshot
	nats    []rules.NAT
	visits  map[devKey]int // forwarding decisions by namespace and device

	asks      []RouteAsk
	how       ways
	remembers bool // a remembered redirect was used
	// redirects are those that the way may give rise to: the new gateway by
	// sender and destination; teacher is who sends them.
	redirects           map[runNeigh]netip.Addr
	teacher             string
	origin              *netns  // who sent the packet under way
	originRoute         *routed // and by which route
	circling            bool    // the packet was here before: more of the same is not recorded
	reply               bool
	useSnapConns        bool // entries of the snapshot count: the flow has a source port of its own
	usedConn            bool // and one did
	stopOutside         bool
	sent                tuple // the request as its sender's socket knows it
	leftHost, leftNetns string
	exit                tuple // the packet as it left there
}

type runNeigh struct {
	ns    string
	index int
	ip    netip.Addr
}

type runFDB struct {
	ns string
	fdbKey
}

// arpAnswer is one answer to a question for a neighbour.
type arpAnswer struct {
	mac    string
	holder *netns
	dev    *snap.Link
}

func newRun(w *World, picks []int) *run {
	return &run{
		w: w, picks: picks, assumed: map[string][]rules.Assumption{}, conns: map[string][]*conn{},
		neighs: map[runNeigh]string{}, fdb: map[runFDB]int{}, tunnels: map[runFDB]netip.Addr{}, visits: map[devKey]int{},
	}
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
	if _, ok := r.assumed[ns]; !ok {
		r.order = append(r.order, ns)
	}
	r.assumed[ns] = append(r.assumed[ns], a)
}

func (r *run) setAssumed(ns string, list []rules.Assumption) {
	if len(list) == 0 {
		return
	}
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

// pickWay chooses among nexthops: the kernel hashes the flow with a secret, so
// that all are possible.
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
			What:   "the flow's hash takes " + n.devName(ways[i].oif) + " of " + text,
			Chance: float64(ways[i].weight) / float64(sum),
		})
		return ways[i]
	}
}

// hop records one stage; what it gives can be completed, and is thrown away
// when the stage is not recorded.
func (r *run) hop(n *netns, dev *snap.Link, stage, did, verdict string, k *skb, because ...snap.Ref) *Hop {
	if r.quiet > 0 || r.circling && verdict == "ok" {
		return &Hop{}
	}
	h := Hop{Netns: n.n.ID, Stage: stage, Did: did, Verdict: verdict, Src: k.source(), Dst: k.dest(), Proto: protoName(k.Proto)}
	if dev != nil {
		h.Device = dev.Name
	}
	for _, b := range because {
		if b != "" {
			h.Because = append(h.Because, b)
		}
	}
	if r.hops == nil {
		r.hops = make([]Hop, 0, 12) // one way seldom has more stages
	}
	r.hops = append(r.hops, h)
	return &r.hops[len(r.hops)-1]
}

// turn begins the way of the answer.
func (r *run) turn() {
	r.hops, r.reply, r.circling = nil, true, false
	clear(r.visits)
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
	f := &fate{kind: kind, where: w, ns: n, dev: dev, pkt: *k}
	stage := w.Layer
	if w.Rule != nil {
		stage = chainName(w.Rule)
	}
	h := r.hop(n, dev, stage, w.Detail, verdict, k, w.Ref)
	if r.quiet == 0 && w.Rule != nil {
		h.Rule = ruleLine(n, w.Rule)
	}
	return f
}

// placeName is a place in a sentence.
func placeName(p *rules.Place) string {
	if p.Policy {
		return "the policy of " + chainName(p)
	}
	return fmt.Sprintf("%s rule %d", chainName(p), p.Num)
}

// chainName is a chain with its table. The legacy tables have the same names
// as the others, so they are told apart.
func chainName(p *rules.Place) string {
	if p.System == snap.IPTablesLegacy {
		return "legacy " + p.Table + " " + p.Chain
	}
	return p.Table + " " + p.Chain
}

// refKey is under which a rule's Ref is kept, beside its text.
type refKey struct{ rule *snap.Rule }

// fill completes a place with what only the walk knows.
func fill(n *netns, p rules.Place) *rules.Place {
	if p.TableP != nil {
		if p.Policy || p.Rule == nil {
			p.Ref = snap.RefChain(n.n.ID, p.TableP, p.Chain)
		} else {
			p.Ref = snap.Ref(n.line(refKey{p.Rule}, func() string { return string(snap.RefRule(n.n.ID, p.TableP, p.Chain, p.Num)) }))
		}
	}
	return &p
}
