package sim

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// passage is one packet on its way through one hook: what the kernel's own users of
// it, which are no chains, have done so far.
type passage struct {
	r       *run
	n       *netns
	h       hookState
	k       *skb
	nats    []*rules.BaseChain
	natPrio int32
	passed  int32 // bpf programs below that priority have seen the packet
	tracked bool  // conntrack has seen it, or has no business at this hook
	mapped  bool  // so has NAT
}

// upTo has those run that come before a priority.
func (p *passage) upTo(prio int32) *fate {
	if f := p.programs(prio); f != nil {
		return f
	}
	if !p.tracked && prio > prioConntrack {
		p.tracked = true
		if f := p.r.ctIn(p.n, p.k); f != nil {
			return f
		}
	}
	if !p.mapped && (prio > p.natPrio || prio == p.natPrio && len(p.nats) > 0 && p.r.either(p.n, p.h.hook, prio)) {
		p.mapped = true
		return p.nat()
	}
	return nil
}

// programs are the bpf programs before a priority: what one does can't be told.
func (p *passage) programs(prio int32) *fate {
	n, k, hook := p.n, p.k, p.h.hook
	for i := range n.n.Ruleset.BPF {
		if b := &n.n.Ruleset.BPF[i]; b.Hook == hook && b.Family == k.Family && !b.Accepts && b.Priority >= p.passed && b.Priority < prio {
			return p.r.unknown(n, n.links[max(p.h.in, p.h.out)], k, Where{
				Layer: "netfilter", Cause: CauseHook, Program: b.Program, Ref: snap.RefNetns(n.n.ID),
				Detail: fmt.Sprintf("bpf program %d %s on the hook %s may do anything with it", b.Program, b.Name, hook),
			})
		}
	}
	p.passed = prio
	return nil
}

// nat is the NAT core; on OUTPUT a packet whose destination it changed is routed anew.
func (p *passage) nat() *fate {
	k := p.k
	dst, dport := k.Dst, k.Dport
	if f := p.r.nat(p.n, &p.h, p.nats, k); f != nil {
		return f
	}
	if p.h.hook == "output" && (k.Dst != dst || k.Dport != dport || k.conn != nil && p.r.mappedDst(k)) {
		return p.r.reroute(p.n, k)
	}
	return nil
}

// mappedDst says whether the entry changes the destination of packets in this
// direction, which makes OUTPUT route anew (nf_nat_ipv4_local_fn).
func (r *run) mappedDst(k *skb) bool {
	c := k.conn
	if k.inner != nil {
		return false
	}
	if k.dir == dirReply {
		return c.orig.src != c.reply.dst
	}
	return c.orig.dst != c.reply.src
}

// either forks over an order that is not known: whether NAT comes before the
// chains of the same priority.
func (r *run) either(n *netns, hook string, prio int32) bool {
	first := r.choose(2) == 1
	r.assume(n.n.ID, rules.Assumption{
		Key: fmt.Sprintf("order %s %d", hook, prio), Value: first,
		What: fmt.Sprintf("NAT runs before the other chains of priority %d in %s", prio, hook),
	})
	return first
}
