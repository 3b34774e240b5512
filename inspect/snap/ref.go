package snap

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Ref points at one line of a snapshot. It is stable and printable:
//
//	netns/ID                                   Netns
//	netns/ID/link/NAME                         Link
//	netns/ID/addr/N  route/N  iprule/N  neigh/N  fdb/N  socket/N  conn/N   (N from 0)
//	netns/ID/sysctl/net/ipv4/ip_forward        string
//	netns/ID/SYSTEM/FAMILY/TABLE               Table
//	netns/ID/SYSTEM/FAMILY/TABLE/CHAIN         Chain (its policy, as evidence)
//	netns/ID/SYSTEM/FAMILY/TABLE/CHAIN/rule/N  Rule (N from 1)
//	container/REF  network/REF  engine/NAME  resolver/OWNER  probe/ID  gap/N
//
// Names are path-escaped.
type Ref string

func ref(parts ...string) Ref {
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return Ref(strings.Join(parts, "/"))
}

// RefNetns points at a namespace.
func RefNetns(id string) Ref { return ref("netns", id) }

// RefLink points at a device.
func RefLink(netns, name string) Ref { return ref("netns", netns, "link", name) }

// RefItem points at the n-th entry of a list of a namespace: "addr", "route",
// "iprule", "neigh", "fdb", "socket", "conn",
// "ipvs", "xfrm" (its policies).
func RefItem(netns, list string, n int) Ref { return ref("netns", netns, list, strconv.Itoa(n)) }

// RefSysctl points at a sysctl by its key with slashes.
func RefSysctl(netns, key string) Ref {
	return ref("netns", netns, "sysctl") + "/" + Ref(key)
}

// RefTable points at a table.
func RefTable(netns string, t *Table) Ref {
	return ref("netns", netns, string(t.System), string(t.Family), t.Name)
}

// RefChain points at a chain, and so at its policy.
func RefChain(netns string, t *Table, chain string) Ref {
	return ref("netns", netns, string(t.System), string(t.Family), t.Name, chain)
}

// RefRule points at a rule by its position, from 1.
func RefRule(netns string, t *Table, chain string, num int) Ref {
	return ref("netns", netns, string(t.System), string(t.Family), t.Name, chain, "rule", strconv.Itoa(num))
}

// RefContainer points at a container by its Container.Ref.
func RefContainer(r string) Ref { return ref("container", r) }

// RefNetwork points at a network by its Network.Ref.
func RefNetwork(r string) Ref { return ref("network", r) }

// RefEngine points at an engine by name.
func RefEngine(name string) Ref { return ref("engine", name) }

// RefResolver points at a resolver by its owner.
func RefResolver(owner string) Ref { return ref("resolver", owner) }

// RefProbe points at a probe by its ID.
func RefProbe(id int) Ref { return ref("probe", strconv.Itoa(id)) }

// RefGap points at a gap by its index, from 0.
func RefGap(n int) Ref { return ref("gap", strconv.Itoa(n)) }

// Netns is the ID of the namespace that the Ref is in, "" when it is in none.
func (r Ref) Netns() string {
	p := strings.SplitN(string(r), "/", 3)
	if len(p) < 2 || p[0] != "netns" {
		return ""
	}
	id, err := url.PathUnescape(p[1])
	if err != nil {
		return ""
	}
	return id
}

// At gives what a Ref points at: a pointer into the snapshot, or a string for
// a sysctl. The error is ErrNotFound when there is no such thing.
func (s *Snapshot) At(r Ref) (any, error) {
	none := fmt.Errorf("no %s in this snapshot: %w", r, ErrNotFound)
	parts := strings.Split(string(r), "/")
	for i := range parts {
		p, err := url.PathUnescape(parts[i])
		if err != nil {
			return nil, fmt.Errorf("reference %s: %w", r, err)
		}
		parts[i] = p
	}
	if len(parts) < 2 {
		return nil, none
	}
	name := strings.Join(parts[1:], "/")
	switch parts[0] {
	case "netns":
		ns := s.Ns(parts[1])
		if ns == nil {
			return nil, none
		}
		if len(parts) == 2 {
			return ns, nil
		}
		if v := ns.at(parts[2:]); v != nil {
			return v, nil
		}
	case "container":
		if c := s.Container(name); c != nil {
			return c, nil
		}
	case "network":
		if n := s.Network(name); n != nil {
			return n, nil
		}
	case "engine":
		for i := range s.Engines {
			if s.Engines[i].Name == name {
				return &s.Engines[i], nil
			}
		}
	case "resolver":
		if v := s.Resolver(name); v != nil {
			return v, nil
		}
	case "probe":
		if v := item(s.Probes, name, 1); v != nil {
			return v, nil
		}
	case "gap":
		if v := item(s.Gaps, name, 0); v != nil {
			return v, nil
		}
	}
	return nil, none
}

// item is the n-th of a list, counted from base; nil when there is none.
func item[T any](list []T, n string, base int) any {
	i, err := strconv.Atoi(n)
	if err != nil || i < base || i-base >= len(list) {
		return nil
	}
	return &list[i-base]
}

// at finds a thing inside a namespace; nil when there is none.
func (ns *Netns) at(p []string) any {
	if len(p) < 2 {
		return nil
	}
	switch p[0] {
	case "link":
		if l := ns.Link(p[1]); l != nil {
			return l
		}
		return nil
	case "addr":
		return item(ns.Addrs, p[1], 0)
	case "route":
		return item(ns.Routes, p[1], 0)
	case "iprule":
		return item(ns.Rules, p[1], 0)
	case "neigh":
		return item(ns.Neighs, p[1], 0)
	case "fdb":
		return item(ns.FDB, p[1], 0)
	case "socket":
		return item(ns.Sockets, p[1], 0)
	case "held":
		return item(ns.Held, p[1], 0)
	case "conn":
		return item(ns.Conntrack, p[1], 0)
	case "ipvs":
		return item(ns.IPVS, p[1], 0)
	case "xfrm":
		if ns.Xfrm != nil {
			return item(ns.Xfrm.Policies, p[1], 0)
		}
		return nil
	case "sysctl":
		if v, ok := ns.Sysctls[strings.Join(p[1:], "/")]; ok {
			return v
		}
		return nil
	}
	if len(p) < 3 {
		return nil
	}
	t := ns.Ruleset.Table(System(p[0]), Family(p[1]), p[2])
	switch {
	case t == nil:
		return nil
	case len(p) == 3:
		return t
	}
	c := t.Chain(p[3])
	switch {
	case c == nil:
		return nil
	case len(p) == 4:
		return c
	case len(p) == 6 && p[4] == "rule":
		return item(c.Rules, p[5], 1)
	}
	return nil
}
