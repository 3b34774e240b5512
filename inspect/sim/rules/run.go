package rules

import (
	"slices"
	"strconv"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Bounds of one run. The kernel has no budget of rules; a chain that uses this
// one up would take it seconds.
const (
	maxBranches = 64
	maxRules    = 4 << 20
	maxJumps    = 16   // NFT_JUMP_STACK_SIZE
	maxLegacy   = 4096 // ip_tables sizes its stack by the number of chains
)

// runner takes a packet through a base chain on every way there is.
type runner struct {
	base  *BaseChain
	live  []*machine
	done  []Branch
	rules int // evaluated so far
	over  string
}

// work is what a run without forks needs, in one piece: most are such, and
// there are ten of them in the prediction of one flow.
type work struct {
	machine machine
	runner  runner
	frames  [4]frame
	path    [8]Step
	live    [1]*machine
	view    view
}

// work gives an empty one.
func (b *BaseChain) work() *work {
	if b.pool != nil {
		if w, ok := b.pool.Get().(*work); ok {
			return w
		}
	}
	return &work{}
}

// done takes it back: nothing of it is part of what Run gives.
func (b *BaseChain) done(w *work) {
	if b.pool != nil {
		*w = work{}
		b.pool.Put(w)
	}
}

// Run takes the packet through the chain and gives every way it can leave it.
// There is always at least one, and at most 64; where more would be needed
// there is a single one with the verdict "unknown". The packet's own slices
// are not changed.
func (b *BaseChain) Run(pkt Packet, env Env) []Branch { return b.RunInto(nil, &pkt, env) }

// RunInto is Run that puts the branches into a list whose room it may use: what
// was in the list is gone. pkt is not changed.
func (b *BaseChain) RunInto(list []Branch, pkt *Packet, env Env) []Branch {
	w := b.work()
	defer b.done(w)
	m, r := &w.machine, &w.runner
	m.pkt, m.env, m.base, r.base = *pkt, env, b, b
	r.done = list[:0]
	only := func(verdict, why string) []Branch {
		return append(list[:0], Branch{Verdict: verdict, Packet: *pkt, Unknown: why, Place: &b.policy})
	}
	if !m.seen() {
		return only("accept", "")
	}
	m.frames = append(w.frames[:0], frame{c: b.code})
	m.path, m.room = w.path[:0], &w.view
	r.live = append(w.live[:0], m)
	if b.code.src.Unread != "" {
		return only("unknown", b.code.unread())
	}
	for len(r.live) > 0 && r.over == "" {
		i := r.earliest()
		if len(r.live) > 1 && r.merge(i) {
			continue
		}
		r.step(i)
	}
	if r.over != "" {
		return only("unknown", r.over)
	}
	return r.done
}

// seen says whether the chain runs for the packet at all: the inet family's
// ingress hook only looks at IP (net/netfilter/nft_chain_filter.c).
func (m *machine) seen() bool {
	h := m.base.Chain.Hook
	return m.base.Table.Family != snap.Inet || h != "ingress" && h != "egress" || m.pkt.Family == snap.IPv4 || m.pkt.Family == snap.IPv6
}

func (c *chain) unread() string {
	return "chain " + c.src.Name + " of table " + string(c.table.src.Family) + " " + c.table.src.Name + " could not be read: " + c.src.Unread
}

// earliest is the machine that is least far in the program. Running that one
// first lets machines meet again.
func (r *runner) earliest() int {
	best := 0
	for i := 1; i < len(r.live); i++ {
		if before(r.live[i], r.live[best]) {
			best = i
		}
	}
	return best
}

// before orders machines by how far they are.
func before(a, b *machine) bool {
	for i := 0; i < len(a.frames) && i < len(b.frames); i++ {
		x, y := &a.frames[i], &b.frames[i]
		if x.c != y.c {
			return x.c.id < y.c.id
		}
		if x.idx != y.idx {
			return x.idx < y.idx
		}
	}
	if len(a.frames) != len(b.frames) {
		return len(a.frames) < len(b.frames)
	}
	return a.expr < b.expr
}

// step runs one machine: to the end of the rule when there are others, else
// until it splits or finishes.
func (r *runner) step(i int) {
	m := r.live[i]
	for {
		f := m.top()
		if f.idx >= len(f.c.rules) {
			if r.back(m) {
				r.finished(i)
				return
			}
		} else {
			if r.rules++; r.rules > maxRules {
				r.over = "more than " + strconv.Itoa(maxRules) + " rules to evaluate"
				return
			}
			switch c := r.rule(m); c {
			case end:
				r.finished(i)
				return
			case split:
				r.split(i)
				return
			}
		}
		if len(r.live) > 1 {
			return
		}
	}
}

// rule runs the expressions of one rule from m.expr on.
func (r *runner) rule(m *machine) ctl {
	f := m.top()
	ru := &f.c.rules[f.idx]
	if m.expr == 0 {
		m.known = [64]byte{}
		m.regs = [64]byte{}
		m.draw.on = false
	}
	for m.expr < len(ru.ops) {
		if c := ru.ops[m.expr].exec(m); c != goOn {
			return r.control(m, c)
		}
		m.expr++
	}
	m.passed(&ru.place)
	m.nextRule()
	return goOn
}

// control acts on what an expression or one side of a split has said; goOn
// means that the machine is ready to run on.
func (r *runner) control(m *machine, c ctl) ctl {
	switch c {
	case leave:
		m.nextRule()
		return goOn
	case judge:
		return r.judge(m)
	}
	return c
}

func (m *machine) nextRule() {
	m.top().idx++
	m.expr = 0
}

// judge acts on m.verdict (net/netfilter/nf_tables_core.c:nft_do_chain).
func (r *runner) judge(m *machine) ctl {
	v := m.verdict
	switch v.Code {
	case "continue":
		m.expr++
		return goOn
	case "break":
		m.nextRule()
		return goOn
	case "accept", "drop", "stolen":
		return m.finish(ending{Verdict: v.Code})
	case "queue":
		return m.finish(ending{Verdict: "queue", Unknown: "a program in user space decides"})
	case "jump", "goto":
		return r.jump(m, v)
	case "return":
		m.passed(&m.rule().place)
		if r.back(m) {
			return end
		}
		return goOn
	}
	return m.unknown("verdict " + v.Code)
}

// jump enters another chain.
func (r *runner) jump(m *machine, v snap.Verdict) ctl {
	f := m.top()
	c := f.c.table.byName[v.Chain]
	switch {
	case c == nil:
		return m.unknown("jump to chain " + v.Chain + ", which was not read,")
	case c.src.Unread != "":
		return m.unknown(c.unread())
	}
	limit := maxJumps
	if legacy(m.base.System) {
		limit = maxLegacy
	}
	if v.Code == "jump" {
		m.jumps++
	}
	if m.jumps > limit || len(m.frames) > maxLegacy {
		return m.unknown("jumps nested deeper than the kernel allows")
	}
	m.passed(&m.rule().place)
	m.frames = append(m.frames, frame{c: c, byGoto: v.Code == "goto"})
	m.expr = 0
	return goOn
}

// back leaves a chain for the rule after the jump that led to it; a chain
// entered by a goto goes back to where the chain before it would have. It says
// whether the machine has finished with the policy.
func (r *runner) back(m *machine) bool {
	for {
		f := m.top()
		m.frames = m.frames[:len(m.frames)-1]
		if len(m.frames) == 0 {
			break
		}
		if !f.byGoto {
			m.jumps--
			m.nextRule()
			return false
		}
	}
	m.out = ending{Verdict: m.base.Chain.Policy, place: &m.base.policy}
	if m.out.Verdict == "" {
		m.out.Verdict = "accept"
	}
	m.passed(&m.base.policy)
	return true
}

// split lets a machine go on in every way of m.alts.
func (r *runner) split(i int) {
	m := r.live[i]
	alts := m.alts
	m.alts = nil
	r.live = append(r.live[:i], r.live[i+1:]...)
	for n := range alts {
		a := &alts[n]
		w := m
		if n < len(alts)-1 {
			w = m.clone()
		}
		w.pkt.Assumed = append(w.pkt.Assumed, a.as)
		if a.set != nil {
			a.set(w)
		}
		r.live = append(r.live, w)
		c := a.ctl
		if c == goOn {
			w.expr++
		} else {
			c = r.control(w, c)
		}
		if c == end {
			r.finished(len(r.live) - 1)
		}
	}
	if len(r.live)+len(r.done) > maxBranches {
		r.over = "more than " + strconv.Itoa(maxBranches) + " ways through chain " + r.base.Chain.Name
	}
}

// finished takes a machine off the list and keeps its branch.
func (r *runner) finished(i int) {
	m := r.live[i]
	r.live = append(r.live[:i], r.live[i+1:]...)
	r.done = append(r.done, Branch{
		Verdict: m.out.Verdict, RejectWith: m.out.RejectWith, Unknown: m.out.Unknown, Why: m.out.Why, NAT: m.out.NAT, FwdTo: m.out.FwdTo,
		Place: m.out.place, Packet: m.pkt, Notrack: m.notrack, Tproxy: m.tproxy.addr,
	})
	last := len(r.done) - 1
	b := &r.done[last]
	for n := range r.done[:last] {
		if r.done[n].join(b) {
			r.done[n].Path = weave(r.done[n].Path, m.path)
			r.done = r.done[:last]
			return
		}
	}
	b.Path = slices.Clone(m.path) // which may lie in work
}
