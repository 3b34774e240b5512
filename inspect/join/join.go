// Package join makes one value of several hosts' snapshots, so that a packet can
// be followed from one host to another. Everything of a host is called
// HOST/NAME in it, and a namespace "between" stands for the network that joins
// them. It is pure.
package join

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Of joins snapshots of different hosts, each under its name: hosts' own names
// are often the same, or redacted. What belongs to none of them is left out:
// another host that runs on the same machine is seen by its own snapshot.
func Of(list []*snap.Snapshot, names []string) (*snap.Snapshot, error) {
	if len(list) == 0 || len(list) != len(names) {
		return nil, snap.NotFoundf("no snapshot to join")
	}
	out := &snap.Snapshot{
		Schema: list[0].Schema, Tool: list[0].Tool, Taken: list[0].Taken, Redacted: []string{}, Host: list[0].Host,
		Containers: []snap.Container{}, Networks: []snap.Network{}, Resolvers: []snap.Resolver{}, Probes: []snap.Probe{}, Gaps: []snap.Gap{},
	}
	var hosts []*snap.Netns
	for i, s := range list {
		if s.HostNs() == nil {
			return nil, snap.NotFoundf("the snapshot of %s has no namespace of the host", s.Host.Name)
		}
		p := prefixer{name: called(names[i], out.Hosts), s: s.Clone(), ours: map[string]bool{}}
		out.Hosts = append(out.Hosts, p.name)
		p.into(out)
	}
	out.Host.Name = strings.Join(out.Hosts, " + ")
	out.Host.Netns = out.Hosts[0] + "/" + list[0].Host.Netns
	for i, s := range list {
		hosts = append(hosts, out.Ns(out.Hosts[i]+"/"+s.Host.Netns))
	}
	u := underlay{s: out, hosts: hosts}
	between := u.build()
	out.Netns = append(out.Netns, between)
	// The host's namespace is first.
	snap.Sort(out.Netns, func(a, b snap.Netns) int {
		switch {
		case a.ID == out.Host.Netns:
			return -1
		case b.ID == out.Host.Netns:
			return 1
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out, nil
}

// called is a host's name, made different from the others'.
func called(name string, others []string) string {
	if name = strings.ReplaceAll(name, "/", "_"); name == "" {
		name = "host"
	}
	for n, base := 2, name; slices.Contains(others, name) || name == Between; n++ {
		name = fmt.Sprintf("%s.%d", base, n)
	}
	return name
}

// prefixer puts a host's name before everything that is called by a name.
type prefixer struct {
	name string
	s    *snap.Snapshot
	ours map[string]bool // namespaces that are kept
}

// ns is what a namespace is called, "" when it is left out.
func (p *prefixer) ns(id string) string {
	if !p.ours[id] {
		return ""
	}
	return p.name + "/" + id
}

func (p *prefixer) into(out *snap.Snapshot) {
	for i := range p.s.Netns {
		n := &p.s.Netns[i]
		p.ours[n.ID] = n.Class.Ours() && !n.Light
	}
	for i := range p.s.Netns {
		if n := &p.s.Netns[i]; p.ours[n.ID] {
			p.netns(n)
			out.Netns = append(out.Netns, *n)
		}
	}
	for _, c := range p.s.Containers {
		c.Ref, c.Name, c.Netns = p.name+"/"+c.Ref, p.name+"/"+c.Name, p.ns(c.Netns)
		out.Containers = append(out.Containers, c)
	}
	for _, n := range p.s.Networks {
		n.Ref = p.name + "/" + n.Ref
		out.Networks = append(out.Networks, n)
	}
	for _, r := range p.s.Resolvers {
		r.Owner, r.Netns = p.name+"/"+r.Owner, p.ns(r.Netns)
		out.Resolvers = append(out.Resolvers, r)
	}
	for _, g := range p.s.Gaps {
		if g.Netns == "" || p.ours[g.Netns] {
			g.Netns, g.Ref = p.ns(g.Netns), ""
			out.Gaps = append(out.Gaps, g)
		}
	}
	out.Engines = append(out.Engines, p.s.Engines...)
	for _, r := range p.s.Redacted {
		if !slices.Contains(out.Redacted, r) {
			out.Redacted = append(out.Redacted, r)
		}
	}
}

func (p *prefixer) netns(n *snap.Netns) {
	n.ID, n.Path, n.RouteAnswers = p.name+"/"+n.ID, "", nil
	for i := range n.Names {
		n.Names[i] = p.name + "/" + n.Names[i]
	}
	for i := range n.Containers {
		n.Containers[i] = p.name + "/" + n.Containers[i]
	}
	for k, id := range n.NSIDs {
		n.NSIDs[k] = p.ns(id)
	}
	for i := range n.Links {
		l := &n.Links[i]
		if l.PeerNetns == "" {
			continue
		}
		if l.PeerNetns = p.ns(l.PeerNetns); l.PeerNetns == "" {
			l.Peer, l.PeerNSID = 0, -1
		}
	}
}
