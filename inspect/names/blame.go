package names

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// blame chooses the problem to name first: a resolver of this host that is
// broken; then what the name itself is about (a container elsewhere, or
// stopped); then servers. Everything else goes to Others.
func (w *walker) blame(p *Path, res outcome) {
	list := slices.Clone(res.problems)
	p.Others = append(p.Others, res.remarks...)
	if p.Verdict != Resolved && p.Verdict != Unknown && res.own != "" {
		p.Verdict = res.own // Libc says what programs get
	}
	if x := w.onlySix(p); x != nil && res.dns {
		list = append(list, *x)
	}
	if f := w.fallback(); f != nil && res.dns {
		list = append(list, *f)
	}
	if x := w.partly(p); x != nil && res.dns {
		list = append(list, *x)
	}
	if p.Verdict == Resolved {
		if o := w.override(res); o != nil {
			p.Problem = o
		}
		for _, x := range list {
			if p.Problem == nil && (x.Kind == FirstServerDead || x.Kind == HalfSilent || x.Kind == SlowSearch || x.Kind == BadSearch) {
				p.Problem = &x
				continue
			}
			p.Others = appendProblem(p.Others, x)
		}
		if x := w.disagree(p); x != nil {
			p.Others = appendProblem(p.Others, *x)
		}
		return
	}
	about := w.about(p, res)
	if x := w.disagree(p); x != nil && about == nil {
		about = x
	}
	if about != nil {
		list = append(list, *about)
	}
	if p.Verdict != Unknown && res.dns && about == nil && !slices.ContainsFunc(list, func(x Problem) bool { return rank(x.Kind) <= 3 }) {
		list = append(list, w.noSuchName(p, res))
	}
	best := -1
	for i, x := range list {
		if p.Verdict == Unknown && w.harmless(x) {
			continue
		}
		if best < 0 || rank(x.Kind) < rank(list[best].Kind) {
			best = i
		}
	}
	for i, x := range list {
		if i == best {
			p.Problem = &x
			continue
		}
		if x.Kind == BadSearch && best >= 0 && rank(list[best].Kind) <= 3 {
			continue // no server answered: the search list is not to blame
		}
		p.Others = appendProblem(p.Others, x)
	}
}

// harmless: with an answer still open, a server that was passed over without
// waiting, or a fallback, need not keep the name from resolving.
func (w *walker) harmless(p Problem) bool {
	switch p.Kind {
	case GoogleFallback, BadSearch, UpstreamDead, SilentForName, UpstreamRefuses, TooLate, Unreachable, LoopbackStub:
		return true
	}
	return false
}

// rank orders kinds: the smaller, the nearer to the root.
func rank(kind string) int {
	switch kind {
	case LoDown, DNATMissing, DNATDeadPort, SocketGone, EngineHung, AardvarkDead, Port53Taken, Diverted, ForwardLoop, NoNameserver, NoDNSSource, NoFilesSource, HostsOverride:
		return 0
	case NotShared, DefaultBridge, NotRunning, AliasMissing, BypassesEmbedded, ServersDiffer, OnlyIPv6, NoSuchName:
		return 1 // NoSuchName comes with none of the others
	case GoogleFallback, LoopbackStub, InternalNetwork, UpstreamMissing:
		return 2
	case Unreachable, UpstreamDead, SilentForName, UpstreamRefuses, BigAnswersLost, TooLate:
		return 3
	case FirstServerDead, SlowSearch, HalfSilent:
		return 4
	}
	return 5
}

func appendProblem(list []Problem, p Problem) []Problem {
	for _, x := range list {
		if x.Kind == p.Kind && x.Server == p.Server && x.Detail == p.Detail {
			return list
		}
	}
	return append(list, p)
}

// about finds the container that the name belongs to, and says why the asker
// does not get it; nil when the name is nobody's here.
func (w *walker) about(p *Path, res outcome) *Problem {
	if w.typ != "A" && w.typ != "AAAA" || !res.dns {
		return nil
	}
	nets := w.networks()
	var best *Problem
	mine := false // it is about one of the asker's own project
	for i := range w.s.Containers {
		c := &w.s.Containers[i]
		if c.Engine == "named" || c.Engine == "pid" || w.box != nil && c.Engine != w.box.Engine || !w.answersTo(c, w.in.Name) {
			continue
		}
		x := w.aboutOwner(c, nets)
		if own := w.ofProject(c); x != nil && (best == nil || own && !mine || own == mine && best.Kind == NotRunning && x.Kind != NotRunning) {
			best, mine = x, own
		}
	}
	if x := w.aliasMissing(nets); x != nil && (best == nil || !mine && w.ofProject(w.s.Container(x.Container))) {
		best = x
	}
	if given := w.given(w.box); best == nil && given != "" {
		best = &Problem{
			Kind: NoSuchName, Ref: w.refResolver(), Because: w.because(),
			Detail: w.who() + " was given that name by --add-host " + given + ", but its /etc/hosts has no address for it",
		}
	}
	if best == nil && fold(w.in.Name) == "host.docker.internal" && w.box != nil {
		// docs.docker.com, dockerd: host-gateway
		best = &Problem{
			Kind: NoSuchName, Ref: w.refResolver(), Because: w.because(),
			Detail: "only Docker Desktop gives that name by itself; on Linux it is there in containers that were started with --add-host host.docker.internal:host-gateway (extra_hosts:), and " + w.who() + " was not",
		}
	}
	if best == nil && w.oneLabel() && slices.ContainsFunc(res.problems, func(x Problem) bool { return x.Kind == UpstreamRefuses }) {
		x := w.noSuchName(p, res) // no server of the world has such a name, whatever it says
		best = &x
	}
	if best == nil && res.nobody && !strings.Contains(fold(w.in.Name), ".") {
		// Searched in vain for a candidate of the search list, perhaps: the name
		// as it stands may be there.
		if _, there := w.record(nets, w.in.Name); !there {
			x := w.noSuchName(p, res)
			best = &x
		}
	}
	return best
}

// bypasses says that the asker's resolv.conf names none of the servers of its own
// networks, which alone know the neighbour; nil when it names one, or a server in
// the container itself.
func (w *walker) bypasses(p *Problem, c *snap.Container, nets places) *Problem {
	have := w.r.ResolvConf.Nameservers
	if len(have) == 0 || len(w.box.DNS) > 0 || slices.ContainsFunc(have, netip.Addr.IsLoopback) {
		return nil
	}
	for _, n := range nets {
		if len(n.net.DNSServers) == 0 || slices.ContainsFunc(n.net.DNSServers, func(a netip.Addr) bool { return slices.Contains(have, a) }) {
			return nil
		}
	}
	if len(nets) == 0 {
		return nil
	}
	p.Kind, p.Ref = BypassesEmbedded, w.refResolver()
	p.Because = append(p.Because, w.refResolver())
	p.Detail = fmt.Sprintf("resolv.conf of %s says nameserver %s, not %s: the resolver of network %s, which knows %s, is never asked",
		w.who(), have[0], nets[0].net.DNSServers[0], nets[0].net.Name, c.Name)
	return p
}

// aboutOwner says why a container that has the name does not answer to it here.
func (w *walker) aboutOwner(c *snap.Container, nets places) *Problem {
	p := &Problem{Container: c.Ref, Ref: snap.RefContainer(c.Ref), Because: []snap.Ref{snap.RefContainer(c.Ref)}}
	var on []string
	shared := false
	for j := range c.Endpoints {
		n := w.s.NetworkOf(c.Engine, &c.Endpoints[j])
		on = append(on, c.Endpoints[j].Network)
		if n == nil {
			continue
		}
		if n.DNS && !n.Default && p.Network == "" {
			p.Network = n.Ref
		}
		shared = shared || nets.has(n)
	}
	where := "no network"
	if len(on) > 0 {
		where = "network " + strings.Join(on, ", ")
	}
	if id, ok := strings.CutPrefix(c.NetworkMode, "container:"); ok && c.Running() {
		for i := range w.s.Containers {
			if o := &w.s.Containers[i]; o.Engine == c.Engine && o.Running() && o.Netns == c.Netns && (o.Name == id || strings.HasPrefix(o.ID, id)) {
				p.Kind = NotShared
				p.Detail = fmt.Sprintf("%s lives in the network namespace of %s (network_mode container:) and has no name of its own: %s answers for it, at the same ports", c.Name, o.Name, o.Name)
				return p
			}
		}
	}
	switch {
	case !c.Running():
		p.Kind = NotRunning
		p.Detail = fmt.Sprintf("%s is %s, not running: only running containers have a name", c.Name, c.State)
	case w.box == nil || w.ns.ID == w.s.Host.Netns:
		p.Kind = NotShared
		p.Detail = fmt.Sprintf("%s is on %s: its name is answered to containers there, not to %s", c.Name, where, w.who())
	case shared && w.embeddedWanted() && !slices.Contains(w.r.ResolvConf.Nameservers, snap.DockerResolver()):
		if len(w.r.ResolvConf.Nameservers) == 0 {
			return nil
		}
		p.Kind, p.Ref = BypassesEmbedded, w.refResolver()
		p.Because = append(p.Because, w.refResolver())
		p.Detail = fmt.Sprintf("resolv.conf of %s says nameserver %s, not 127.0.0.11: the engine's resolver, which knows %s, is never asked",
			w.who(), w.r.ResolvConf.Nameservers[0], c.Name)
	case shared:
		return w.bypasses(p, c, nets)
	case len(w.box.Endpoints) == 0 && w.box.NetworkMode != "host" && w.box.NetworkMode != "none":
		p.Kind = NotShared
		p.Detail = fmt.Sprintf("%s is not connected to any network; %s is on %s", w.who(), c.Name, where)
		p.Because = append(p.Because, snap.RefContainer(w.box.Ref))
	case len(nets) == 0:
		p.Kind = DefaultBridge
		mine := "is on no network with names"
		if len(w.box.Endpoints) > 0 {
			mine = "is on the default network " + w.box.Endpoints[0].Network + ", where names are not answered"
			if n := w.s.NetworkOf(w.box.Engine, &w.box.Endpoints[0]); n != nil && !n.Default {
				mine = "is on network " + n.Name + ", which was made without DNS"
			}
		}
		if len(on) == 0 || p.Network == "" {
			p.Detail = fmt.Sprintf("%s %s, and %s is on %s: names need a user-defined network that both are on", w.who(), mine, c.Name, where)
		} else {
			p.Detail = fmt.Sprintf("%s %s; %s is on user-defined %s, which %s is not connected to", w.who(), mine, c.Name, where, w.who())
		}
	default:
		p.Kind = NotShared
		p.Detail = fmt.Sprintf("%s is on %s, %s on network %s: they share no network", c.Name, where, w.who(), strings.Join(nets.names(), ", "))
	}
	return p
}

// aliasMissing: a compose service of that name runs on a shared network, and
// its container does not answer to it.
func (w *walker) aliasMissing(nets places) *Problem {
	if _, there := w.record(nets, w.in.Name); there {
		return nil // it does, and is not asked
	}
	var best *Problem
	for i := range w.s.Containers {
		c := &w.s.Containers[i]
		if w.box == nil || c.Engine != w.box.Engine || !Same(c.Service, w.in.Name) || !c.Running() {
			continue
		}
		for j := range c.Endpoints {
			n := w.s.NetworkOf(c.Engine, &c.Endpoints[j])
			if n == nil || !nets.has(n) {
				continue
			}
			if best != nil && !w.ofProject(c) {
				continue
			}
			best = &Problem{
				Kind: AliasMissing, Container: c.Ref, Network: n.Ref, Ref: snap.RefContainer(c.Ref), Because: []snap.Ref{snap.RefContainer(c.Ref)},
				Detail: fmt.Sprintf("%s is the container of service %s, but has no alias %s on network %s", c.Name, c.Service, w.in.Name, n.Name),
			}
		}
	}
	return best
}

// ofProject says whether a container is of the asker's own compose project.
func (w *walker) ofProject(c *snap.Container) bool {
	return w.box != nil && w.box.Project != "" && c.Project == w.box.Project
}

// noSuchName says who was asked in vain, and which names there are.
func (w *walker) noSuchName(p *Path, res outcome) Problem {
	x := Problem{Kind: NoSuchName, Ref: w.refResolver(), Because: w.because()}
	var parts []string
	if nets := w.networks(); res.nobody && len(nets) > 0 {
		var have []string
		near, off := "", 3 // letters that may differ
		for i := range w.s.Containers {
			c := &w.s.Containers[i]
			for j := range c.Endpoints {
				if n := w.s.NetworkOf(c.Engine, &c.Endpoints[j]); n != nil && nets.has(n) && c.Running() && c.Ref != w.box.Ref {
					have = append(have, known(n, c, &c.Endpoints[j]))
					for _, a := range append(endpointNames(c, &c.Endpoints[j]), c.Name) {
						if d := apart(fold(w.in.Name), fold(a)); d < off {
							near, off = a, d
						}
					}
				}
			}
		}
		slices.Sort(have)
		x.Network = nets[0].net.Ref
		part := fmt.Sprintf("no container on network %s has the name or alias %s", strings.Join(nets.names(), ", "), w.in.Name)
		if have = slices.Compact(have); len(have) > 0 {
			part += " (there: " + short(have, 8) + ")"
		}
		if near != "" && 2*off < len(near) {
			part += "; is " + near + " meant?"
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 && w.oneLabel() {
		parts = append(parts, fmt.Sprintf("%s has no dot and no search list makes a longer name of it", w.in.Name))
	}
	for i := range p.Servers {
		s := &p.Servers[i]
		said := w.exactProbe(s.AskedFrom, s.Addr, w.whole())
		if said != nil && !silent(said) && (s.Role != "embedded" || len(parts) == 0) {
			x.Server = s.Addr
			x.Because = append(x.Because, w.refProbe(said))
			say := said.DNS.RCode
			if say == "NOERROR" {
				say = "there is none of type " + w.typ
			}
			if to := aliasOf(said); to != "" {
				say += ": " + w.in.Name + " is an alias (CNAME) of " + to + ", which is not there"
			}
			parts = append(parts, fmt.Sprintf("%s says %s", s.Addr.Addr(), say))
			break
		}
	}
	if h := w.s.Resolver("host"); h != nil && w.c != nil && !strings.Contains(fold(w.in.Name), ".") {
		for _, d := range h.ResolvConf.Search {
			if d != "." && !slices.Contains(w.r.ResolvConf.Search, d) {
				parts = append(parts, fmt.Sprintf("this host searches %s, which is not in the search list of %s (--dns-search, dns_search:)", d, w.who()))
				break
			}
		}
	}
	if len(parts) == 0 {
		parts = append(parts, "nobody asked knows "+w.in.Name)
	}
	x.Detail = strings.Join(parts, ", and ")
	return x
}

// oneLabel says whether the name is asked for as it stands, and has no dot.
func (w *walker) oneLabel() bool {
	return !strings.Contains(fold(w.in.Name), ".") && !slices.ContainsFunc(w.r.ResolvConf.Search, func(d string) bool { return d != "." })
}

// aliasOf is the name that an answer's aliases end at; "" where it has none.
func aliasOf(p *snap.Probe) string {
	to := ""
	for _, a := range p.DNS.Answers {
		if v, ok := strings.CutPrefix(a, "CNAME "); ok {
			to = strings.TrimSuffix(v, ".")
		}
	}
	return to
}

func last(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[len(list)-1]
}

// known is the name that people use for a member of a network: that of its
// service where the resolver knows that one.
func known(n *snap.Network, c *snap.Container, ep *snap.Endpoint) string {
	for i := range n.Services {
		if v := &n.Services[i]; v.Has(c, ep) {
			return v.Name
		}
	}
	return c.Name
}
