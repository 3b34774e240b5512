package diff

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func (d *differ) engines() {
	pair(d.a.Engines, d.b.Engines, func(e *snap.Engine) string { return e.Name }, func(name string, x, y *snap.Engine) {
		c := Change{Sign: "~", Noun: "engine", Name: name, Ref: snap.RefEngine(name)}
		switch {
		case y == nil:
			c.Sign, c.Text = "-", name+" is gone"
		case x == nil:
			c.Sign, c.Text = "+", name+" is new"
		case x.Reachable && !y.Reachable:
			c.Text = fmt.Sprintf("%s does not answer any more: %s", name, y.Error)
		case !x.Reachable && y.Reachable:
			c.Text = name + " answers again"
		case x.Version != y.Version:
			c.Text = fmt.Sprintf("%s %s → %s", name, x.Version, y.Version)
		case x.Rules != y.Rules:
			c.Text = fmt.Sprintf("%s writes its rules as %s, not as %s", name, y.Rules, x.Rules)
		default:
			return
		}
		d.add(c)
	})
}

func (d *differ) networks() {
	pair(d.a.Networks, d.b.Networks, func(n *snap.Network) string { return n.Ref }, func(ref string, x, y *snap.Network) {
		if y == nil || x == nil {
			c := Change{Sign: "-", Noun: "network", Name: ref, Text: fmt.Sprintf("network %s is gone", ref), Ref: snap.RefNetwork(ref)}
			if x == nil {
				c.Sign, c.Text = "+", fmt.Sprintf("network %s is new: %s %s", ref, y.Driver, strings.Join(pools(y), ", "))
			}
			d.add(c)
			return
		}
		if x.ID != y.ID {
			d.add(Change{Sign: "~", Noun: "network", Name: ref, Text: fmt.Sprintf("network %s was made anew", ref), Ref: snap.RefNetwork(ref)})
		}
		for _, f := range []struct{ what, a, b string }{
			{"driver", x.Driver, y.Driver},
			{"bridge", x.Bridge, y.Bridge},
			{"parent", x.Parent, y.Parent},
			{"subnets", strings.Join(pools(x), ", "), strings.Join(pools(y), ", ")},
			{"internal", onOff(x.Internal), onOff(y.Internal)},
			{"masquerade", onOff(x.Masquerade), onOff(y.Masquerade)},
			{"traffic among containers", onOff(x.ICC), onOff(y.ICC)},
			{"mtu", fmt.Sprint(x.MTU), fmt.Sprint(y.MTU)},
		} {
			if f.a != f.b {
				d.add(Change{Sign: "~", Noun: "network", Name: ref, Text: fmt.Sprintf("%s of network %s: %s → %s", f.what, ref, or(f.a), or(f.b)), Ref: snap.RefNetwork(ref)})
			}
		}
	})
}

func or(t string) string {
	if t == "" {
		return "none"
	}
	return t
}

func pools(n *snap.Network) (out []string) {
	for _, p := range n.Pools {
		t := p.Subnet.String()
		if p.Gateway.IsValid() {
			t += " gateway " + p.Gateway.String()
		}
		out = append(out, t)
	}
	return out
}

func (d *differ) containers() {
	pair(d.a.Containers, d.b.Containers, func(c *snap.Container) string { return c.Ref }, func(ref string, x, y *snap.Container) {
		say := func(sign string, loses bool, format string, args ...any) {
			d.add(Change{Sign: sign, Noun: "container", Name: ref, Text: fmt.Sprintf(format, args...), Ref: snap.RefContainer(ref), Loses: loses})
		}
		one := func(sign, format string, args ...any) { say(sign, false, format, args...) }
		switch {
		case y == nil:
			say("-", true, "container %s is gone", ref)
			return
		case x == nil:
			one("+", "container %s is new (%s)", ref, y.State)
			return
		case x.ID != y.ID:
			one("~", "container %s was made anew", ref)
		}
		if x.State != y.State {
			why := ""
			if y.State == "exited" {
				why = fmt.Sprintf(" (code %d)", y.ExitCode)
			}
			say("~", x.Running(), "%s %s → %s%s", ref, x.State, y.State, why)
		}
		if x.Health != y.Health && x.State == y.State {
			one("~", "health of %s: %s → %s", ref, or(x.Health), or(y.Health))
		}
		pair(x.Endpoints, y.Endpoints, func(e *snap.Endpoint) string { return e.Network }, func(net string, p, q *snap.Endpoint) {
			switch {
			case q == nil:
				say("~", true, "%s left network %s", ref, net)
			case p == nil:
				one("~", "%s joined network %s", ref, net)
			case p.IPv4 != q.IPv4 && p.IPv4.IsValid() && q.IPv4.IsValid():
				one("~", "address of %s on %s: %s → %s", ref, net, p.IPv4.Addr(), q.IPv4.Addr())
			}
		})
		gone, come := lists(ports(x), ports(y))
		for _, p := range gone {
			say("~", true, "%s does not publish %s any more", ref, p)
		}
		for _, p := range come {
			one("~", "%s publishes %s now", ref, p)
		}
	})
}

func ports(c *snap.Container) (out []string) {
	for _, p := range c.Ports {
		out = append(out, fmt.Sprintf("%s→%d/%s", netip.AddrPortFrom(p.HostIP, p.HostPort), p.ContainerPort, p.Proto))
	}
	slices.Sort(out)
	return slices.Compact(out)
}
