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
	members := map[uint64][]string{}
	byID := map[uint64]*snap.Cgroup{}
	if progs != nil {
		at := make([]string, len(c.procs.List))
		for i := range c.procs.List {
			at[i] = ns.CgroupOf(c.procs.List[i].PID)
			if g := progs.Of(at[i]); g != nil {
				byID[g.ID] = g
			}
		}
		members = senders(c.procs.List, at)
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

// senders are the control groups of whoever sends from each namespace, by its inode,
// in the order of list; at are the processes' own. Where a service manager came first,
// as in a container that is a machine of its own, only its group counts: its services
// have lists that say nothing of what else runs there.
func senders(list []ns.Proc, at []string) map[uint64][]string {
	out := map[uint64][]string{}
	first := map[uint64]int{}
	for i := range list {
		p := &list[i]
		if k, ok := first[p.Netns]; !ok || p.Start < list[k].Start {
			first[p.Netns] = i
		}
		if at[i] != "" && !slices.Contains(out[p.Netns], at[i]) {
			out[p.Netns] = append(out[p.Netns], at[i])
		}
	}
	for inode, i := range first {
		if n := list[i].Name; (n == "systemd" || n == "init") && at[i] != "" {
			out[inode] = []string{at[i]}
		}
	}
	return out
}
