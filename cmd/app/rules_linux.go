package app

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/fixups/apply"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/probe"
	"github.com/netdoctor/netdoctor/probe/witness"
)

// traceOfRules is the ID of the journal's entries for what is added while rules
// are traced.
const traceOfRules = "trace-rules"

func lender() *apply.Applier { return &apply.Applier{Dir: os.Getenv("NETDOCTOR_JOURNAL")} }

// tracedRules sends one more packet of a probe's flow, from a port of its own,
// while the kernel tells of that port's packets. What that takes is added for the
// moment, with an open entry in the journal.
func tracedRules(ctx context.Context, s *snap.Snapshot, p *snap.Probe, netns []string) (out []snap.Ruled, err error) {
	from := s.Ns(p.From)
	if from == nil {
		return nil, fmt.Errorf("namespace %s: %w", p.From, snap.ErrNotFound)
	}
	q := question(from, p)
	q.Sport = uint16(probe.FirstPort + rand.IntN(probe.Ports)) //nolint:gosec // no secret
	var where []*snap.Netns
	var ops, old []fixups.Op
	for _, id := range netns {
		n := s.Ns(id)
		if n == nil {
			continue
		}
		where = append(where, n)
		ops = append(ops, fixups.RuleTrace(s, id, protoOf(p), q.Sport)...)
		for i := range n.Ruleset.Tables {
			if t := &n.Ruleset.Tables[i]; t.Name == fixups.TraceTable { // its journal is lost
				old = append(old, &fixups.TableDrop{ChainRef: fixups.ChainRef{Where: fixups.At(s, id), System: snap.NFT, Family: t.Family, Table: t.Name}})
			}
		}
	}
	b, err := lender().Builder(ctx)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	if err := b.Unmake(ctx, traceOfRules, old...); err != nil {
		return nil, err
	}
	ears, err := witness.NewRuleTrace(where)
	if err != nil {
		return nil, err
	}
	defer ears.Close()
	giveBack, err := b.Lend(ctx, traceOfRules, ops...)
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := giveBack(); e != nil {
			err = fmt.Errorf("taking the trace away: %w", e)
		}
	}()
	if _, err := (&probe.Prober{}).Burst(ctx, q, 1); err != nil {
		return nil, fmt.Errorf("sending a packet to trace: %w", err)
	}
	return ears.Read(q.Sport)
}

// protoOf is the protocol of a probe's packets.
func protoOf(p *snap.Probe) snap.Proto {
	switch {
	case p.Kind == "tcp", p.DNS != nil && p.DNS.TCP:
		return snap.TCP
	case p.Kind == "icmp" && p.Dst.Addr().Is6():
		return snap.ICMPv6
	case p.Kind == "icmp":
		return snap.ICMP
	}
	return snap.UDP
}

// reclaimed takes away what a run that was killed while it traced rules has left.
func reclaimed(ctx context.Context) ([]string, error) {
	list, err := lender().Reclaim(ctx, traceOfRules)
	var out []string
	for _, e := range list {
		out = append(out, fmt.Sprintf("%d steps of %s", len(e.Detail), e.ID))
	}
	return out, err
}
