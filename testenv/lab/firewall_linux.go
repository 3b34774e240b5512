package lab

import (
	"context"
	"fmt"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/fixups/apply"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Table is the lab's own nftables table.
const Table = "netdoctor"

// firewall writes the lab's rules. They go with the host's namespace.
func (l *Lab) firewall(ctx context.Context) error {
	b, err := (&apply.Applier{Dir: RunDir + "/rules"}).Builder(ctx)
	if err != nil {
		return fmt.Errorf("writing the lab's rules: %w", err)
	}
	defer b.Close()
	if err := b.Make(ctx, "lab", l.Spec.rules(b.Host())...); err != nil {
		return fmt.Errorf("writing the lab's rules: %w", err)
	}
	return nil
}

// rules are of the same intent as Docker's: answers pass, members of a network
// talk to each other, networks leave masqueraded and are kept apart, published
// ports are sent to their containers; the rest is dropped.
func (s *Spec) rules(host fixups.Where) []fixups.Op {
	chain := func(name string) fixups.ChainRef {
		return fixups.ChainRef{Where: host, System: snap.NFT, Family: snap.IPv4, Table: Table, Chain: name}
	}
	out := []fixups.Op{
		&fixups.TableAdd{ChainRef: chain("")},
		&fixups.ChainAdd{ChainRef: chain("forward"), Type: "filter", Hook: "forward", Policy: "drop"},
		&fixups.ChainAdd{ChainRef: chain("postrouting"), Type: "nat", Hook: "postrouting", Priority: 100},
		&fixups.ChainAdd{ChainRef: chain("prerouting"), Type: "nat", Hook: "prerouting", Priority: -100},
		&fixups.ChainAdd{ChainRef: chain("output"), Type: "nat", Hook: "output", Priority: -100},
	}
	add := func(name, format string, args ...any) {
		out = append(out, &fixups.RuleInsert{ChainRef: chain(name), Text: fmt.Sprintf(format, args...)})
	}
	add("forward", "ct state established,related counter accept")
	for _, n := range s.Networks {
		add("forward", "iifname %q oifname %q counter accept", n.Bridge, n.Bridge)
	}
	for _, c := range s.Containers {
		for _, p := range c.Publish {
			add("forward", "ip daddr %s %s dport %d counter accept", c.Addr, p.Proto, p.ContainerPort)
			for _, hook := range []string{"prerouting", "output"} {
				add(hook, "fib daddr type local %s dport %d dnat to %s:%d", p.Proto, p.HostPort, c.Addr, p.ContainerPort)
			}
		}
	}
	for _, n := range s.Networks {
		for _, o := range s.Networks {
			if o.Name != n.Name {
				add("forward", "iifname %q oifname %q counter drop", n.Bridge, o.Bridge)
			}
		}
		add("forward", "iifname %q counter accept", n.Bridge)
		add("postrouting", "ip saddr %s oifname != %q masquerade", n.Subnet, n.Bridge)
	}
	return out
}
