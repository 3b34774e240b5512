// Package mutate breaks a host in random ways, reproducibly by a seed: one rule,
// route, address, device, port of a bridge, neighbour, sysctl or file is taken
// away, changed or added, by the commands that a person would type. Its test
// judges the diagnosis by it: what real packets say no more get through must be
// found at the very object that was changed, and where they still do nothing may
// be said.
package mutate

import (
	"math/rand/v2"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Mutation is one change of a host.
type Mutation struct {
	Kind  string // "link down": what the misses are sorted by
	Netns string // Netns.ID of the namespace that it happens in
	Do    string // shell lines
	Undo  string // shell lines that take it back; "" when it can't be told
	// Place tells a finding that speaks of the changed object from others: it
	// holds all the words of one of these.
	Place [][]string
}

// At says whether a finding's text, all of it, speaks of what was changed.
func (m *Mutation) At(text string) bool {
	text = strings.ToLower(text)
	for _, words := range m.Place {
		all := len(words) > 0
		for _, w := range words {
			all = all && holds(text, strings.ToLower(w))
		}
		if all {
			return true
		}
	}
	return false
}

// holds says whether a word stands in a text as a whole: the address 10.0.0.1
// does not stand in 10.0.0.11.
func holds(text, word string) bool {
	for at := 0; ; {
		i := strings.Index(text[at:], word)
		if i < 0 {
			return false
		}
		i += at
		end := i + len(word)
		if (i == 0 || !inWord(text[i-1]) || !inWord(word[0])) && (end == len(text) || !inWord(text[end]) || !inWord(word[len(word)-1])) {
			return true
		}
		at = i + 1
	}
}

func inWord(b byte) bool { return b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b == '_' }

// maker makes a mutation; false when the host has nothing of that kind.
type maker struct {
	weight int
	make   func(*gen) (Mutation, bool)
}

// gen holds what the makers choose from.
type gen struct {
	r    *rand.Rand
	s    *snap.Snapshot
	host *snap.Netns
	on   []target
	// Persistent hosts are healed by Undo: what has none is not made.
	persistent bool
}

// target is a container on a bridge network.
type target struct {
	c      *snap.Container
	ns     *snap.Netns
	ep     *snap.Endpoint
	net    *snap.Network
	eth    *snap.Link // inside
	veth   *snap.Link // the other end, on the host
	bridge *snap.Link
}

// Random makes a mutation of a host as it is in the snapshot.
func Random(r *rand.Rand, s *snap.Snapshot, persistent bool) (Mutation, bool) {
	g := &gen{r: r, s: s, host: s.HostNs(), persistent: persistent}
	if g.host == nil {
		return Mutation{}, false
	}
	g.targets()
	if len(g.on) == 0 {
		return Mutation{}, false
	}
	all := makers()
	sum := 0
	for _, m := range all {
		sum += m.weight
	}
	for range 200 {
		n := r.IntN(sum)
		for _, m := range all {
			if n -= m.weight; n >= 0 {
				continue
			}
			if out, ok := m.make(g); ok && (!persistent || out.Undo != "") {
				return out, true
			}
			break
		}
	}
	return Mutation{}, false
}

func makers() []maker {
	return []maker{
		{4, linkDown},
		{3, linkMTU},
		{2, linkMaster},
		{2, linkMAC},
		{1, linkGone},
		{5, portFlag},
		{2, portVLAN},
		{2, neighbour},
		{2, forwarding},
		{4, routeGone},
		{6, routeAdded},
		{4, policyRule},
		{3, addrGone},
		{3, addrAdded},
		{2, addrChanged},
		{8, sysctl},
		{6, resolvConf},
		{3, hostsFile},
		{3, process},
		{2, queue},
		{12, iptablesAdded},
		{9, nftTable},
		{7, ruleGone},
		{6, ruleChanged},
		{2, chainFlushed},
		{2, policyChanged},
	}
}

func (g *gen) targets() {
	for i := range g.s.Containers {
		c := &g.s.Containers[i]
		n := g.s.Ns(c.Netns)
		if n == nil || n == g.host || !c.Running() {
			continue
		}
		for j := range c.Endpoints {
			ep := &c.Endpoints[j]
			net := g.s.NetworkOf(c.Engine, ep)
			if net == nil || net.Driver != "bridge" || !ep.IPv4.IsValid() {
				continue
			}
			eth, ok := n.HasAddr(ep.IPv4.Addr())
			if !ok || eth.PeerNetns != g.host.ID {
				continue
			}
			veth := g.host.LinkAt(eth.Peer)
			if veth == nil || g.host.LinkAt(veth.Master) == nil {
				continue
			}
			g.on = append(g.on, target{c: c, ns: n, ep: ep, net: net, eth: eth, veth: veth, bridge: g.host.LinkAt(veth.Master)})
		}
	}
}

func (g *gen) target() target { return g.on[g.r.IntN(len(g.on))] }

// other is a target on the same network as t; t itself when it is alone.
func (g *gen) other(t target) target {
	var same []target
	for _, o := range g.on {
		if o.net == t.net && o.c != t.c {
			same = append(same, o)
		}
	}
	if len(same) == 0 {
		return t
	}
	return same[g.r.IntN(len(same))]
}

// chance is true n times of 100.
func (g *gen) chance(n int) bool { return g.r.IntN(100) < n }

func pick[T any](g *gen, list ...T) T { return list[g.r.IntN(len(list))] }

// words makes alternatives of one word list each.
func words(lists ...[]string) [][]string { return lists }

// uplink is the device of the host's default route; nil none.
func (g *gen) uplink() *snap.Link {
	for i := range g.host.Routes {
		r := &g.host.Routes[i]
		if r.Family == snap.IPv4 && r.Table == snap.TableMain && r.Dst.Bits() == 0 && r.Type == "unicast" {
			return g.host.LinkAt(r.Oif)
		}
	}
	return nil
}
