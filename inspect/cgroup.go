package inspect

import (
	"os"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// cgroups finds the bpf programs of control groups that this host's processes and
// sockets pass through. Most hosts have none, and then no process is looked at.
func (c *collector) cgroups(s *snap.Snapshot) {
	progs := kernel.OpenCgroups()
	members := map[uint64][]string{} // groups by namespace, in order of pid
	byID := map[uint64]*snap.Cgroup{}
	if progs != nil {
		for i := range c.procs.List {
			p := &c.procs.List[i]
			at := ns.CgroupOf(p.PID)
			if g := progs.Of(at); g != nil {
				byID[g.ID] = g
			}
			if at != "" && !slices.Contains(members[p.Netns], at) {
				members[p.Netns] = append(members[p.Netns], at)
			}
		}
		if own := progs.Of(ns.CgroupOf(os.Getpid())); own != nil {
			for _, p := range own.Programs {
				if !slices.Contains(s.Prober, p.ID) {
					s.Prober = append(s.Prober, p.ID)
				}
			}
		}
	}
	for i := range s.Netns {
		n := &s.Netns[i]
		keep := func(g *snap.Cgroup) uint64 {
			if g == nil {
				return 0
			}
			if n.Cgroup(g.ID) == nil {
				n.Cgroups = append(n.Cgroups, *g)
			}
			return g.ID
		}
		for j := range n.Sockets {
			n.Sockets[j].Cgroup = keep(byID[n.Sockets[j].Cgroup])
		}
		at := members[n.Inode]
		if n.ID == s.Host.Netns { // the processes of a host have little in common
			at = []string{ns.CgroupOf(os.Getpid())}
		}
		for _, path := range at {
			if id := keep(progs.Of(path)); !slices.Contains(n.Senders, id) {
				n.Senders = append(n.Senders, id)
			}
		}
		if !slices.ContainsFunc(n.Senders, func(id uint64) bool { return id != 0 }) {
			n.Senders = nil
		}
	}
}
