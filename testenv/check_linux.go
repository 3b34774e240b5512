package testenv

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/intent"
	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/driver"
	"github.com/netdoctor/netdoctor/testenv/store"
)

// Check says what is not as it was set up, one line each; nil when all is.
func (h *Host) Check(ctx context.Context) ([]string, error) {
	st, err := h.dir().Load()
	if err != nil {
		return nil, err
	}
	if st == nil {
		return nil, nothing()
	}
	host, err := ns.OpenHost(h.HostNS)
	if err != nil {
		return nil, err
	}
	defer host.Close() //nolint:errcheck // only a descriptor
	now, gaps := kernel.ReadNetns(ctx, host, kernel.Options{NoConntrack: true, Host: true})
	for _, g := range gaps {
		if g.What == "ruleset" && g.Kind != "unsupported" && !strings.Contains(g.Why, "legacy") || g.What == "links" || g.What == "namespace" {
			return nil, snap.Hint(fmt.Errorf("reading the host: %s: %s", g.What, g.Why), g.Needs)
		}
	}
	now.ID = "host"
	want := ideal(st)
	d := &drift{seen: &snap.Snapshot{Host: snap.Host{Netns: "host"}, Netns: []snap.Netns{now}}}
	d.rules(want, &now)
	d.links(st, &now)
	d.containers(ctx, st)
	d.rest(st)
	return d.lines, nil
}

// ideal is the host as the set-up alone would have made it.
func ideal(st *store.State) *snap.Netns {
	s := &snap.Snapshot{Host: snap.Host{Netns: "host"}, Netns: []snap.Netns{{ID: "host", Class: snap.ClassHost, Sysctls: map[string]string{}}}}
	e := st.Env.Env
	e.Host = fixups.Where{ID: "host", Host: true}
	ops := driver.All(&e, st.Env.Frames(), st.Networks, st.Containers)
	for _, op := range fixups.Flat(ops...) {
		if onHost(op) && !fixups.Holds(op, s) {
			_ = op.On(s) // of the rules alone, which hang on nothing else
		}
	}
	return s.HostNs()
}

// onHost says whether an operation is about rules of the host.
func onHost(op fixups.Op) bool {
	switch o := op.(type) {
	case *fixups.RuleInsert:
		return o.Host
	case *fixups.ChainAdd:
		return o.Host
	case *fixups.TableAdd:
		return o.Host
	case *fixups.SetAdd:
		return o.Host
	case *fixups.SetElementAdd:
		return o.Host
	}
	return false
}

// drift collects differences.
type drift struct {
	lines []string
	seen  *snap.Snapshot // what was read, by the names that operations have for places
}

func (d *drift) add(format string, args ...any) {
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

// rules compares chains of ours as a whole, and looks for our rules in others'.
func (d *drift) rules(want, now *snap.Netns) {
	for i := range want.Ruleset.Tables {
		wt := &want.Ruleset.Tables[i]
		nt := now.Ruleset.Table(wt.System, wt.Family, wt.Name)
		if nt == nil {
			d.add("table %s %s is missing", wt.Family, wt.Name)
			continue
		}
		for j := range wt.Chains {
			wc := &wt.Chains[j]
			nc := nt.Chain(wc.Name)
			if nc == nil {
				d.add("chain %s %s is missing", wt.Name, wc.Name)
				continue
			}
			var wanted, there []string
			for k := range wc.Rules {
				wanted = append(wanted, firewall.RuleText(want, wt, wc, &wc.Rules[k]))
			}
			for k := range nc.Rules {
				if t := firewall.RuleText(now, nt, nc, bare(&nc.Rules[k])); slices.Contains(wanted, t) {
					there = append(there, t)
				}
			}
			d.order(wt.Name+" "+wc.Name, wanted, there)
		}
		for j := range wt.Sets {
			ns := nt.Set(wt.Sets[j].Name)
			if ns == nil || len(ns.Elements) < len(wt.Sets[j].Elements) {
				d.add("map %s %s has lost elements", wt.Name, wt.Sets[j].Name)
			}
		}
	}
}

// order compares our rules of a chain; those of others may stand between them.
func (d *drift) order(chain string, wanted, there []string) {
	if slices.Equal(wanted, there) {
		return
	}
	rest := slices.Clone(there)
	whole := true
	for _, w := range wanted {
		i := slices.Index(rest, w)
		if i < 0 {
			d.add("rule is missing in %s: %s", chain, w)
			whole = false
			continue
		}
		rest = slices.Delete(rest, i, i+1)
	}
	switch {
	case len(rest) > 0:
		d.add("rule is there twice in %s: %s", chain, rest[0])
	case whole && !joined(chain):
		d.add("rules of %s are not in their order", chain)
	}
}

// joined says whether a chain's rules stand in the order in which containers
// joined networks, which the state does not tell; none of them depends on it.
func joined(chain string) bool {
	_, name, _ := strings.Cut(chain, " ")
	return name == "raw-PREROUTING" || name == "PREROUTING" || name == "nat-prerouting-and-output" || name == "POSTROUTING" ||
		name == "NETDOCTOR" || strings.HasPrefix(name, "filter-forward-in__") || strings.HasPrefix(name, "nat-postrouting-in__")
}

// bare is a rule without what it counted.
func bare(r *snap.Rule) *snap.Rule {
	c := *r
	c.Exprs = nil
	for _, e := range r.Exprs {
		if _, ok := e.(*snap.Counter); ok {
			e = &snap.Counter{}
		}
		c.Exprs = append(c.Exprs, e)
	}
	return &c
}

// links looks for the host's devices, their state and addresses.
func (d *drift) links(st *store.State, now *snap.Netns) {
	up := func(name, what string) *snap.Link {
		l := now.Link(name)
		switch {
		case l == nil:
			d.add("%s: device %s is missing", what, name)
		case !l.Up:
			d.add("%s: device %s is down", what, name)
		}
		return l
	}
	nets := st.Nets()
	for i := range st.Networks {
		n := &st.Networks[i]
		if n.Net.Bridge == "" {
			continue
		}
		what := "network " + n.Net.Name
		if up(n.Net.Bridge, what) == nil {
			continue
		}
		for _, p := range n.Net.Pools {
			mode := n.Net.GatewayMode4
			if p.Gateway.Is6() {
				mode = n.Net.GatewayMode6
			}
			if _, ok := now.HasAddr(p.Gateway); !ok && mode != "isolated" {
				d.add("%s: gateway %s is not on %s", what, p.Gateway, n.Net.Bridge)
			}
		}
	}
	for i := range st.Containers {
		c := &st.Containers[i]
		for _, ep := range c.Ctr.Endpoints {
			n := nets[ep.Network]
			if n == nil || n.Net.Driver != "bridge" {
				continue
			}
			what := "container " + c.Ctr.Name
			l := up(ep.HostLink, what)
			if br := now.Link(n.Net.Bridge); l != nil && br != nil && l.Master != br.Index {
				d.add("%s: device %s is not on bridge %s", what, ep.HostLink, n.Net.Bridge)
			}
		}
	}
}

// namespaces reads those of our containers, several at a time; nil for one that is
// gone.
func namespaces(ctx context.Context, st *store.State) []*snap.Netns {
	out := make([]*snap.Netns, len(st.Containers))
	var g errgroup.Group
	g.SetLimit(min(runtime.NumCPU(), 8))
	for i := range st.Containers {
		c := &st.Containers[i]
		if c.Foreign || c.Shared() {
			continue
		}
		g.Go(func() error {
			h, err := ns.Open(c.Ctr.SandboxKey)
			if err != nil {
				return nil // it is gone, which is what is to be said
			}
			n, _ := kernel.ReadNetns(ctx, h, kernel.Options{NoConntrack: true})
			_ = h.Close() // only a descriptor
			n.ID = st.Env.Env.Where(c).ID
			out[i] = &n
			return nil
		})
	}
	_ = g.Wait() // none of them fails
	return out
}

// containers looks into the containers: processes, addresses, default routes.
func (d *drift) containers(ctx context.Context, st *store.State) {
	nets := st.Nets()
	read := namespaces(ctx, st)
	for i := range st.Containers {
		c := &st.Containers[i]
		what := "container " + c.Ctr.Name
		if c.Foreign {
			continue
		}
		if c.Ctr.State == "running" && !alive(c.Ctr.PID, c) {
			d.add("%s: its process has ended", what)
		}
		if c.Shared() {
			continue
		}
		n := read[i]
		if n == nil {
			d.add("%s: its namespace is gone", what)
			continue
		}
		d.seen.Netns = append(d.seen.Netns, *n)
		for _, ep := range c.Ctr.Endpoints {
			l := n.Link(ep.Link)
			switch {
			case l == nil:
				d.add("%s: device %s is missing", what, ep.Link)
			case !l.Up:
				d.add("%s: device %s is down", what, ep.Link)
			}
			if _, ok := n.HasAddr(ep.IPv4.Addr()); ep.IPv4.IsValid() && !ok {
				d.add("%s: address %s is missing", what, ep.IPv4)
			}
			if _, ok := n.HasAddr(ep.IPv6.Addr()); ep.IPv6.IsValid() && !ok {
				d.add("%s: address %s is missing", what, ep.IPv6)
			}
		}
		for _, v6 := range []bool{false, true} {
			ep := driver.Gateway(&st.Env.Env, c, nets, v6)
			if ep == nil {
				continue
			}
			via := ep.Gateway4
			if v6 {
				via = ep.Gateway6
			}
			found := false
			for _, r := range n.Routes {
				found = found || r.Dst.Bits() == 0 && r.Gateway == via
			}
			if !found {
				d.add("%s: the default route via %s is missing", what, via)
			}
		}
	}
	for i := range st.Networks {
		if st.Networks[i].Net.Driver == "overlay" {
			d.overlay(ctx, st.Env.Env.OverlayNetns(&st.Networks[i]), st.Networks[i].Net.Name)
		}
	}
	if st.Env.Helper.PID != 0 && !alive(st.Env.Helper.PID, &driver.Container{Start: st.Env.Helper.Start}) {
		d.add("the helper, which answers names and takes connections, has ended")
	}
}

// overlay reads an overlay's namespace.
func (d *drift) overlay(ctx context.Context, w fixups.Where, name string) {
	h, err := ns.Open(w.Path)
	if err != nil {
		d.add("network %s: its namespace is gone", name)
		return
	}
	n, _ := kernel.ReadNetns(ctx, h, kernel.Options{NoRuleset: true, NoConntrack: true})
	_ = h.Close() // only a descriptor
	n.ID = w.ID
	d.seen.Netns = append(d.seen.Netns, n)
}

// rest looks at what is not said in words of its own: settings, ports, peers,
// sockets, and the rules inside containers.
func (d *drift) rest(st *store.State) {
	e := st.Env.Env
	e.Host = fixups.Where{ID: "host", Host: true}
	ops := driver.All(&e, st.Env.Frames(), st.Networks, st.Containers)
	for _, op := range intent.Lost(d.seen, ops) {
		if l, ok := op.(*fixups.LinkSet); ok && l.Name == "lo" { // other devices have words of their own
			d.add("not so any more: %s", op.Describe())
		}
		switch op.(type) {
		case *fixups.SysctlSet, *fixups.PortSet, *fixups.LinkMTU, *fixups.NeighSet, *fixups.FDBSet, *fixups.HelperStart:
			d.add("not so any more: %s", op.Describe())
		}
	}
	for _, set := range intent.OfOps(d.seen, driver.Engine, ops) {
		if x := intent.Diff(d.seen, set); set.Netns != "host" && x.Broken() {
			d.add("rules in %s are incomplete", set.Netns)
		}
	}
}
