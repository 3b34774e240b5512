package names

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ext is one server that an engine's resolver forwards to, and from where.
type ext struct {
	addr netip.Addr
	from string // Netns.ID
	host bool   // asked from the host's namespace
}

// upstreams are the servers that Docker's resolver forwards to. From 25 on it
// writes them into the container's resolv.conf, with "host(…)" around those
// that are asked from the host's namespace. Before, they are --dns, the
// daemon's dns, or the host's file, asked from the container's namespace,
// loopback ones of the host's file apart (moby libnetwork/resolver.go).
func (w *walker) upstreams(ns *snap.Netns) (list []ext, unknown string) {
	rc := &w.r.ResolvConf
	if len(rc.ExtServers) > 0 {
		for _, s := range rc.ExtServers {
			v, host := strings.CutPrefix(s, "host(")
			a, err := netip.ParseAddr(strings.TrimSuffix(v, ")"))
			if err != nil {
				return nil, "upstream server " + s + " of resolv.conf is no address"
			}
			list = append(list, w.extFrom(ns, a, host))
		}
		return list, ""
	}
	if rc.Internal && strings.Contains(rc.Raw, "NO EXTERNAL NAMESERVERS DEFINED") {
		return nil, ""
	}
	var own []string
	if w.box != nil {
		own = w.box.DNS
	}
	e := w.engine()
	if len(own) == 0 && e != nil {
		own = e.DNS
	}
	for _, s := range own {
		if a, err := netip.ParseAddr(s); err == nil {
			list = append(list, w.extFrom(ns, a, false))
		}
	}
	if len(list) > 0 {
		return list, ""
	}
	if w.box != nil && len(w.box.Upstreams) > 0 {
		for _, a := range w.box.Upstreams {
			list = append(list, w.extFrom(ns, a, a.IsLoopback()))
		}
		return list, ""
	}
	h := w.s.Resolver("host")
	if h == nil {
		return nil, "the host's resolv.conf was not read"
	}
	v := major(e)
	if v == 0 && len(h.ResolvConf.Nameservers) > 0 {
		return nil, "which servers the engine forwards to is not known: its version is not"
	}
	if len(h.ResolvConf.Nameservers) == 1 && h.ResolvConf.Nameservers[0] == netip.AddrFrom4([4]byte{127, 0, 0, 53}) {
		return nil, "the engine forwards to the servers of /run/systemd/resolve/resolv.conf, which was not read"
	}
	// 20.10 keeps the servers that the file named when the container started
	// (moby libnetwork/sandbox_dns_unix.go: setExternalResolvers at rebuildDNS).
	if v < 25 && w.box != nil && !w.box.Started.IsZero() && h.Modified.After(w.box.Started) &&
		!slices.ContainsFunc(h.ResolvConf.Nameservers, func(a netip.Addr) bool { return !a.IsLoopback() }) {
		return nil, fmt.Sprintf("the host's resolv.conf was changed after %s was started, and the engine's resolver keeps the servers of then", w.box.Name)
	}
	for _, a := range h.ResolvConf.Nameservers {
		list = append(list, w.extFrom(ns, a, v >= 25 || a.IsLoopback()))
	}
	if len(list) == 0 && v > 0 && v < 25 {
		list = append(list, w.extFrom(ns, google()[0], false), w.extFrom(ns, google()[1], false))
	}
	return list, ""
}

// forwards is a live answer of the engine's resolver that it can only have from
// a server it forwards to: for the root's name servers, which no engine knows,
// and not its own SERVFAIL. nil when there is none, or when the very name was
// asked, which says more.
func (w *walker) forwards(ns *snap.Netns) *snap.Probe {
	at := netip.AddrPortFrom(snap.DockerResolver(), 53)
	for i := len(w.s.Probes) - 1; i >= 0; i-- {
		p := &w.s.Probes[i]
		if !w.probed(p, ns.ID, at) || silent(p) || p.DNS.RCode == "SERVFAIL" {
			continue
		}
		if p.DNS.Name == "." && p.DNS.Type == "NS" {
			return p
		}
	}
	return nil
}

func (w *walker) extFrom(ns *snap.Netns, a netip.Addr, host bool) ext {
	if host {
		return ext{a, w.s.Host.Netns, true}
	}
	return ext{a, ns.ID, false}
}

// forward asks the upstream servers in turn.
func (w *walker) forward(ns *snap.Netns, name string) outcome {
	if p := w.forwards(ns); p != nil && !w.seenOnly {
		// What it forwards to lives, whatever the model thinks of it.
		return unknownStep(Step{Where: "upstream", Asked: name},
			fmt.Sprintf("what it answers for this name is not known; asked for %s %s it says %s", p.DNS.Name, p.DNS.Type, p.DNS.RCode), w.refProbe(p))
	}
	list, unknown := w.upstreams(ns)
	if unknown != "" {
		return unknownStep(Step{Where: "upstream", Asked: name}, unknown, w.because()...)
	}
	modern := major(w.engine()) == 0 || major(w.engine()) >= 25
	var out outcome
	if len(list) == 0 {
		out.fail(ServFail, Step{Where: "upstream", Asked: name}, &Problem{
			Kind: UpstreamMissing, Ref: w.refResolver(), Because: w.because(),
			Detail: "the resolver of " + w.who() + " has no server to forward to: the host's resolv.conf had none when it started",
		})
		return out
	}
	internal := w.allInternal()
	list = list[:min(len(list), maxExt)]
	for _, x := range list {
		if !internal || !x.host {
			w.onTheWay(x.from, netip.AddrPortFrom(x.addr, 53), "upstream", name)
		}
	}
	for _, x := range list {
		if internal && x.host && modern {
			// moby 25.0.5 on refuses to leave by the host's namespace (CVE-2024-29018).
			out.fail(ServFail, Step{Where: "upstream " + x.addr.String(), Asked: name, LeavesFrom: x.from}, &Problem{
				Kind: InternalNetwork, Server: netip.AddrPortFrom(x.addr, 53), Ref: w.refResolver(), Because: w.because(),
				Detail: w.who() + " is on internal networks only, so its questions do not leave",
			})
			continue
		}
		o := w.ask(x.from, netip.AddrPortFrom(x.addr, 53), "upstream", name)
		out.steps = append(out.steps, o.steps...)
		if o.definite() || o.verdict == Unknown {
			out.problems = waited(out.problems, out.wait)
			out.problems = append(out.problems, o.problems...)
			out.verdict, out.answers, out.wait, out.cut = o.verdict, o.answers, out.wait+o.wait, o.cut
			return out
		}
		for _, p := range o.problems {
			if internal && !x.host && (p.Kind == Unreachable || p.Kind == UpstreamDead) {
				p.Kind = InternalNetwork // no way out is what such a network is for
				p.Detail = w.who() + " is on internal networks only: " + p.Detail
			}
			out.problems = append(out.problems, p)
		}
		out.verdict, out.heard = worse(out.verdict, o.verdict), out.heard || o.heard
		if o.verdict == Timeout && !o.unsent {
			out.wait += extTimeout
		}
	}
	silent := out.verdict == Timeout
	if silent && out.wait > 0 {
		then := "answers SERVFAIL"
		if !modern {
			then = "gives no answer"
		}
		out.step(Step{
			Where: "embedded resolver", Asked: name, Verdict: stepFail, LeavesFrom: ns.ID,
			Answer: fmt.Sprintf("waits %d × %s = %s for its servers, then %s", out.wait/extTimeout, extTimeout, out.wait, then),
		})
	}
	switch {
	case silent && !modern:
		// 20.10 gives no answer at all when every server is silent.
	case silent, out.verdict == Refused && modern:
		out.verdict = ServFail
	}
	return out
}

// allInternal says whether no network of the asker leads outside.
func (w *walker) allInternal() bool {
	if w.box == nil {
		return false
	}
	n := 0
	for i := range w.box.Endpoints {
		if x := w.s.NetworkOf(w.box.Engine, &w.box.Endpoints[i]); x == nil || !x.Internal {
			return false
		}
		n++
	}
	return n > 0
}

// google are the servers that Docker falls back to, IPv4 first (moby
// daemon/libnetwork/internal/resolvconf/resolvconf.go: defaultIPv4NSs).
func google() []netip.Addr {
	return []netip.Addr{
		netip.AddrFrom4([4]byte{8, 8, 8, 8}), netip.AddrFrom4([4]byte{8, 8, 4, 4}),
		netip.MustParseAddr("2001:4860:4860::8888"), netip.MustParseAddr("2001:4860:4860::8844"),
	}
}

// fallback says whether the asker's servers are Docker's own choice, because
// the host's file has none that a container could ask.
func (w *walker) fallback() *Problem {
	if w.box == nil || !snap.IsDocker(w.box.Engine) || len(w.box.DNS) > 0 {
		return nil
	}
	if e := w.engine(); e != nil && len(e.DNS) > 0 {
		return nil
	}
	h := w.s.Resolver("host")
	if h == nil || slices.ContainsFunc(h.ResolvConf.Nameservers, func(a netip.Addr) bool { return !a.IsLoopback() }) {
		return nil
	}
	list := w.r.ResolvConf.Nameservers
	if w.embeddedWanted() {
		list = nil
		up, _ := w.upstreams(w.ns)
		for _, x := range up {
			list = append(list, x.addr)
		}
	}
	if len(list) == 0 || slices.ContainsFunc(list, func(a netip.Addr) bool { return !slices.Contains(google(), a) }) {
		return nil
	}
	what := "no server"
	if len(h.ResolvConf.Nameservers) > 0 {
		what = "only " + h.ResolvConf.Nameservers[0].String()
	}
	return &Problem{
		Kind: GoogleFallback, Server: netip.AddrPortFrom(list[0], 53), Ref: w.refResolver(),
		Detail:  fmt.Sprintf("Docker gave %s %s, its own fallback: the host's resolv.conf has %s", w.who(), list[0], what),
		Because: []snap.Ref{w.refResolver(), snap.RefResolver(h.Owner)},
	}
}
