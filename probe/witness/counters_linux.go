package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/probe"
)

// counter names one: a rule or a policy by its Ref, a number of the stack by
// its name.
type counter struct {
	netns string
	ref   snap.Ref
	name  string
}

// Count sends bursts of a flow and gives the counters, of those namespaces,
// that grew by exactly what was sent: of nf_tables, iptables-nft and
// iptables-legacy rules and policies, and the stack's own. It changes nothing.
// Namespaces whose counters could not be read are in the error; those of the
// others are given all the same.
func Count(ctx context.Context, p *probe.Prober, q probe.Question, where []*snap.Netns) ([]snap.Counted, error) {
	var errs []error
	var list []*open
	for _, n := range where {
		h, err := ns.Open(n.Path)
		if err != nil {
			errs = append(errs, fmt.Errorf("counters of %s: %w", n.ID, err))
			continue
		}
		defer h.Close() //nolint:errcheck // only read
		if n.Inode != 0 && h.Inode() != n.Inode {
			errs = append(errs, fmt.Errorf("counters of %s: %w", n.ID, snap.ErrVanished))
			continue
		}
		list = append(list, &open{n, h})
	}
	before, err := readAll(ctx, list)
	errs = append(errs, err)
	grew := map[counter]*snap.Counted{}
	for k, n := range bursts {
		sent, err := p.Burst(ctx, q, n)
		if err != nil || sent != n {
			return nil, errors.Join(append(errs, fmt.Errorf("%d of %d packets were sent: %w", sent, n, err))...)
		}
		after, err := readAll(ctx, list)
		errs = append(errs, err)
		for c, v := range after {
			old, ok := before[c]
			if !ok || v <= old {
				continue
			}
			if grew[c] == nil && k == 0 {
				grew[c] = &snap.Counted{Netns: c.netns, Ref: c.ref, Name: c.name}
			}
			if g := grew[c]; g != nil && len(g.Sent) == k {
				g.Sent, g.Grew = append(g.Sent, n), append(g.Grew, v-old)
			}
		}
		before = after
	}
	return exact(grew), errors.Join(errs...)
}

// open is a namespace and a hold of it.
type open struct {
	n *snap.Netns
	h *ns.Handle
}

func readAll(ctx context.Context, list []*open) (map[counter]int64, error) {
	out := map[counter]int64{}
	var errs []error
	for _, o := range list {
		rs, gaps := kernel.ReadRuleset(ctx, o.h)
		for _, g := range gaps {
			errs = append(errs, fmt.Errorf("counters of %s: %s", o.n.ID, g.Why))
		}
		rules(o.n.ID, &rs, out)
		if err := o.h.Do(func() error { return stack(o.n.ID, out) }); err != nil {
			errs = append(errs, fmt.Errorf("counters of %s: %w", o.n.ID, err))
		}
	}
	return out, errors.Join(errs...)
}

// rules takes the counters of rules and policies.
func rules(id string, rs *snap.Ruleset, out map[counter]int64) {
	for i := range rs.Tables {
		t := &rs.Tables[i]
		for j := range t.Chains {
			c := &t.Chains[j]
			if c.Base() && c.PolicyPackets >= 0 {
				out[counter{netns: id, ref: snap.RefChain(id, t, c.Name)}] = c.PolicyPackets
			}
			for k := range c.Rules {
				if r := &c.Rules[k]; r.Packets >= 0 {
					out[counter{netns: id, ref: snap.RefRule(id, t, c.Name, r.Num)}] = r.Packets
				}
			}
		}
	}
}

// stack takes the numbers of the stack that tell of a packet's end (RFC 4293;
// net/ipv4/proc.c), in the namespace of the calling thread.
func stack(id string, out map[counter]int64) error {
	for _, file := range []string{"snmp", "netstat"} {
		b, err := os.ReadFile("/proc/thread-self/net/" + file)
		if err != nil {
			return fmt.Errorf("reading the stack's counters: %w", err)
		}
		pairs(b, func(name string, v int64) {
			if _, ok := snap.StackReasons[name]; ok {
				out[counter{netns: id, name: name}] = v
			}
		})
	}
	return nil
}

// pairs reads lines of names, each followed by a line of numbers, both behind
// the same word.
func pairs(b []byte, each func(name string, v int64)) {
	lines := bytes.Split(b, []byte("\n"))
	for i := 0; i+1 < len(lines); i += 2 {
		names, values := strings.Fields(string(lines[i])), strings.Fields(string(lines[i+1]))
		if len(names) == 0 || len(names) != len(values) || names[0] != values[0] {
			continue
		}
		for k := 1; k < len(names); k++ {
			if v, err := strconv.ParseInt(values[k], 10, 64); err == nil {
				each(strings.TrimSuffix(names[0], ":")+names[k], v)
			}
		}
	}
}
