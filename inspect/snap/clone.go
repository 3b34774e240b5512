package snap

import (
	"maps"
	"slices"
)

// Clone copies the snapshot so deeply that every list and map that an
// operation may change is its own. What hangs on pointers inside list elements
// (Link.Port, Socket.Process, rule expressions) is shared: whoever changes one
// replaces the pointer.
func (s *Snapshot) Clone() *Snapshot {
	c := *s
	c.Netns = slices.Clone(s.Netns)
	for i := range c.Netns {
		c.Netns[i] = c.Netns[i].clone()
	}
	c.Engines = slices.Clone(s.Engines)
	c.Containers = slices.Clone(s.Containers)
	for i := range c.Containers {
		c.Containers[i].Endpoints = slices.Clone(c.Containers[i].Endpoints)
		c.Containers[i].Ports = slices.Clone(c.Containers[i].Ports)
	}
	c.Networks = slices.Clone(s.Networks)
	c.Resolvers = slices.Clone(s.Resolvers)
	c.Probes = slices.Clone(s.Probes)
	c.Gaps = slices.Clone(s.Gaps)
	return &c
}

func (ns Netns) clone() Netns {
	ns.Containers = slices.Clone(ns.Containers)
	ns.Links = slices.Clone(ns.Links)
	ns.Addrs = slices.Clone(ns.Addrs)
	ns.Rules = slices.Clone(ns.Rules)
	ns.Routes = slices.Clone(ns.Routes)
	ns.Neighs = slices.Clone(ns.Neighs)
	ns.FDB = slices.Clone(ns.FDB)
	ns.Vlans = slices.Clone(ns.Vlans)
	ns.Sysctls = maps.Clone(ns.Sysctls)
	ns.Conntrack = slices.Clone(ns.Conntrack)
	ns.Sockets = slices.Clone(ns.Sockets)
	if ns.Xfrm != nil {
		x := *ns.Xfrm
		x.Policies = slices.Clone(x.Policies)
		ns.Xfrm = &x
	}
	ns.RouteAnswers = nil // the kernel was not asked about the changed state
	ns.Ruleset.Tables = slices.Clone(ns.Ruleset.Tables)
	for i := range ns.Ruleset.Tables {
		t := &ns.Ruleset.Tables[i]
		t.Chains = slices.Clone(t.Chains)
		for j := range t.Chains {
			t.Chains[j].Rules = slices.Clone(t.Chains[j].Rules)
		}
		t.Sets = slices.Clone(t.Sets)
		for j := range t.Sets {
			t.Sets[j].Elements = slices.Clone(t.Sets[j].Elements)
		}
	}
	return ns
}
