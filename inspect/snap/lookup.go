package snap

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Ns is the namespace with that ID, nil when there is none.
func (s *Snapshot) Ns(id string) *Netns {
	for i := range s.Netns {
		if s.Netns[i].ID == id {
			return &s.Netns[i]
		}
	}
	return nil
}

// HostNs is the namespace that is "the host"; nil only in a snapshot that has
// none at all.
func (s *Snapshot) HostNs() *Netns { return s.Ns(s.Host.Netns) }

// Home is the namespace in which an engine has its bridges and its rules: the host's, or
// that in which a user's own dockerd lives. nil when that is not known, as of a user's
// own Podman.
func (s *Snapshot) Home(e *Engine) *Netns {
	switch {
	case !e.Rootless:
		return s.HostNs()
	case !IsDocker(e.Name):
		return nil
	}
	for i := range s.Netns {
		if n := &s.Netns[i]; e.PID != 0 && slices.Contains(n.Pids, e.PID) {
			return n
		}
	}
	return nil
}

// Container is the container with that Ref, nil when there is none.
func (s *Snapshot) Container(ref string) *Container {
	for i := range s.Containers {
		if s.Containers[i].Ref == ref {
			return &s.Containers[i]
		}
	}
	return nil
}

// Network is the network with that Ref, nil when there is none.
func (s *Snapshot) Network(ref string) *Network {
	for i := range s.Networks {
		if s.Networks[i].Ref == ref {
			return &s.Networks[i]
		}
	}
	return nil
}

// NetworkOf is the network that an endpoint of one of an engine's containers
// is on, nil when it is not known.
func (s *Snapshot) NetworkOf(engine string, e *Endpoint) *Network {
	for i := range s.Networks {
		n := &s.Networks[i]
		if n.Engine == engine && (e.NetworkID != "" && n.ID == e.NetworkID || e.NetworkID == "" && n.Name == e.Network) {
			return n
		}
	}
	return s.Network(engine + ":" + e.Network)
}

// GatewayOrder compares two endpoints of one container and their networks: the
// lower one has the default route and the published ports, and is asked for names
// first (moby daemon/libnetwork/sandbox.go: Less).
func GatewayOrder(a *Endpoint, an *Network, b *Endpoint, bn *Network) int {
	both := func(e *Endpoint) bool { return e.IPv4.IsValid() && e.IPv6.IsValid() }
	first := func(a, b bool) int {
		switch {
		case a == b:
			return 0
		case a:
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(b.GwPriority, a.GwPriority), first(!an.Internal, !bn.Internal), first(both(a), both(b)), strings.Compare(an.Name, bn.Name))
}

// Engine is the engine with that name, nil when there is none.
func (s *Snapshot) Engine(name string) *Engine {
	for i := range s.Engines {
		if s.Engines[i].Name == name {
			return &s.Engines[i]
		}
	}
	return nil
}

// Resolver is the resolver of that owner, nil when it was not read.
func (s *Snapshot) Resolver(owner string) *Resolver {
	for i := range s.Resolvers {
		if s.Resolvers[i].Owner == owner {
			return &s.Resolvers[i]
		}
	}
	return nil
}

// Link is the device of that name, nil when there is none.
func (ns *Netns) Link(name string) *Link {
	for i := range ns.Links {
		if ns.Links[i].Name == name {
			return &ns.Links[i]
		}
	}
	return nil
}

// LinkAt is the device with that ifindex, nil when there is none.
func (ns *Netns) LinkAt(index int) *Link {
	if index == 0 {
		return nil
	}
	for i := range ns.Links {
		if ns.Links[i].Index == index {
			return &ns.Links[i]
		}
	}
	return nil
}

// LinkName is the name of the device with that ifindex, if7 where there is none.
func (ns *Netns) LinkName(index int) string {
	if l := ns.LinkAt(index); l != nil {
		return l.Name
	}
	return fmt.Sprintf("if%d", index)
}

// AddrsOf are the addresses of the device with that ifindex.
func (ns *Netns) AddrsOf(index int) []Addr {
	var out []Addr
	for _, a := range ns.Addrs {
		if a.Index == index {
			out = append(out, a)
		}
	}
	return out
}

// HasAddr says whether a device of the namespace holds the address, and which.
func (ns *Netns) HasAddr(ip netip.Addr) (*Link, bool) {
	for _, a := range ns.Addrs {
		if a.Prefix.Addr() == ip {
			return ns.LinkAt(a.Index), true
		}
	}
	return nil, false
}

// Holder is the device that holds the address, lo apart: an address there makes no
// route to its network. nil when there is none.
func (ns *Netns) Holder(ip netip.Addr) *Link {
	for _, a := range ns.Addrs {
		if l := ns.LinkAt(a.Index); a.Prefix.Addr() == ip && l != nil && !l.Loopback {
			return l
		}
	}
	return nil
}

// Sysctl is the value of a key with slashes; ok is false when it was not read
// or is not there (a Gap tells which).
func (ns *Netns) Sysctl(key string) (value string, ok bool) {
	v, ok := ns.Sysctls[key]
	return strings.TrimSpace(v), ok
}

// RecentList is xt_recent's list of that name; nil when it was not read.
func (ns *Netns) RecentList(name string) *RecentList {
	for i := range ns.Recent {
		if ns.Recent[i].Name == name {
			return &ns.Recent[i]
		}
	}
	return nil
}

// IPSet is the set of ipset(8) of that name; nil when there is none.
func (ns *Netns) IPSet(name string) *IPSet {
	for i := range ns.IPSets {
		if ns.IPSets[i].Name == name {
			return &ns.IPSets[i]
		}
	}
	return nil
}

// IPSetAt is the set of ipset(8) with that kernel index; nil when there is none.
func (ns *Netns) IPSetAt(index int) *IPSet {
	for i := range ns.IPSets {
		if ns.IPSets[i].Index == index {
			return &ns.IPSets[i]
		}
	}
	return nil
}

// HashLimit is xt_hashlimit's table of that name; nil when it was not read.
func (ns *Netns) HashLimit(name string, fam Family) *HashLimit {
	for i := range ns.HashLimits {
		if h := &ns.HashLimits[i]; h.Name == name && h.Family == fam {
			return h
		}
	}
	return nil
}

// Table finds a table; nil when there is none.
func (r *Ruleset) Table(sys System, fam Family, name string) *Table {
	for i := range r.Tables {
		t := &r.Tables[i]
		if t.System == sys && t.Family == fam && t.Name == name {
			return t
		}
	}
	return nil
}

// Chain finds a chain; nil when there is none.
func (t *Table) Chain(name string) *Chain {
	for i := range t.Chains {
		if t.Chains[i].Name == name {
			return &t.Chains[i]
		}
	}
	return nil
}

// Set finds a set or map; nil when there is none.
func (t *Table) Set(name string) *Set {
	for i := range t.Sets {
		if t.Sets[i].Name == name {
			return &t.Sets[i]
		}
	}
	return nil
}

// NFTResolver says whether Docker leads a container's questions to its resolver by
// nftables (table docker-dns), not by iptables (chain DOCKER_OUTPUT).
func (s *Snapshot) NFTResolver(ns *Netns) bool {
	return ns.Ruleset.Table(NFT, IPv4, "docker-dns") != nil || slices.ContainsFunc(s.Containers, func(c Container) bool {
		e := s.Engine(c.Engine)
		return c.Netns == ns.ID && e != nil && e.Rules == "docker-nft"
	})
}

// AsksKey is the sysctl of how often a device asks for a neighbour's address before it
// gives up. It is read only where it is 0 and no program is asked instead.
func AsksKey(f Family, dev string) string {
	ip := "ipv4"
	if f == IPv6 {
		ip = "ipv6"
	}
	return "net/" + ip + "/neigh/" + dev + "/mcast_solicit"
}
