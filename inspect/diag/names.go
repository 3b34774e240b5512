package diag

import (
	"iter"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// worldName is asked when a prediction needs any name of the Internet; it is
// never sent as it stands: live questions ask for the root's name servers.
const worldName = "example.com."

// listedName stands for any name of the Internet that the search list is tried
// on first; it is sent with a domain of the list behind it only (RFC 2606: no
// name ends in "example").
const listedName = names.ControlLabel + ".example"

// resolving derives the names that must resolve: on networks with names of
// their own, each member's by its neighbours and one name of the world; in
// other containers and on the host one name of the world.
func (e *expecter) resolving() {
	for n, ms := range e.named() {
		for a := range ms {
			e.name(ms[a], ms[(a+1)%len(ms)].c.NetName(), n)
			for _, alias := range ms[(a+1)%len(ms)].e.Aliases {
				e.name(ms[a], alias, n)
			}
		}
	}
	e.overrides()
	e.services()
	e.clashes()
	e.wanted()
	for i := range e.in.Snap.Containers {
		c := &e.in.Snap.Containers[i]
		if c.State != "running" || c.Netns == "" || e.in.Snap.Resolver(c.Ref) == nil || !e.outward(c) {
			continue
		}
		e.names = append(e.names, NameCase{
			From: c.Name, World: true, Because: []snap.Ref{snap.RefResolver(c.Ref)},
			Ask: NameAsk{Netns: c.Netns, Container: c.Ref, Name: worldName},
		})
		if rc := &e.in.Snap.Resolver(c.Ref).ResolvConf; len(rc.Search) > 0 && rc.Ndots > 1 {
			e.names = append(e.names, NameCase{
				From: c.Name, World: true, Listed: true, Because: []snap.Ref{snap.RefResolver(c.Ref)},
				Ask: NameAsk{Netns: c.Netns, Container: c.Ref, Name: listedName},
			})
		}
	}
	if r := e.in.Snap.Resolver("host"); r != nil && r.ResolvConf.Exists {
		e.names = append(e.names, NameCase{
			From: "host", World: true, Because: []snap.Ref{snap.RefResolver("host")},
			Ask: NameAsk{Netns: e.host.ID, Name: worldName},
		})
	}
}

// named are the networks that have names of their own, with their members.
func (e *expecter) named() iter.Seq2[*snap.Network, []member] {
	return func(yield func(*snap.Network, []member) bool) {
		for i := range e.in.Snap.Networks {
			if n := &e.in.Snap.Networks[i]; n.DNS && !yield(n, e.members(n)) {
				return
			}
		}
	}
}

// overrides: the names of a network's other members that a member's own
// hosts file answers, which is asked before any resolver.
func (e *expecter) overrides() {
	for n, ms := range e.named() {
		for _, m := range ms {
			r := e.in.Snap.Resolver(m.c.Ref)
			if r == nil {
				continue
			}
			for _, l := range r.Hosts {
				for _, name := range l.Names {
					if slices.ContainsFunc(ms, func(o member) bool {
						return o.c != m.c && (strings.EqualFold(o.c.NetName(), name) || slices.Contains(o.e.Aliases, name))
					}) {
						e.name(m, name, n)
					}
				}
			}
		}
	}
}

// services: compose gives each container the name of its service on every
// network; those of one project go by these names. Containers of "compose run"
// are none of the service's.
func (e *expecter) services() {
	for n, ms := range e.named() {
		for _, m := range ms {
			c := m.c
			if c.Project == "" || c.Service == "" || strings.EqualFold(c.Labels["com.docker.compose.oneoff"], "true") {
				continue
			}
			if k := slices.IndexFunc(ms, func(o member) bool { return o.c != c && o.c.Project == c.Project && o.c.Service != c.Service }); k >= 0 {
				e.name(ms[k], c.Service, n)
			}
		}
	}
}

// wanted: names of running containers that another one's settings tell it to
// talk to, wherever they are. Whether the program does is not known, so that
// only what keeps every one of its questions from an answer is a fault of it
// (Bad).
func (e *expecter) wanted() {
	for i := range e.in.Snap.Containers {
		c := &e.in.Snap.Containers[i]
		if c.State != "running" || c.Netns == "" || e.in.Snap.Resolver(c.Ref) == nil {
			continue
		}
		for _, w := range c.Wants {
			if k := slices.IndexFunc(e.names, func(o NameCase) bool { return o.Ask.Container == c.Ref && strings.EqualFold(o.Ask.Name, w.Name) }); k >= 0 {
				e.names[k].Wanted = w.By
				continue
			}
			e.names = append(e.names, NameCase{
				From: c.Name, Wanted: w.By, Because: []snap.Ref{snap.RefContainer(c.Ref)},
				Ask: NameAsk{Netns: c.Netns, Container: c.Ref, Name: w.Name},
			})
		}
	}
}

// outward says whether a container is meant to reach the world at all.
func (e *expecter) outward(c *snap.Container) bool {
	if c.Netns == e.host.ID {
		return false // the host's own case stands for it
	}
	if len(c.Endpoints) == 0 {
		return UserMode(c)
	}
	for i := range c.Endpoints {
		if n := e.in.Snap.NetworkOf(c.Engine, &c.Endpoints[i]); n != nil && n.Outward() && n.Driver != "null" && n.Driver != "none" && !e.gatewayless(n) {
			return true
		}
	}
	return false
}

// resolvesItself says whether a container asks a server of its own that runs in it, such
// as a VPN client's: that knows no neighbour, and need not.
func (e *expecter) resolvesItself(c *snap.Container) bool {
	r, ns := e.in.Snap.Resolver(c.Ref), e.in.Snap.Ns(c.Netns)
	if r == nil || ns == nil {
		return false
	}
	for _, at := range r.ResolvConf.Nameservers {
		if at.IsLoopback() && at != snap.DockerResolver() && slices.ContainsFunc(ns.Sockets, func(s snap.Socket) bool {
			return s.Proto == snap.UDP && s.Local.Port() == 53 && TakesAddr(&s, at)
		}) {
			return true
		}
	}
	return false
}

func (e *expecter) name(m member, name string, n *snap.Network) {
	if name == "" || strings.ContainsAny(name, " \x00") || e.resolvesItself(m.c) {
		return
	}
	if slices.ContainsFunc(e.names, func(o NameCase) bool { return o.Ask.Container == m.c.Ref && o.Ask.Name == name }) {
		return
	}
	e.names = append(e.names, NameCase{
		From: m.c.Name, Because: []snap.Ref{snap.RefNetwork(n.Ref)},
		Ask: NameAsk{Netns: m.c.Netns, Container: m.c.Ref, Name: name},
	})
}

// path follows one name.
func (in *Input) path(n *NameCase) *names.Path {
	p := names.Resolve(in.named(n))
	return &p
}

func (in *Input) named(n *NameCase) names.Input {
	return names.Input{
		Snap: in.Snap, Netns: n.Ask.Netns, Container: n.Ask.Container, Name: n.Ask.Name, Type: n.Ask.Type,
		TCP: n.Ask.TCP, Server: n.Ask.Server, Reach: in.reach,
	}
}

// Misnamed are the servers that gave another answer than was predicted for a name.
func (in *Input) Misnamed(n *NameCase) []names.Contradiction {
	if n.World || n.Path == nil {
		return nil
	}
	return names.Reconcile(in.named(n)).Contradictions
}

// reach asks the simulator whether a question to a server, and its answer, get
// through as far as this host goes.
func (in *Input) reach(netns string, server netip.AddrPort, proto snap.Proto) names.Reach {
	key := reachKey{netns, server, proto}
	if r, ok := in.reached[key]; ok {
		return r
	}
	f := FlowCase{Kind: "upstream", From: in.Who(netns), Flow: sim.Flow{From: netns, Dst: server.Addr(), Dport: server.Port(), Proto: proto}}
	f.Trace = in.World.Trace(f.Flow)
	r := names.Reach{Known: f.Works() || f.Broken(), OK: f.Works(), Refused: f.Trace.Verdict == sim.Refused}
	r.Unsent = unsent(&f)
	r.Spared = in.Spared(&f)
	if w := f.Trace.Where; w != nil && !r.OK {
		r.Why = w.Detail
		if ns, who := in.Snap.Ns(w.Netns), in.Who(w.Netns); ns != nil && !ns.Class.Ours() && !strings.Contains(w.Detail, who) {
			r.Why += " in " + who + ", beyond this host"
		}
		r.Because = []snap.Ref{w.Ref}
	}
	r.Ends, r.By = sentElsewhere(f.Trace, server)
	in.reached[key] = r
	return r
}

// unsent says whether the sender's own kernel refuses to send what a flow begins with.
func unsent(f *FlowCase) bool {
	w := f.Trace.Where
	return f.Broken() && w != nil && w.Netns == f.Flow.From && !w.Reply &&
		slices.Contains([]sim.Cause{sim.CauseNoRoute, sim.CauseReject, sim.CauseRejectRule, sim.CauseIPv6Off, sim.CauseSelfSource}, w.Cause)
}

// sentElsewhere is where a rule sends a question that was meant for a server; not valid
// where none does. Engines' own resolvers are asked at another port of the same
// address.
func sentElsewhere(t *sim.Trace, server netip.AddrPort) (netip.AddrPort, *rules.Place) {
	for i := range t.NATed {
		n := &t.NATed[i]
		if n.Src || n.Place.Rule == nil {
			continue
		}
		to := netip.AddrPortFrom(n.AddrMin, n.PortMin)
		switch {
		case t.Arrived != "":
			to = t.ArrivedAs
		case t.LeftHost != "":
			to = t.ExitDst
		case !to.Addr().IsValid():
			to = netip.AddrPortFrom(server.Addr(), n.PortMin)
		}
		if to.Port() == 0 {
			to = netip.AddrPortFrom(to.Addr(), server.Port())
		}
		if to != server && (to.Addr() != server.Addr() || !server.Addr().IsLoopback()) {
			return to, n.Place
		}
	}
	return netip.AddrPort{}, nil
}

// Reaches says whether the model lets questions to a name server through.
func (in *Input) Reaches(netns string, server netip.AddrPort) bool {
	r := in.reach(netns, server, snap.UDP)
	return r.Known && r.OK
}

type reachKey struct {
	netns  string
	server netip.AddrPort
	proto  snap.Proto
}

// Bad says whether the name does not resolve as it should, as far as is known.
func (n *NameCase) Bad() bool {
	if n.Path == nil || n.Path.Problem == nil {
		return false
	}
	if n.Wanted != "" && !n.Asked && len(n.Because) > 0 && n.Because[0] == snap.RefContainer(n.Ask.Container) {
		// It stands in a setting alone: a name that nobody here has may be unused.
		switch n.Path.Problem.Kind {
		case names.NotShared, names.DefaultBridge, names.AliasMissing:
			return n.Path.Verdict != names.Resolved
		}
		return false
	}
	switch n.Path.Verdict {
	case names.Resolved:
		switch n.Path.Problem.Kind {
		case names.HostsOverride, names.FirstServerDead, names.HalfSilent, names.BadSearch, names.SlowSearch:
			return true
		}
		return false
	case names.Unknown:
		return n.Path.Problem.Kind != ""
	}
	return true
}
