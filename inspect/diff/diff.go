// Package diff tells what changed between two snapshots of one host in the
// words of networking: a rule that is gone from a chain, a port that left its
// bridge, a sysctl that is 0 now. What changes by itself (counters, what neighbours
// and bridges learned, tracked connections, ephemeral ports) is no change.
//
// A change can be made on a clone of the older snapshot, alone: that is how it
// is told what it broke.
package diff

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Change is one difference.
type Change struct {
	// Sign is "+" for what is new, "-" for what is gone, "~" for what is another now.
	Sign string
	// Noun is the sort of thing: "container", "network", "engine", "netns",
	// "link", "addr", "route", "iprule", "neigh", "fdb", "sysctl", "table", "chain",
	// "policy", "rule", "set", "qdisc", "socket", "resolver".
	Noun string
	// Netns is the namespace that it is in; "" when it is in none.
	Netns string
	// Name is what is another now: a device, a container, filter/FORWARD.
	Name string
	// Text is the change in one clause.
	Text string
	// Ref is where it is in the newer snapshot; of what is gone, in the older.
	Ref snap.Ref

	// Loses says of a container that it may have taken what led to it along: it
	// ended, left a network, or publishes a port no more.
	Loses bool

	on func(*snap.Snapshot)
}

// On makes the change on a snapshot that is as the older one was; false: it is
// one that can't be made alone, as the end of a container.
func (c *Change) On(s *snap.Snapshot) bool {
	if c.on == nil {
		return false
	}
	c.on(s)
	return true
}

// Of gives the changes from a to b: engines, networks and containers first, then
// the host's namespace, then the others by their names, each with its resolver.
func Of(a, b *snap.Snapshot) []Change {
	d := &differ{a: a, b: b}
	d.engines()
	d.networks()
	d.containers()
	d.namespaces()
	d.resolvers()
	first := map[string]int{}
	for i := range d.out {
		if _, ok := first[d.out[i].Netns]; !ok {
			first[d.out[i].Netns] = i
		}
	}
	snap.Sort(d.out, func(x, y Change) int { return cmp.Compare(first[x.Netns], first[y.Netns]) })
	return d.out
}

type differ struct {
	a, b *snap.Snapshot
	out  []Change
}

func (d *differ) add(c Change) { d.out = append(d.out, c) }

// pair matches two lists by a key, in the order of the keys; a nil side is one
// that has no such entry. Of several with one key the first counts.
func pair[T any](a, b []T, key func(*T) string, do func(key string, a, b *T)) {
	at := func(l []T, i int) *T {
		if i < 0 {
			return nil
		}
		return &l[i]
	}
	pairs(len(a), len(b), func(i int) string { return key(&a[i]) }, func(i int) string { return key(&b[i]) },
		func(k string, i, j int) { do(k, at(a, i), at(b, j)) })
}

// pairs is pair by position, one copy of the code for all types; -1 for a side that has
// no such entry.
func pairs(a, b int, keyA, keyB func(int) string, do func(key string, a, b int)) {
	m := map[string]*[2]int{}
	for i := range a {
		if k := keyA(i); m[k] == nil {
			m[k] = &[2]int{i, -1}
		}
	}
	for i := range b {
		switch k := keyB(i); {
		case m[k] == nil:
			m[k] = &[2]int{-1, i}
		case m[k][1] < 0:
			m[k][1] = i
		}
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		do(k, m[k][0], m[k][1])
	}
}

// lists are what is only in a and only in b.
func lists[T cmp.Ordered](a, b []T) (gone, come []T) {
	for _, x := range a {
		if !slices.Contains(b, x) {
			gone = append(gone, x)
		}
	}
	for _, x := range b {
		if !slices.Contains(a, x) {
			come = append(come, x)
		}
	}
	return gone, come
}

// namespaces compares those that are this host's to judge.
func (d *differ) namespaces() {
	ours := func(s *snap.Snapshot) []*snap.Netns {
		var out []*snap.Netns
		for i := range s.Netns {
			if n := &s.Netns[i]; n.Class.Ours() && !n.Light {
				out = append(out, n)
			}
		}
		return out
	}
	a, b := ours(d.a), ours(d.b)
	byID := func(n **snap.Netns) string {
		if (*n).ID == d.a.Host.Netns {
			return "" // the host first
		}
		return (*n).ID
	}
	pair(a, b, byID, func(_ string, x, y **snap.Netns) {
		switch {
		case y == nil:
			if len((*x).Containers) == 0 { // those of containers are told by the container
				d.add(Change{Sign: "-", Noun: "netns", Name: (*x).ID, Text: fmt.Sprintf("namespace %s is gone", (*x).ID), Ref: snap.RefNetns((*x).ID)})
			}
		case x == nil:
			if len((*y).Containers) == 0 {
				d.add(Change{Sign: "+", Noun: "netns", Name: (*y).ID, Text: fmt.Sprintf("namespace %s is new", (*y).ID), Ref: snap.RefNetns((*y).ID)})
			}
		default:
			d.netns(*x, *y)
		}
	})
}

func (d *differ) netns(a, b *snap.Netns) {
	if a.Inode != b.Inode && d.a.Host.BootID == d.b.Host.BootID && a.ID != d.a.Host.Netns {
		d.add(Change{Sign: "~", Noun: "netns", Netns: b.ID, Name: b.ID, Text: fmt.Sprintf("%s lives in a new namespace: it was started again", b.ID), Ref: snap.RefNetns(b.ID)})
	}
	n := &nsDiffer{differ: d, a: a, b: b}
	n.links()
	n.addrs()
	n.routes()
	n.policyRules()
	n.neighs()
	n.fdb()
	n.sysctls()
	n.tables()
	n.sockets()
}

// nsDiffer compares one namespace with itself.
type nsDiffer struct {
	*differ
	a, b *snap.Netns
	// went are routes that a change of a device or address took along or brought.
	went map[string]bool
}

func (n *nsDiffer) add(c Change) {
	c.Netns = n.b.ID
	n.differ.add(c)
}

// in runs on this namespace of a snapshot.
func (n *nsDiffer) in(do func(*snap.Netns)) func(*snap.Snapshot) {
	id := n.a.ID
	return func(s *snap.Snapshot) {
		if ns := s.Ns(id); ns != nil {
			do(ns)
		}
	}
}
