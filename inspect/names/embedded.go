package names

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// extTimeout is how long Docker's resolver waits for one upstream server
// (moby daemon/libnetwork/resolver.go: extIOTimeout); maxExt is how many it asks.
const (
	extTimeout = 4 * time.Second
	maxExt     = 3
)

// loDown is the problem of a loopback device that is down: 127.0.0.0/8 has no
// route then.
func loDown(ns *snap.Netns, server netip.AddrPort) *Problem {
	lo := ns.Link("lo")
	if lo == nil || lo.Up {
		return nil
	}
	ref := snap.RefLink(ns.ID, "lo")
	return &Problem{
		Kind: LoDown, Server: server, Ref: ref, Because: []snap.Ref{ref},
		Detail: "lo is down in " + ns.ID + ", so " + server.Addr().String() + " cannot be reached",
	}
}

// embedded follows a question to 127.0.0.11: the loopback device, the nat rules
// that lead it to a port, the engine's socket there, its records, its upstream
// servers (moby daemon/libnetwork/resolver_unix.go).
func (w *walker) embedded(ns *snap.Netns, server netip.AddrPort, name string) outcome {
	var o outcome
	st := Step{Where: server.Addr().String(), Asked: name, LeavesFrom: ns.ID}
	if p := loDown(ns, server); p != nil {
		o.fail(Timeout, st, p)
		return o
	}
	st.Verdict, st.Answer = stepOK, "the engine's resolver in "+w.nsName(ns)
	o.step(st)

	dn := Step{Where: "DNAT", Asked: server.String() + "/" + string(w.proto()), LeavesFrom: ns.ID}
	m := w.dnat(ns, server, w.proto())
	if m.unknown != "" {
		return join(o, unknownStep(dn, m.unknown, m.because...))
	}
	to := server
	if m.to.IsValid() {
		to = m.to
		dn.Answer, dn.Verdict, dn.Because = "to "+to.String(), stepOK, m.because
		o.step(dn)
	}
	if to.Addr() != server.Addr() {
		return join(o, w.waylaid(ns, server, to, name, m.place))
	}
	l := w.listener(ns, to)
	if l.unread != "" {
		return join(o, unknownStep(Step{Where: "embedded resolver", Asked: name}, l.unread, l.ref))
	}
	if !m.to.IsValid() {
		if l.sock == nil || !engineSocket(l.sock) {
			return join(o, w.undirected(ns, server, dn, l.sock))
		}
		dn.Answer, dn.Verdict = noResolverRule, stepSkip
		dn.Because = []snap.Ref{snap.RefNetns(ns.ID)}
		o.step(dn)
	}
	er := Step{Where: "embedded resolver", Asked: to.String() + "/" + string(w.proto()), LeavesFrom: ns.ID}
	switch {
	case l.sock == nil:
		o.fail(Refused, er, w.gone(ns, server, to, m.because))
		return o
	case stopped(l.sock.Process):
		o.fail(Timeout, er, &Problem{
			Kind: EngineHung, Server: server, Ref: l.ref, Because: []snap.Ref{l.ref},
			Detail: process(l.sock) + " is stopped (state " + l.sock.Process.State + "): it holds the resolver's socket in " + ns.ID + " and answers nothing",
		})
		return o
	}
	er.Answer, er.Verdict, er.Because = "listening: "+process(l.sock), stepOK, []snap.Ref{l.ref}
	o.step(er)
	if r := w.reach(ns.ID, server); r.Known && !r.OK {
		o.fail(Timeout, Step{Where: server.Addr().String(), Asked: name, LeavesFrom: ns.ID}, &Problem{
			Kind: Unreachable, Server: server, Ref: first(r.Because), Because: r.Because,
			Detail: fmt.Sprintf("questions to %s do not get through inside %s: %s", server.Addr(), ns.ID, r.Why),
			Why:    r.Why, From: ns.ID,
		})
		return o
	}
	return join(o, w.records(ns, server, name))
}

// waylaid is the end of a question that somebody else's rule, before the engine's, leads to
// another address.
func (w *walker) waylaid(ns *snap.Netns, server, to netip.AddrPort, name string, place *rules.Place) (o outcome) {
	v := Timeout
	if p := w.exactProbe(ns.ID, server, name); p != nil && !silent(p) {
		s := w.seen(p, name, "embedded")
		if s.verdict == Resolved {
			return s
		}
		v = s.verdict
	}
	o.fail(v, Step{Where: "embedded resolver", Asked: name, LeavesFrom: ns.ID}, w.diversion(ns.ID, server, to, place, "the engine's resolver is never asked", nil))
	return o
}

const noResolverRule = "no rule of nat OUTPUT leads it to the resolver's port"

// undirected is the end of a question that no nat rule leads to the engine's socket; by, if
// anybody, is who takes it.
func (w *walker) undirected(ns *snap.Netns, server netip.AddrPort, st Step, by *snap.Socket) (o outcome) {
	st.Answer, st.Because = noResolverRule, []snap.Ref{snap.RefNetns(ns.ID)}
	p := &Problem{
		Kind: DNATMissing, Server: server, Port: w.enginePort(ns), Ref: snap.RefNetns(ns.ID), Because: st.Because,
		Detail: fmt.Sprintf("%s has no nat rule (DOCKER_OUTPUT) that leads %s to the engine's resolver", ns.ID, server),
	}
	if w.in.Snap.NFTResolver(ns) {
		p.Detail = strings.Replace(p.Detail, "DOCKER_OUTPUT", "table docker-dns", 1)
	}
	v := Refused
	if by != nil {
		v = Unknown
		p.Detail += "; " + process(by) + " takes the questions"
	}
	o.fail(v, st, p)
	return o
}

// engineSocket says whether the engine's daemon holds the socket.
func engineSocket(s *snap.Socket) bool {
	return s.Process != nil && (s.Process.Name == "dockerd" || s.Process.Name == "docker" || s.Process.Name == "netdoctor")
}

// enginePort is the port of the resolver's socket in the namespace, for
// whoever wants to mend the rules; 0 when there is none.
func (w *walker) enginePort(ns *snap.Netns) uint16 {
	for i := range ns.Sockets {
		if s := &ns.Sockets[i]; s.Proto == w.proto() && s.Local.Addr() == snap.DockerResolver() && !s.Remote.IsValid() {
			return s.Local.Port()
		}
	}
	return 0
}

// gone says why nobody listens where the nat rules lead.
func (w *walker) gone(ns *snap.Netns, server, to netip.AddrPort, because []snap.Ref) *Problem {
	p := &Problem{Kind: SocketGone, Server: server, Port: to.Port(), Ref: first(because), Because: because}
	if port := w.enginePort(ns); port != 0 {
		p.Kind = DNATDeadPort
		p.Detail = fmt.Sprintf("the nat rules of %s lead to %s, where nothing listens; the resolver is on port %d", ns.ID, to, port)
		return p
	}
	p.Detail = fmt.Sprintf("nothing listens on %s in %s", to, ns.ID)
	if e := w.engine(); e != nil && !e.Reachable {
		p.Ref = snap.RefEngine(e.Name)
		p.Because = append([]snap.Ref{p.Ref}, because...)
		p.Detail += ": the resolver is gone with dockerd, the daemon, which does not answer"
	}
	return p
}

// engine is the asker's, nil when it is not known.
func (w *walker) engine() *snap.Engine {
	if w.box == nil {
		return nil
	}
	return w.s.Engine(w.box.Engine)
}

// major is the engine's major version; 0 unknown.
func major(e *snap.Engine) int {
	if e == nil {
		return 0
	}
	n, err := strconv.Atoi(strings.SplitN(strings.TrimPrefix(e.Version, "v"), ".", 2)[0])
	if err != nil {
		return 0
	}
	return n
}

// records is what the resolver knows itself; for the rest it goes upstream.
func (w *walker) records(ns *snap.Netns, server netip.AddrPort, name string) outcome {
	var o outcome
	nets := w.networks()
	st := Step{Where: "network " + strings.Join(nets.names(), ", "), Asked: name}
	if w.box == nil {
		st.Where = "embedded resolver"
		return w.orSeen(unknownStep(st, "whose networks "+ns.ID+" has is not known"), ns.ID, server, name)
	}
	if e := w.engine(); e != nil && e.Offline {
		return w.orSeen(unknownStep(st, e.Name+" did not answer, so its records are not known", snap.RefEngine(e.Name)), ns.ID, server, name)
	}
	if hit, ok := w.record(nets, name); ok {
		st.Where, st.Because, st.Verdict = "network "+hit.network.Name, hit.because, stepOK
		o.verdict, o.answers = Resolved, hit.answers
		st.Answer = strings.Join(hit.answers, ", ")
		if hit.why != "" {
			st.Answer += ": " + hit.why
		}
		if len(hit.answers) == 0 {
			o.verdict, st.Answer = NoData, "the name is there, without "+w.typ
		}
		o.step(st)
		return o
	}
	if svc := w.swarm(name); svc != "" {
		return w.orSeen(unknownStep(st, "a swarm service; its addresses are not in the snapshot", svc), ns.ID, server, name)
	}
	st.Answer, st.Verdict = "no container there answers to it", stepSkip
	if len(nets) == 0 {
		st.Where, st.Answer = "embedded resolver", w.who()+" is on no network with names"
		st.Because = []snap.Ref{snap.RefContainer(w.box.Ref)}
	}
	for _, n := range nets {
		st.Because = append(st.Because, snap.RefNetwork(n.net.Ref))
	}
	o.step(st)
	o.nobody = len(nets) > 0
	if w.noForward(name) {
		// moby daemon/libnetwork/resolver.go: with ndots set, single words stay here.
		o.verdict = NoData
		o.step(Step{Where: "embedded resolver", Asked: name, Answer: "option ndots is set, so a name without a dot is not forwarded", Verdict: stepFail, Because: w.because()})
		return o
	}
	return w.orSeen(join(o, w.forward(ns, name)), ns.ID, server, name)
}

// orSeen lets a probe of the resolver itself say what the prediction can't.
func (w *walker) orSeen(o outcome, from string, server netip.AddrPort, name string) outcome {
	if o.verdict != Unknown {
		return o
	}
	p := w.exactProbe(from, server, name)
	if p == nil {
		return o
	}
	s := w.seen(p, name, "embedded")
	return join(o, s)
}

func (w *walker) noForward(name string) bool {
	if strings.Contains(fold(name), ".") || w.typ != "A" && w.typ != "AAAA" {
		return false
	}
	for _, opt := range w.r.ResolvConf.Options {
		if v, ok := strings.CutPrefix(opt, "ndots:"); ok {
			n, err := strconv.Atoi(v)
			return err == nil && n > 0
		}
	}
	return false
}
