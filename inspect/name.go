package inspect

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// hostID is what the host's namespace is called.
const hostID = "host"

// nameAll gives every namespace its ID, and the containers their Netns: the
// host's is "host", a container's has its name, then name files, then that of the user's
// own engine whose daemon lives there ("docker@alice"), then pids.
// Whoever comes too late for a name gets it with its kind in front. members
// are the containers by namespace.
func nameAll(s *snap.Snapshot, members map[string][]int) map[string]string {
	taken := map[string]bool{}
	names := map[string]string{}
	give := func(n *snap.Netns, tries ...string) {
		for _, t := range append(tries, kernel.InodeID(n.Inode)) {
			if t != "" && !taken[t] {
				taken[t], names[n.ID] = true, t
				return
			}
		}
	}
	for i := range s.Netns {
		if n := &s.Netns[i]; n.ID == s.Host.Netns {
			give(n, hostID)
		}
	}
	count := map[string]int{} // how many containers want a name
	for id, list := range members {
		if id != s.Host.Netns {
			count[s.Containers[list[0]].Name]++
		}
	}
	for i := range s.Netns {
		n := &s.Netns[i]
		list := members[n.ID]
		if len(list) == 0 || names[n.ID] != "" {
			continue
		}
		// Two engines may each have a "web": then neither is plain "web".
		if c := &s.Containers[list[0]]; count[c.Name] > 1 {
			give(n, c.Ref)
		} else {
			give(n, c.Name, c.Ref)
		}
	}
	// A name that `ip netns` shows here goes before the same one of another mount
	// namespace.
	for _, own := range []bool{true, false} {
		for i := range s.Netns {
			n := &s.Netns[i]
			if len(n.Names) > 0 && names[n.ID] == "" && (!own || n.IPNetns() != "") {
				give(n, n.Names[0], "netns:"+n.Names[0])
			}
		}
	}
	for i := range s.Netns {
		n := &s.Netns[i]
		if names[n.ID] != "" {
			continue
		}
		for k := range s.Engines {
			if s.Home(&s.Engines[k]) == n {
				give(n, s.Engines[k].Name)
			}
		}
		if names[n.ID] != "" {
			continue
		}
		if len(n.Pids) > 0 {
			give(n, fmt.Sprintf("pid:%d", n.Pids[0]))
		} else {
			give(n)
		}
	}
	for i := range s.Netns {
		n := &s.Netns[i]
		for _, k := range members[n.ID] {
			c := &s.Containers[k]
			c.Netns = names[n.ID]
			n.Containers = append(n.Containers, c.Ref)
		}
	}
	return names
}
