package snap

import (
	"hash/maphash"
	"maps"
	"slices"
)

// Clone copies the snapshot so deeply that every list and map that an
// operation may change is its own. What hangs on pointers inside list elements
// (Link.Port, Socket.Process, rule expressions) is shared: whoever changes one
// replaces the pointer. So are sysctls, the most of a namespace: whoever changes
// one asks for OwnSysctls first.
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

// OwnSysctls gives the namespace a table of sysctls that it shares with none, to be
// written to.
func (ns *Netns) OwnSysctls() map[string]string {
	own := make(map[string]string, len(ns.Sysctls)+1)
	maps.Copy(own, ns.Sysctls)
	ns.Sysctls = own
	return own
}

// ShareSysctls makes namespaces with the same sysctls have one table of them, as a
// thousand containers made by one engine do.
func (s *Snapshot) ShareSysctls() {
	seed := maphash.MakeSeed()
	known := map[uint64]map[string]string{}
	for i := range s.Netns {
		ns := &s.Netns[i]
		var sum uint64
		for k, v := range ns.Sysctls {
			sum += maphash.String(seed, k) * (maphash.String(seed, v) | 1)
		}
		if was, ok := known[sum]; ok && maps.Equal(was, ns.Sysctls) {
			ns.Sysctls = was
		} else if !ok {
			known[sum] = ns.Sysctls
		}
	}
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
	ns.Recent = slices.Clone(ns.Recent)
	ns.Conntrack = slices.Clone(ns.Conntrack)
	ns.Sockets = slices.Clone(ns.Sockets)
	ns.Trying = slices.Clone(ns.Trying)
	ns.Held = slices.Clone(ns.Held)
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
