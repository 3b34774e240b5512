package inspect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// collector reads namespaces in waves: the host's, then whatever is linked to
// it, step by step. What is not linked to the host is read lightly only.
type collector struct {
	ctx    context.Context
	o      Options
	torn   *atomic.Int64
	procs  *ns.Procs
	places []place
	byIno  map[uint64]int // index into places
	peers  []*ns.Handle   // of all places, the host's first
	gaps   []snap.Gap     // that belong to no namespace
	inodes map[int]uint64 // of containers, by their place in the engines' list
}

// place is one namespace on its way into the snapshot.
type place struct {
	found ns.Found
	h     *ns.Handle
	n     snap.Netns
	gaps  []snap.Gap
	level level
	// linked says that a path of links leads to the host.
	linked bool
}

// level is how much was read of a place.
type level int

const (
	unread level = iota
	light
	full
)

// find discovers the namespaces and opens them. Called again it adds those that
// are new.
func (c *collector) find() error {
	procs, err := ns.ScanProcs(c.ctx)
	if err != nil {
		c.gaps = append(c.gaps, snap.GapOf("processes", "", err))
		procs = &ns.Procs{}
	}
	c.procs = procs
	found, gaps, err := ns.Discover(c.ctx, ns.Options{HostNS: c.o.HostNS, Procs: procs})
	if err != nil {
		return err
	}
	if c.byIno == nil {
		c.byIno, c.inodes = make(map[uint64]int, len(found)), map[int]uint64{}
		c.gaps = append(c.gaps, gaps...)
	}
	for _, f := range found {
		if _, known := c.byIno[f.Inode]; known {
			continue
		}
		h, err := f.Open()
		if err != nil {
			// One that ended since it was found is none of this snapshot.
			if !errors.Is(err, snap.ErrVanished) && !errors.Is(err, snap.ErrNotFound) {
				c.gaps = append(c.gaps, snap.GapOf("namespace", "", err))
			}
			continue
		}
		c.byIno[f.Inode] = len(c.places)
		c.places = append(c.places, place{found: f, h: h})
		c.peers = append(c.peers, h)
	}
	if len(c.places) == 0 || !c.places[0].found.Host {
		return fmt.Errorf("host namespace: %w", snap.ErrVanished)
	}
	return nil
}

// againTries: on a host where namespaces come and go 30 times a second the first
// search missed one in each reading, a second one in six, a third none.
const againTries = 2

// again looks once more for namespaces where links lead to one that was not
// there when they were listed: containers start while we read. Whoever had such
// a link is read anew.
func (c *collector) again() {
	for range againTries {
		open := c.open()
		if len(open) == 0 || c.ctx.Err() != nil {
			return
		}
		// A link that is gone by now needs no other end, so the second reading is
		// worth it in any case; an error of the second search changes nothing.
		_ = c.find()
		for _, i := range open {
			c.places[i].level = unread
		}
		c.spread(open)
	}
}

// open are the linked places with a link that leads nowhere known.
func (c *collector) open() []int {
	var out []int
	for i := range c.places {
		p := &c.places[i]
		if p.linked && slices.ContainsFunc(p.n.Links, func(l snap.Link) bool {
			return l.PeerNSID >= 0 && p.n.NSIDs[l.PeerNSID] == ""
		}) {
			out = append(out, i)
		}
	}
	return out
}

func (c *collector) close() {
	for _, h := range c.peers {
		_ = h.Close() // nothing was written
	}
}

// wave reads places to a level, several at once.
func (c *collector) wave(which []int, want level) {
	var g errgroup.Group
	g.SetLimit(parallel())
	for _, i := range which {
		p := &c.places[i]
		if p.level >= want {
			continue
		}
		p.level = want
		g.Go(func() error {
			p.n, p.gaps = kernel.ReadNetns(c.ctx, p.h, kernel.Options{
				Light: want == light, Host: p.found.Host, Peers: c.peers, Procs: c.procs,
				Torn: c.torn,
			})
			return nil
		})
	}
	_ = g.Wait() // nobody returns an error: they are gaps
}

// neighbours are the places that a place's own links lead to.
func (c *collector) neighbours(i int) []int {
	p := &c.places[i]
	var out []int
	for _, l := range p.n.Links {
		if l.PeerNSID < 0 {
			continue
		}
		if j, ok := c.place(p.n.NSIDs[l.PeerNSID]); ok {
			out = append(out, j)
		}
	}
	return out
}

// place finds a place by the "ns:INODE" that readers give.
func (c *collector) place(id string) (int, bool) {
	num, ok := strings.CutPrefix(id, "ns:")
	if !ok {
		return 0, false
	}
	inode, err := strconv.ParseUint(num, 10, 64)
	if err != nil {
		return 0, false
	}
	i, ok := c.byIno[inode]
	return i, ok
}

// connected reads the host and everything that links lead to from there. The
// host's links are read first, and again with the rest: the second wave can
// then read the host and its neighbours at the same time.
func (c *collector) connected() {
	const host = 0
	c.wave([]int{host}, light)
	c.places[host].linked = true
	c.spread([]int{host})
}

// spread reads places in full, and on along their links.
func (c *collector) spread(front []int) {
	for i := range front {
		c.places[front[i]].linked = true
	}
	first := true
	for len(front) > 0 && c.ctx.Err() == nil {
		if first { // whose links are known already
			front = append(front, c.step(front)...)
			first = false
		}
		c.wave(front, full)
		front = c.step(front)
	}
}

// step marks and returns the places one link away that were not linked yet.
func (c *collector) step(front []int) []int {
	var next []int
	for _, i := range front {
		for _, j := range c.neighbours(i) {
			if !c.places[j].linked {
				c.places[j].linked = true
				next = append(next, j)
			}
		}
	}
	return next
}

// containers reads those containers in full that no link of the host leads to, and what
// theirs lead to: "none" mode, and the bridges of a user's own engine.
func (c *collector) containers(list []snap.Container) {
	var which []int
	for i := range list {
		inode, ok := c.netnsOf(&list[i])
		if !ok {
			continue
		}
		c.inodes[i] = inode
		if j, ok := c.byIno[inode]; ok && c.places[j].level != full {
			which = append(which, j)
		}
	}
	c.spread(which)
}

// started reads the host, and what belongs to containers that were started since
// the reading began, anew: an engine sets a container's network up before it calls
// it running, so that the kernel may have been read halfway through that.
func (c *collector) started(list []snap.Container, since time.Time) {
	var front []int // those that links are known to lead to; the others are found by theirs
	for i := range list {
		k := &list[i]
		if !k.Running() || k.Started.Before(since) || c.ctx.Err() != nil {
			continue
		}
		if front == nil {
			_ = c.find() // its namespace may be new; an error changes nothing
			c.places[0].level, front = unread, []int{0}
		}
		inode, _ := c.netnsOf(k)
		if j, ok := c.byIno[inode]; ok && c.places[j].level != unread {
			c.places[j].level = unread
			if c.places[j].linked {
				front = append(front, j)
			}
		}
	}
	if front != nil {
		c.spread(front)
		c.again()
	}
}

// netnsOf tells in which namespace a container lives: that of its process,
// else the one that the engine's file names.
func (c *collector) netnsOf(k *snap.Container) (uint64, bool) {
	if k.PID > 0 {
		if p := c.procs.Get(k.PID); p != nil && p.Netns != 0 {
			return p.Netns, true
		}
		// Started since the processes were listed, or hidden from us.
		if h, err := ns.OpenPid(k.PID); err == nil {
			defer h.Close() //nolint:errcheck // only a descriptor
			return h.Inode(), true
		}
	}
	if k.SandboxKey == "" || !k.Running() {
		return 0, false
	}
	for i := range c.places {
		for _, m := range c.places[i].found.Mounts {
			if sameRun(m, k.SandboxKey) {
				return c.places[i].found.Inode, true
			}
		}
	}
	return 0, false
}

// sameRun compares paths with /var/run being /run.
func sameRun(a, b string) bool {
	return strings.TrimPrefix(a, "/var") == strings.TrimPrefix(b, "/var")
}

// rest reads lightly what is left, and in full what turns out to be linked
// after all: a macvlan shows where it comes from only from its own side.
func (c *collector) rest() {
	var left []int
	for i := range c.places {
		if c.places[i].level == unread {
			left = append(left, i)
		}
	}
	c.wave(left, light)
	for c.ctx.Err() == nil {
		var front []int
		for i := range c.places {
			if c.places[i].linked {
				continue
			}
			for _, j := range c.neighbours(i) {
				if c.places[j].linked {
					front = append(front, i)
					break
				}
			}
		}
		if len(front) == 0 {
			return
		}
		c.spread(front)
	}
}

// fill puts the namespaces that could be read into the snapshot, named by
// inode still.
func (c *collector) fill(s *snap.Snapshot) {
	s.Gaps = append(s.Gaps, c.gaps...)
	for i := range c.places {
		p := &c.places[i]
		if p.level == unread {
			continue
		}
		n := p.n
		n.ID = kernel.InodeID(n.Inode)
		n.Path, n.Names, n.Pids = p.found.Path, orEmpty(p.found.Names), orEmpty(p.found.Pids)
		if p.found.Host {
			s.Host.Netns = n.ID
		}
		for _, g := range p.gaps {
			g.Netns = n.ID
			s.Gaps = append(s.Gaps, g)
		}
		s.Netns = append(s.Netns, n)
	}
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
