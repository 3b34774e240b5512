// Package intent says what an engine, whose networks and containers are known,
// should have put into the kernel: rules, links, addresses, routes. Comparing
// that with what is there is how drift is found, and what is missing is what a
// fix puts back. It is pure.
package intent

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Rule is one rule that an engine wants, as iptables-save prints it.
type Rule struct {
	Table string // "filter", "nat", "raw"
	Chain string
	Text  string // "-A FORWARD -o br-app -j DOCKER"
	// Network and Container say whose it is; "" for the engine's frame.
	Network   string
	Container string
	Port      *snap.Port
	// For says what it does for people, in words.
	For string
	// Append says that the engine adds it at the end of its chain; else it belongs
	// beside its neighbours in this list, or on top.
	Append bool
	// Optional rules change nothing when they are missing (a RETURN at the end):
	// they are put back with others, but are no fault alone.
	Optional bool
}

// Chain is a chain that an engine wants to exist.
type Chain struct {
	Table string
	Name  string
	// Hook, Type and Priority are a base chain's, in nf_tables.
	Hook     string
	Type     string
	Priority int32
	// Policy is a base chain's when it is made; "" is accept. One that is there
	// may have another: that is its owner's choice.
	Policy string
}

// Map is a map from device names to verdicts that an engine wants to exist.
type Map struct {
	Table string
	Name  string
}

// Jump is an element of such a map: packets of the device go through the chain.
type Jump struct {
	Table  string
	Map    string
	Device string
	Chain  string
	// Network says whose it is.
	Network string
}

// Text is the element as nft lists it.
func (j Jump) Text() string { return fmt.Sprintf("%q : jump %s", j.Device, j.Chain) }

// TableSet is a set or map with data that an engine wants to exist.
type TableSet struct {
	Table string
	Set   snap.Set
}

// Set is everything that one engine wants in the firewall of one namespace, of
// one system and family.
type Set struct {
	Engine string
	Netns  string // "" is the host's
	// System and Family tell where: the iptables variant that the engine's
	// chains are in, or would be in.
	System snap.System
	Family snap.Family
	Chains []Chain
	// Rules in the order in which they must stand, per chain.
	Rules []Rule
	// Maps and Jumps are of nftables' backends only.
	Maps  []Map
	Jumps []Jump
	Sets  []TableSet
}

// Of gives the rule sets that the engines of a snapshot want. Engines that
// were told to write no rules, are remote, or whose generation this version
// does not know, give none: nothing is then said about their drift.
func Of(s *snap.Snapshot) []Set {
	var out []Set
	for i := range s.Engines {
		e := &s.Engines[i]
		if e.Remote || e.Rootless || !e.IPTables { // a rootless daemon has a namespace of its own
			continue
		}
		if e.Name == "docker" && e.Rules == "docker-20" {
			out = append(out, docker20(s, e))
		}
		if e.Name == "docker" && e.Rules == "docker-28" {
			if set, ok := docker28(s, e); ok {
				out = append(out, set)
			}
		}
		if e.Name == "docker" && e.Rules == "docker-nft" {
			out = append(out, dockerNFT(s, e))
		}
		if sys, ok := varkSystem(s); ok && e.Name == "podman" {
			out = append(out, netavark(s, e, sys))
		}
	}
	return slices.DeleteFunc(out, func(set Set) bool { return set.shares(s) })
}

// shares says that the engine's chains lie in a table that iptables takes for
// nobody's, as somebody made a base chain of his own in it: the rules work as they
// are, and iptables can neither list nor change them (nft.c:nft_is_table_compatible).
func (set *Set) shares(s *snap.Snapshot) bool {
	host := set.At(s)
	return host != nil && set.System == snap.IPTablesNFT && slices.ContainsFunc(set.Chains, func(c Chain) bool {
		t := host.Ruleset.Table(snap.NFT, set.Family, c.Table)
		return t != nil && t.Chain(c.Name) != nil
	})
}

// add appends a wanted rule; the pointer is good until the next one.
func (set *Set) add(table, chain, text, why string, n *snap.Network) *Rule {
	r := Rule{Table: table, Chain: chain, Text: "-A " + chain + " " + text, For: why}
	if n != nil {
		r.Network = n.Ref
	}
	set.Rules = append(set.Rules, r)
	return &set.Rules[len(set.Rules)-1]
}

// publishedPort is a published IPv4 port with where it leads.
type publishedPort struct {
	c    *snap.Container
	port *snap.Port
	ep   *snap.Endpoint
	net  *snap.Network
}

// publishedPorts are those of an engine's running containers, each once. Ports
// of [::] make no rule for IPv4.
func publishedPorts(s *snap.Snapshot, e *snap.Engine) []publishedPort {
	var out []publishedPort
	seen := map[string]bool{}
	for i := range s.Containers {
		c := &s.Containers[i]
		if c.Engine != e.Name || !c.Running() || strings.HasPrefix(c.NetworkMode, "host") {
			continue
		}
		for j := range c.Ports {
			p := &c.Ports[j]
			ep, n := PublishedOn(s, c, p)
			if ep == nil || p.HostPort == 0 || p.HostIP.Is6() && !p.HostIP.Is4In6() {
				continue
			}
			key := fmt.Sprintf("%s|%s|%d|%d|%v", c.Ref, p.Proto, p.HostPort, p.ContainerPort, hostIP(p))
			if !seen[key] {
				seen[key] = true
				out = append(out, publishedPort{c, p, ep, n})
			}
		}
	}
	return out
}

// bridgeNet is a bridge network with its IPv4 subnet and bridge.
type bridgeNet struct {
	n      *snap.Network
	subnet netip.Prefix
	bridge string
}

// bridges are an engine's bridge networks with IPv4, newest first, as Docker
// inserts their rules at the top (the default bridge is the oldest).
func bridges(s *snap.Snapshot, engine string) []bridgeNet {
	var out []bridgeNet
	for i := range s.Networks {
		n := &s.Networks[i]
		if n.Engine != engine || n.Driver != "bridge" || n.Bridge == "" {
			continue
		}
		for _, p := range n.Pools {
			if p.Subnet.IsValid() && p.Subnet.Addr().Is4() {
				out = append(out, bridgeNet{n, p.Subnet.Masked(), n.Bridge})
				break
			}
		}
	}
	return out
}

// Args are the words of a rule as iptables takes them, without "-A CHAIN".
// Words in quotes (comments) are one.
func Args(text string) []string {
	var out []string
	word, open, in := strings.Builder{}, false, false
	flush := func() {
		if in {
			out = append(out, word.String())
		}
		word.Reset()
		in = false
	}
	for _, r := range text {
		switch {
		case r == '"':
			open, in = !open, true
		case r == ' ' && !open:
			flush()
		default:
			word.WriteRune(r)
			in = true
		}
	}
	flush()
	if len(out) > 2 && out[0] == "-A" {
		return out[2:]
	}
	return out
}
