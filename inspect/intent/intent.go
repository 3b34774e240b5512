// Package intent says what an engine, whose networks and containers are known,
// should have put into the kernel: rules, links, addresses, routes. Comparing
// that with what is there is how drift is found, and what is missing is what a
// fix puts back. It is pure.
package intent

import (
	"fmt"
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
	// Members are of one release of Docker only.
	Members []Member
}

// Of gives the rule sets that the engines of a snapshot want. Engines that
// were told to write no rules, are remote, or whose generation this version
// does not know, give none: nothing is then said about their drift.
func Of(s *snap.Snapshot) []Set {
	var out []Set
	for i := range s.Engines {
		e := &s.Engines[i]
		home := s.Home(e)
		if e.Remote || !e.IPTables || e.Rootless && home == nil {
			continue
		}
		if snap.IsDocker(e.Name) {
			out = append(out, ofDocker(s, e, home)...)
		}
		if e.Name == "podman" {
			switch varkDriver(s, e) {
			case "netavark-nft":
				out = append(out, netavarkNFT(s, e))
			case "netavark-iptables":
				sys, there := varkSystem(s)
				if !there { // all of it was flushed
					sys = systemOf(s)
				}
				for _, f := range []snap.Family{snap.IPv4, snap.IPv6} {
					out = append(out, netavark(s, e, sys, f))
				}
			}
		}
	}
	return snap.Without(out, func(set Set) bool { return set.shares(s) })
}

// ofDocker is what a Docker wants in its namespace, in each family.
func ofDocker(s *snap.Snapshot, e *snap.Engine, home *snap.Netns) []Set {
	var out []Set
	view := *s
	if e.Rootless {
		view.Host.Netns = home.ID
	}
	for _, f := range dockerFamilies(&view, e) {
		switch e.Rules {
		case "docker-20":
			out = append(out, docker20(&view, e, f))
		case "docker-28":
			if set, ok := docker28(&view, e, f); ok {
				out = append(out, set)
			}
		case "docker-nft":
			out = append(out, dockerNFT(&view, e, f))
		}
	}
	if e.Rootless {
		for i := range out {
			out[i].Netns = home.ID
		}
	}
	return out
}

// dockerFamilies are those that Docker writes rules of: IPv6 where it
// is told to, and where a network has it. Where all of IPv4's is gone, as after
// nft flush ruleset, IPv6's frame is wanted, too, which the next network needs.
func dockerFamilies(s *snap.Snapshot, e *snap.Engine) []snap.Family {
	if e.IP6Tables && (len(bridges(s, e.Name, snap.IPv6)) > 0 || flushed(s, e)) {
		return []snap.Family{snap.IPv4, snap.IPv6}
	}
	return []snap.Family{snap.IPv4}
}

// flushed says that nothing is left of the frame that Docker made for IPv4, on a
// host that has IPv6.
func flushed(s *snap.Snapshot, e *snap.Engine) bool {
	host, sys, table, chain := s.HostNs(), systemOf(s), "filter", "DOCKER"
	if e.Rules == "docker-nft" {
		sys, table, chain = snap.NFT, dockerTable, "filter-FORWARD"
	}
	if host == nil || sys == snap.IPTablesLegacy || // whose tables for IPv6 the kernel may not have
		!slices.ContainsFunc(host.Addrs, func(a snap.Addr) bool { return a.Prefix.Addr().Is6() }) {
		return false
	}
	t := host.Ruleset.Table(sys, snap.IPv4, table)
	return t == nil || t.Chain(chain) == nil
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
