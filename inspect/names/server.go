package names

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ask puts one question to one server from one namespace, once.
func (w *walker) ask(from string, server netip.AddrPort, role, name string) outcome {
	q := question{from, fold(name), w.typ, server}
	if o, ok := w.memo[q]; ok {
		return o
	}
	w.memo[q] = w.itself(from, server, name) // what a server that is its own upstream gets from itself
	o := w.answer(from, server, role, name)
	w.memo[q] = o
	return o
}

func (w *walker) answer(from string, server netip.AddrPort, role, name string) outcome {
	ns := w.s.Ns(from)
	srv := w.onTheWay(from, server, role, name)
	if w.seenOnly {
		o := outcome{verdict: Unknown}
		pre := w.predicted[question{from, fold(name), w.typ, server}]
		if p := w.exactProbe(from, server, name); p != nil && !impatient(pre, p) {
			o = w.seen(p, name, srv.Role)
		}
		return o
	}
	switch {
	case ns == nil:
		o := outcome{verdict: Unknown}
		o.step(Step{Where: where(role, server), Asked: name, Verdict: stepUnknown, Answer: "the namespace " + from + " was not read"})
		return o
	case srv.Role == "embedded":
		return w.embedded(ns, server, name)
	case srv.Role == "aardvark":
		return w.aardvark(srv, name)
	case server.Addr().IsLoopback():
		return w.loopback(ns, srv, name)
	}
	return w.diverted(srv, w.plain(srv, name))
}

// onTheWay notes a server with what is known of it.
func (w *walker) onTheWay(from string, server netip.AddrPort, role, name string) Server {
	switch {
	case server.Addr() == snap.DockerResolver() && from != w.s.Host.Netns:
		role = "embedded"
	case w.podman(server.Addr(), from) != nil:
		role = "aardvark"
	}
	srv := Server{Addr: server, AskedFrom: from, Role: role, Reach: w.reach(from, server), Probe: w.lastProbe(from, server, name)}
	w.addServer(srv)
	return srv
}

// where is how a step names a server.
func where(role string, server netip.AddrPort) string {
	if role == "upstream" {
		return "upstream " + server.Addr().String()
	}
	if server.Port() != 53 {
		return server.String()
	}
	return server.Addr().String()
}

// loopback is a server in the asker's own namespace.
func (w *walker) loopback(ns *snap.Netns, srv Server, name string) outcome {
	var o outcome
	st := Step{Where: where(srv.Role, srv.Addr), Asked: name, LeavesFrom: ns.ID}
	if p := loDown(ns, srv.Addr); p != nil {
		o.fail(Timeout, st, p)
		return o
	}
	to := srv.Addr
	m := w.dnat(ns, srv.Addr, w.proto())
	switch {
	case m.unknown != "":
		return unknownStep(st, m.unknown, m.because...)
	case m.to.IsValid():
		to = m.to
		st.Answer = "DNAT to " + to.String()
		if !to.Addr().IsLoopback() {
			st.Verdict, st.Because = stepOK, m.because
			o.step(st)
			srv.Addr = to
			rest := w.plain(srv, name)
			rest.steps = append(o.steps, rest.steps...)
			return rest
		}
	}
	l := w.listener(ns, to)
	switch {
	case l.unread != "":
		return unknownStep(st, l.unread, l.ref)
	case l.sock == nil:
		st.Answer = "nothing listens on " + to.String() + " in " + w.nsName(ns)
		p := &Problem{Kind: LoopbackStub, Detail: w.stubDetail(ns, to), Server: srv.Addr, Ref: w.refResolver(), Because: w.because()}
		o.fail(Refused, st, p)
		return o
	case stopped(l.sock.Process):
		p := &Problem{Kind: UpstreamDead, Detail: process(l.sock) + " on " + to.String() + " is stopped", From: ns.ID, Server: srv.Addr, Ref: l.ref, Because: []snap.Ref{l.ref}}
		p.Why = p.Detail
		o.fail(Timeout, st, p)
		return o
	}
	st.Answer, st.Verdict, st.Because = "taken by "+process(l.sock), stepOK, []snap.Ref{l.ref}
	o.step(st)
	return join(o, w.content(srv, name))
}

func (w *walker) stubDetail(ns *snap.Netns, to netip.AddrPort) string {
	if !slices.Contains(w.r.ResolvConf.Nameservers, to.Addr()) && w.embeddedWanted() {
		return fmt.Sprintf("the engine's resolver asks %s for the outside names of %s, in %s, where nothing listens there", to.Addr(), w.who(), w.nsName(ns))
	}
	if ns.ID == w.s.Host.Netns {
		return fmt.Sprintf("resolv.conf says nameserver %s, and nothing listens there on this host", to.Addr())
	}
	return fmt.Sprintf("resolv.conf of %s says nameserver %s, and nothing listens there in its namespace: it is another namespace's own resolver", w.who(), to.Addr())
}

// plain is a server at some other address: of this host, of a container, or
// outside.
func (w *walker) plain(srv Server, name string) outcome {
	var o outcome
	st := Step{Where: where(srv.Role, srv.Addr), Asked: name, LeavesFrom: srv.AskedFrom}
	// A live answer beats the model; a live silence is explained by it.
	p := w.exactProbe(srv.AskedFrom, srv.Addr, name)
	if p != nil && !silent(p) {
		return w.seen(p, name, srv.Role)
	}
	r := srv.Reach
	if r.Known && !r.OK {
		why := r.Why
		if why == "" {
			why = "the way there is cut"
		}
		by := w.byTCP()
		o.fail(Timeout, st, &Problem{
			Kind: Unreachable, Server: srv.Addr, Ref: first(r.Because), Because: slices.Clone(r.Because),
			Detail: fmt.Sprintf("questions%s from %s to %s do not get through: %s", by, w.nsName(w.s.Ns(srv.AskedFrom)), srv.Addr.Addr(), why),
			Why:    strings.TrimPrefix(strings.TrimPrefix(by, " ")+": ", ": ") + why, From: srv.AskedFrom,
		})
		o.unsent = r.Unsent
		if r.Refused {
			o.verdict = Refused
		}
		if owner := w.owner(srv.Addr.Addr()); owner != nil {
			if l := w.listener(owner, srv.Addr); l.unread == "" && l.sock == nil {
				o.verdict = Refused
				o.problems[0].Detail = "nothing listens on " + srv.Addr.String() + "/" + string(w.proto()) + " in " + w.nsName(owner) + w.besides(owner, srv.Addr)
				o.problems[0].Why = o.problems[0].Detail
			}
		}
		if p != nil {
			o.problems[0].Because = append(o.problems[0].Because, w.refProbe(p))
		}
		return o
	}
	return w.content(srv, name)
}

// byTCP says that a library asks by TCP where it is told to; "" else.
func (w *walker) byTCP() string {
	if w.usesVC(w.libc) {
		return " by TCP (options use-vc)"
	}
	return ""
}

// besides says what keeps a question from a name server that is there all the same:
// it listens at other addresses, or by UDP alone.
func (w *walker) besides(owner *snap.Netns, at netip.AddrPort) string {
	for i := range owner.Sockets {
		x := &owner.Sockets[i]
		if x.Local.Port() != at.Port() || x.Remote.IsValid() || x.Local.Addr() == snap.DockerResolver() {
			continue
		}
		switch {
		case x.Proto != w.proto() && w.in.TCP && (x.Local.Addr() == at.Addr() || x.Local.Addr().IsUnspecified()):
			return ": " + process(x) + " takes UDP alone, and options use-vc asks by TCP"
		case x.Proto == w.proto() && x.Local.Addr() != at.Addr():
			return ": " + process(x) + " listens on " + x.Local.String() + " only"
		}
	}
	return ""
}

// content is what a server that can be reached answers: known from probes only.
func (w *walker) content(srv Server, name string) outcome {
	if p := w.exactProbe(srv.AskedFrom, srv.Addr, name); p != nil {
		return w.seen(p, name, srv.Role)
	}
	st := Step{Where: where(srv.Role, srv.Addr), Asked: name, LeavesFrom: srv.AskedFrom}
	if p := w.lastProbe(srv.AskedFrom, srv.Addr, name); p != nil && silent(p) {
		var o outcome
		o.fail(Timeout, st, w.deadServer(p))
		return o
	}
	why := "what " + srv.Addr.Addr().String() + " answers is not known"
	if !srv.Reach.Known {
		why += ", nor whether it can be reached"
		if srv.Reach.Why != "" {
			why += " (" + srv.Reach.Why + ")"
		}
	}
	return unknownStep(st, why, srv.Reach.Because...)
}

// owner is the namespace of this host that holds an address; nil for none.
func (w *walker) owner(a netip.Addr) *snap.Netns {
	for i := range w.ns.Links { // next door first: users' own networks have the same addresses
		if l := &w.ns.Links[i]; l.PeerNetns != "" && l.PeerNetns != w.ns.ID {
			if ns := w.s.Ns(l.PeerNetns); ns != nil && ns.Class.Ours() {
				if _, ok := ns.HasAddr(a); ok {
					return ns
				}
			}
		}
	}
	for i := range w.s.Netns {
		ns := &w.s.Netns[i]
		if !ns.Class.Ours() {
			continue
		}
		if _, ok := ns.HasAddr(a); ok {
			return ns
		}
	}
	return nil
}

func (w *walker) nsName(ns *snap.Netns) string {
	switch {
	case ns == nil:
		return "an unknown namespace"
	case ns.ID == w.s.Host.Netns:
		return "the host"
	case w.c != nil && ns.ID == w.ns.ID:
		return w.who()
	}
	return ns.ID
}

func unknownStep(s Step, why string, because ...snap.Ref) outcome {
	s.Verdict, s.Answer, s.Because = stepUnknown, why, because
	return outcome{verdict: Unknown, steps: []Step{s}}
}

// join puts what came before in front of an outcome.
func join(before, o outcome) outcome {
	o.steps = append(before.steps, o.steps...)
	o.problems = append(before.problems, o.problems...)
	o.wait += before.wait
	o.nobody, o.heard = o.nobody || before.nobody, o.heard || before.heard
	return o
}

func first(refs []snap.Ref) snap.Ref {
	if len(refs) == 0 {
		return ""
	}
	return refs[0]
}

// process names who holds a socket.
func process(s *snap.Socket) string {
	return s.Holder("an unknown process")
}

// stopped: proc(5), T is stopped by a signal, t by a debugger.
func stopped(p *snap.Process) bool { return p != nil && strings.EqualFold(p.State, "T") }
