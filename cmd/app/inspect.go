package app

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// InspectOptions are those of inspect.
type InspectOptions struct {
	Common
	Target string
}

// Inspect tells everything that is known about one object. It sends nothing.
func (a *App) Inspect(ctx context.Context, o InspectOptions) (*v1.InspectResult, error) {
	start := a.now()
	s, err := a.snapshot(ctx, o.Common)
	if err != nil {
		return nil, err
	}
	t, err := finder{s}.any(o.Target)
	if err != nil {
		return nil, err
	}
	for _, n := range t.Notes {
		a.note("%s", n)
	}
	res := &v1.InspectResult{Subject: v1.Subject{Kind: t.Kind, Name: t.Label(), Netns: t.Netns}}
	var object any
	switch t.Kind {
	case kindContainer:
		object = t.Container
		res.Sections = append(res.Sections, containerFacts(s, t.Container))
		if ns := s.Ns(t.Netns); ns != nil {
			res.Sections = append(res.Sections, netnsFacts(ns)...)
		}
		res.Sections = append(res.Sections, resolverFacts(s, t.Container.Ref)...)
	case kindNetwork:
		object = t.Network
		res.Sections = append(res.Sections, networkFacts(s, t.Network))
	case kindHost, kindNetns:
		ns := s.Ns(t.Netns)
		if ns == nil {
			return nil, Usagef("the namespace of %s was not read", o.Target)
		}
		object = ns
		res.Sections = append(res.Sections, netnsFacts(ns)...)
		res.Sections = append(res.Sections, resolverFacts(s, t.Netns)...)
	case kindAddress:
		sec := a.addressFacts(s, t)
		object = sec
		res.Sections = append(res.Sections, sec)
	default:
		return nil, Usagef("nothing is known about %s but its name", o.Target)
	}
	if res.Object, err = json.Marshal(object); err != nil {
		return nil, fmt.Errorf("writing %s: %w", o.Target, err)
	}
	c := o.Common
	c.NoProbe = true
	if t.Netns != "" {
		only := []string{t.Netns}
		ex, err := a.examine(ctx, s, nil, diag.Options{Only: only}, c)
		if err != nil {
			return nil, err
		}
		r := diag.Run(ex.in, a.Checks)
		r.Findings = touching(s, r.Findings, only)
		res.Tail = tail(s, r)
	}
	res.Head = a.head(v1.KindInspect, start)
	return res, nil
}

// facts collects lines.
type facts struct{ sec v1.Section }

func (f *facts) add(name, format string, args ...any) {
	if v := strings.TrimSpace(fmt.Sprintf(format, args...)); v != "" {
		f.sec.Facts = append(f.sec.Facts, v1.Fact{Name: name, Value: v})
	}
}

func containerFacts(s *snap.Snapshot, c *snap.Container) v1.Section {
	f := facts{v1.Section{Title: "container " + c.Ref}}
	f.add("id", "%s", c.ID)
	f.add("image", "%s", c.Image)
	f.add("state", "%s", diag.Joined(", ", c.State, c.Health, c.Error))
	if c.PID != 0 {
		f.add("pid", "%d", c.PID)
	}
	f.add("netns", "%s", c.Netns)
	f.add("network mode", "%s", c.NetworkMode)
	for i := range c.Endpoints {
		e := &c.Endpoints[i]
		driver := ""
		if n := s.NetworkOf(c.Engine, e); n != nil {
			driver = n.Driver
		}
		var addrs []string
		for _, fam := range []Family{4, 6} {
			if a := endpointAddr(e, fam); a.IsValid() {
				addrs = append(addrs, a.String())
			}
		}
		via := ""
		if e.Gateway4.IsValid() {
			via = "gateway " + e.Gateway4.String()
		}
		links := ""
		if e.Link != "" {
			links = e.Link + " ↔ " + e.HostLink
		}
		f.add("on "+e.Network, "%s", diag.Joined(", ", strings.Join(addrs, " "), driver, via, e.MAC, links, strings.Join(e.Aliases, " ")))
	}
	for _, p := range c.Ports {
		f.add("published", "%s", published(p))
	}
	return f.sec
}

func networkFacts(s *snap.Snapshot, n *snap.Network) v1.Section {
	f := facts{v1.Section{Title: "network " + n.Ref}}
	f.add("id", "%s", n.ID)
	f.add("driver", "%s", diag.Joined(", ", n.Driver, n.Mode, n.Scope))
	f.add("bridge", "%s", n.Bridge)
	f.add("parent", "%s", n.Parent)
	for _, p := range n.Pools {
		gw := ""
		if p.Gateway.IsValid() {
			gw = "gateway " + p.Gateway.String()
		}
		f.add("subnet", "%s", diag.Joined(", ", p.Subnet.String(), gw))
	}
	f.add("internal", "%v", n.Internal)
	f.add("masquerade", "%v", n.Masquerade)
	f.add("containers may talk", "%v", n.ICC)
	f.add("names resolve", "%v", n.DNS)
	if n.MTU != 0 {
		f.add("mtu", "%d", n.MTU)
	}
	for i := range s.Containers {
		c := &s.Containers[i]
		for j := range c.Endpoints {
			if e := &c.Endpoints[j]; s.NetworkOf(c.Engine, e) == n {
				addr := ""
				if e.IPv4.IsValid() {
					addr = e.IPv4.Addr().String()
				}
				f.add("member", "%s", diag.Joined(" ", c.Name, addr, "("+c.State+")"))
			}
		}
	}
	return f.sec
}
