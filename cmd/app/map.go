package app

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// MapOptions are those of map.
type MapOptions struct {
	Common
	From, To string // the path to highlight; "" none
}

// Map draws what is connected to what, with what is wrong where.
func (a *App) Map(ctx context.Context, o MapOptions) (*v1.MapResult, error) {
	start := a.now()
	s, err := a.snapshot(ctx, o.Common)
	if err != nil {
		return nil, err
	}
	o.NoProbe = o.NoProbe || o.From == ""
	ex, err := a.examine(ctx, s, nil, diag.Options{}, Common{Snapshot: o.Snapshot, NoProbe: true})
	if err != nil {
		return nil, err
	}
	res := a.mapOf(s, tail(ex.in.Snap, diag.Run(ex.in, a.Checks)), o.Snapshot)
	if o.From != "" {
		t := &tracer{a: a, c: o.Common, s: s}
		tr, err := t.trace(ctx, TraceOptions{From: o.From, To: o.To})
		if err != nil {
			return nil, err
		}
		res.Path = onMap(s, res.Nodes, tr)
	}
	res.Head = a.head(v1.KindMap, start)
	return res, nil
}

// mapOf places everything that is this host's.
func (a *App) mapOf(s *snap.Snapshot, t v1.Tail, file string) *v1.MapResult {
	res := &v1.MapResult{Host: hostInfo(s, file), Tail: t}
	m := &mapper{s: s, findings: t.Findings}
	m.hostNodes()
	for i := range s.Networks {
		m.network(&s.Networks[i])
	}
	m.rest()
	res.Nodes = m.nodes
	return res
}

type mapper struct {
	s        *snap.Snapshot
	findings []v1.Finding
	nodes    []v1.MapNode
}

// add places a node; names are what findings may call it.
func (m *mapper) add(n v1.MapNode, names ...string) {
	names = slices.DeleteFunc(names, func(s string) bool { return s == "" })
	for i := range m.findings {
		f := &m.findings[i]
		about := slices.Contains(names, f.Subject.Name) || n.Kind != "host" && n.Netns != "" && n.Netns != m.s.Host.Netns && f.Subject.Netns == n.Netns
		if f.Subject.Name == "" && n.Kind == "host" {
			about = true
		}
		if !about {
			continue
		}
		if !slices.Contains(n.Findings, f.Code) {
			n.Findings = append(n.Findings, f.Code)
		}
		if diag.Severity(f.Severity).Rank() > diag.Severity(n.Severity).Rank() || n.Severity == "" {
			n.Severity = f.Severity
		}
	}
	m.nodes = append(m.nodes, n)
}

func (m *mapper) hostNodes() {
	m.nodes = append(m.nodes, v1.MapNode{ID: "internet", Kind: "internet", Name: "internet"})
	host := m.s.HostNs()
	node := v1.MapNode{ID: "host", Kind: "host", On: "internet", Name: cmp.Or(m.s.Host.Name, "host"), Netns: m.s.Host.Netns, State: "up"}
	m.add(node, "host", m.s.Host.Name)
	if host == nil {
		return
	}
	for _, l := range diag.Uplinks(m.s) {
		up := v1.MapNode{ID: "uplink:" + l.Name, Kind: "uplink", On: "internet", Name: l.Name, Netns: host.ID, Device: l.Name, State: upDown(l)}
		for _, a := range host.AddrsOf(l.Index) {
			if a.Scope == "global" {
				up.Addresses = append(up.Addresses, a.Prefix.String())
			}
		}
		m.add(up, l.Name)
	}
}

func upDown(l *snap.Link) string {
	if l.Up {
		return "up"
	}
	return "down"
}

func (m *mapper) network(n *snap.Network) {
	if n.Driver == "host" || n.Driver == "null" {
		return
	}
	node := v1.MapNode{ID: "network:" + n.Ref, Kind: "network", On: "host", Name: n.Name, Device: cmp.Or(n.Bridge, n.Parent), State: n.Driver}
	if n.Internal {
		node.State += ", internal"
	}
	for _, p := range n.Pools {
		node.Addresses = append(node.Addresses, p.Subnet.String())
	}
	if host := m.s.HostNs(); host != nil && n.Bridge != "" {
		if l := host.Link(n.Bridge); l == nil {
			node.State += ", no bridge"
		} else if !l.Up {
			node.State += ", down"
		}
	}
	m.add(node, n.Name, "net:"+n.Name, n.Ref, n.Bridge)
	for i := range m.s.Containers {
		c := &m.s.Containers[i]
		for j := range c.Endpoints {
			if e := &c.Endpoints[j]; m.s.NetworkOf(c.Engine, e) == n {
				m.container(c, e, node.ID)
			}
		}
	}
}

func (m *mapper) container(c *snap.Container, e *snap.Endpoint, on string) {
	node := v1.MapNode{ID: "container:" + c.Ref + "@" + on, Kind: "container", On: on, Name: c.Name, Netns: c.Netns, State: c.State}
	if e == nil && c.Running() {
		node.State = diag.Joined(", ", node.State, m.without(c))
	}
	if e != nil {
		node.Device = e.HostLink
		for _, p := range []netip.Prefix{e.IPv4, e.IPv6} {
			if p.IsValid() {
				node.Addresses = append(node.Addresses, p.Addr().String())
			}
		}
	}
	for _, p := range c.Ports {
		if t := published(p); !p.HostIP.Is6() && !slices.Contains(node.Ports, t) {
			node.Ports = append(node.Ports, t)
		}
	}
	m.add(node, c.Name, c.Ref)
}

// without says where a container lives that has no network of its own.
func (m *mapper) without(c *snap.Container) string {
	switch {
	case c.Netns == m.s.Host.Netns:
		return "in the host's namespace"
	case c.NetworkMode == "none":
		return "no network"
	}
	for i := range m.s.Containers {
		if o := &m.s.Containers[i]; o != c && o.Netns == c.Netns && c.Netns != "" && len(o.Endpoints) > 0 {
			return "in the namespace of " + o.Name
		}
	}
	return ""
}

// rest are containers on no network of their own, and plain namespaces.
func (m *mapper) rest() {
	for i := range m.s.Containers {
		c := &m.s.Containers[i]
		placed := slices.ContainsFunc(m.nodes, func(n v1.MapNode) bool {
			return n.Kind == "container" && strings.HasPrefix(n.ID, "container:"+c.Ref+"@")
		})
		if !placed {
			m.container(c, nil, "host")
		}
	}
	for i := range m.s.Netns {
		ns := &m.s.Netns[i]
		if ns.Class != snap.ClassAttached || len(ns.Containers) > 0 {
			continue
		}
		node := v1.MapNode{ID: "netns:" + ns.ID, Kind: "netns", On: "host", Name: ns.ID, Netns: ns.ID, State: "up"}
		for _, a := range ns.Addrs {
			if a.Scope == "global" {
				node.Addresses = append(node.Addresses, a.Prefix.String())
			}
		}
		m.add(node, ns.ID)
	}
}

// onMap finds the nodes that a traced packet passes, and where it ends.
func onMap(s *snap.Snapshot, nodes []v1.MapNode, tr *v1.TraceResult) *v1.MapPath {
	p := &v1.MapPath{From: tr.From.Target, To: tr.To.Target, Verdict: tr.Verdict}
	node := func(netns, device string) string {
		dev, _, _ := strings.Cut(device, "→")
		if h := s.HostNs(); netns == s.Host.Netns && h != nil {
			if l := h.Link(dev); l != nil && l.Port != nil && l.Master != 0 { // a bridge's port is the network
				dev = h.LinkAt(l.Master).Name
			}
		}
		best := ""
		for i := range nodes {
			n := &nodes[i]
			switch {
			case netns == s.Host.Netns && n.Device == dev && dev != "" && (n.Kind == "network" || n.Kind == "uplink"):
				return n.ID
			case netns != s.Host.Netns && n.Netns == netns && n.Netns != "":
				if best == "" || onDevice(s, n, dev) {
					best = n.ID
				}
			}
		}
		if best == "" && netns == s.Host.Netns {
			return "host"
		}
		return cmp.Or(best, "internet")
	}
	pass := func(id string) {
		if n := len(p.Nodes); n == 0 || p.Nodes[n-1] != id {
			p.Nodes = append(p.Nodes, id)
		}
	}
	if tr.From.Outside {
		pass("internet")
	}
	for _, list := range [][]v1.Hop{tr.Forward, tr.Reply} {
		for i := range list {
			h := &list[i]
			id := node(h.Netns, h.Device)
			if &list[0] == &tr.Forward[0] {
				pass(id)
			}
			switch h.Verdict {
			case "drop", "reject", "refused", "dropped":
				p.Broken = id
			}
		}
	}
	p.Nodes = through(nodes, p.Nodes)
	if tr.Where != nil && tr.Verdict != "delivered" {
		p.Why = tr.Where.Detail
		if p.Broken == "" && tr.Where.Netns != "" {
			p.Broken = node(tr.Where.Netns, tr.Where.Device)
		}
	}
	if tr.Verdict == "delivered" {
		p.Broken = ""
	} else if len(tr.Findings) > 0 {
		p.Code = tr.Findings[0].Code
	}
	return p
}

// through adds the host between what only it connects, and the network that a
// container is reached by.
func through(nodes []v1.MapNode, ids []string) []string {
	home := func(id string) string {
		for i := range nodes {
			if n := &nodes[i]; n.ID == id && n.On != "" && n.Kind != "network" {
				return n.On
			}
		}
		return id
	}
	uplink := ""
	for i := range nodes {
		if nodes[i].Kind == "uplink" {
			if uplink != "" {
				uplink = "" // which of several it is was not walked
				break
			}
			uplink = nodes[i].ID
		}
	}
	var out []string
	for i, id := range ids {
		if i > 0 {
			a, b := home(ids[i-1]), home(id)
			ends := func(x string) bool { return strings.HasPrefix(x, "network:") || x == "host" }
			if a != b && a != "host" && b != "host" && (ends(a) || ends(b)) {
				out = append(out, "host")
			}
			if a != b && b != id && b != "host" {
				out = append(out, b)
			}
		}
		if n := len(out); n > 0 && out[n-1] == "host" && id == "internet" && uplink != "" {
			out = append(out, uplink)
		}
		out = append(out, id)
	}
	return out
}

// onDevice says whether a container's node is the one of that device in it.
func onDevice(s *snap.Snapshot, n *v1.MapNode, dev string) bool {
	ref, net, ok := strings.Cut(strings.TrimPrefix(n.ID, "container:"), "@network:")
	c := s.Container(ref)
	if !ok || c == nil {
		return false
	}
	return slices.ContainsFunc(c.Endpoints, func(e snap.Endpoint) bool {
		x := s.NetworkOf(c.Engine, &e)
		return e.Link == dev && x != nil && x.Ref == net
	})
}
