package app

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Lists are what ls can list; the first is what it lists when nothing is said.
func Lists() []string {
	return []string{"containers", "networks", "netns", "ports", "engines", "gaps", "checks"}
}

// ListOptions are those of ls.
type ListOptions struct {
	Common
	Of  string // one of Lists; "" the first
	All bool   // also namespaces that have nothing to do with this host
}

// List lists what there is.
func (a *App) List(ctx context.Context, o ListOptions) (*v1.ListResult, error) {
	start := a.now()
	if o.Of == "" {
		o.Of = Lists()[0]
	}
	if !slices.Contains(Lists(), o.Of) {
		return nil, Meant(Usagef("%q can't be listed", o.Of), o.Of, Lists(), "one of "+strings.Join(Lists(), ", "))
	}
	res := &v1.ListResult{Of: o.Of}
	if o.Of == "checks" {
		for i := range a.Checks {
			c := &a.Checks[i]
			res.Items = append(res.Items, v1.Item{Kind: "check", Name: c.Name, ID: string(c.Code), State: string(c.Severity), Detail: c.Title})
		}
		res.Head = a.head(v1.KindList, start)
		return res, nil
	}
	s, err := a.snapshot(ctx, o.Common)
	if err != nil {
		return nil, err
	}
	switch o.Of {
	case "containers":
		res.Items = containers(s)
	case "networks":
		res.Items = networks(s)
	case "netns":
		items, left := namespaces(s, o.All)
		res.Items = items
		if left > 0 {
			a.note("%d more have no link to this host: --all", left)
		}
	case "ports":
		res.Items = ports(s)
	case "engines":
		for i := range s.Engines {
			e := &s.Engines[i]
			state := "answers"
			switch {
			case e.Remote:
				state = "elsewhere"
			case !e.Reachable:
				state = "silent"
			}
			res.Items = append(res.Items, v1.Item{Kind: "engine", Name: e.Name, ID: e.Version, State: state, Detail: diag.Joined("; ", e.Endpoint, e.Rules, e.Error)})
		}
	case "gaps":
		said := map[snap.Gap]bool{}
		for _, g := range s.Gaps {
			if said[g] { // each question by which it was met
				continue
			}
			said[g] = true
			res.Items = append(res.Items, v1.Item{Kind: "gap", Name: g.What, State: g.Kind, Netns: g.Netns, Detail: diag.Joined("; ", g.Why, g.Needs)})
		}
	}
	res.Coverage.Skipped = gaps(s)
	res.Head = a.head(v1.KindList, start)
	return res, nil
}

func containers(s *snap.Snapshot) []v1.Item {
	count := map[string]int{}
	for i := range s.Containers {
		count[s.Containers[i].Name]++
	}
	var out []v1.Item
	for i := range s.Containers {
		c := &s.Containers[i]
		it := v1.Item{Kind: "container", Name: c.Name, Target: c.Ref, ID: short(c.ID), State: c.State, Netns: c.Netns, Detail: c.Image}
		if count[c.Name] > 1 {
			it.Name = c.Ref
		}
		for j := range c.Endpoints {
			e := &c.Endpoints[j]
			it.Networks = append(it.Networks, e.Network)
			for _, a := range []netip.Prefix{e.IPv4, e.IPv6} {
				if a.IsValid() {
					it.Addresses = append(it.Addresses, a.Addr().String())
				}
			}
		}
		if len(it.Networks) == 0 && c.NetworkMode != "" {
			it.Networks = append(it.Networks, c.NetworkMode)
		}
		for _, p := range c.Ports {
			it.Ports = append(it.Ports, published(p))
		}
		out = append(out, it)
	}
	return out
}

// published prints a published port.
func published(p snap.Port) string {
	return fmt.Sprintf("%s→%d/%s", netip.AddrPortFrom(p.HostIP, p.HostPort), p.ContainerPort, p.Proto)
}

func networks(s *snap.Snapshot) []v1.Item {
	var out []v1.Item
	for i := range s.Networks {
		n := &s.Networks[i]
		it := v1.Item{Kind: "network", Name: n.Name, Target: "net:" + n.Name, ID: short(n.ID), State: n.Driver, Detail: diag.Joined("; ", n.Bridge, n.Parent)}
		if n.Internal {
			it.Detail = diag.Joined("; ", it.Detail, "internal")
		}
		for _, p := range n.Pools {
			it.Addresses = append(it.Addresses, p.Subnet.String())
		}
		for j := range s.Containers {
			c := &s.Containers[j]
			for k := range c.Endpoints {
				if s.NetworkOf(c.Engine, &c.Endpoints[k]) == n {
					it.Networks = append(it.Networks, c.Name)
				}
			}
		}
		out = append(out, it)
	}
	return out
}

// namespaces lists them, foreign ones only with all; left counts those left out.
func namespaces(s *snap.Snapshot, all bool) (out []v1.Item, left int) {
	for i := range s.Netns {
		ns := &s.Netns[i]
		if ns.Class == snap.ClassForeign && !all {
			left++
			continue
		}
		it := v1.Item{Kind: "netns", Name: ns.ID, Target: "netns:" + ns.ID, ID: fmt.Sprint(ns.Inode), State: string(ns.Class), Netns: ns.ID, Detail: ns.Path}
		for _, a := range ns.Addrs {
			if l := ns.LinkAt(a.Index); l != nil && !l.Loopback && !a.Prefix.Addr().IsLinkLocalUnicast() {
				it.Addresses = append(it.Addresses, l.Name+" "+a.Prefix.String())
			}
		}
		out = append(out, it)
	}
	return out, left
}

// ports lists published ports, and who listens in the host's namespace.
func ports(s *snap.Snapshot) []v1.Item {
	var out []v1.Item
	for i := range s.Containers {
		c := &s.Containers[i]
		for _, p := range c.Ports {
			out = append(out, v1.Item{Kind: "port", Name: published(p), Target: fmt.Sprintf("host:%d/%s", p.HostPort, p.Proto), State: c.State, Netns: c.Netns, Detail: "published by " + c.Ref})
		}
	}
	host := s.HostNs()
	if host == nil {
		return out
	}
	for i := range host.Sockets {
		k := &host.Sockets[i]
		out = append(out, v1.Item{Kind: "port", Name: fmt.Sprintf("%s/%s", k.Local, k.Proto), Target: fmt.Sprintf("host:%d/%s", k.Local.Port(), k.Proto), State: "listens", Netns: host.ID, Detail: k.Holder("nobody known")})
	}
	return out
}

// short is the beginning of an ID that engines print.
func short(id string) string {
	if len(id) > 12 && isHex(id) {
		return id[:12]
	}
	return id
}
