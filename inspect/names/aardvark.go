package names

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// podman is the asker's network whose aardvark-dns is asked at that address,
// nil when it is no such server.
func (w *walker) podman(a netip.Addr, from string) *snap.Network {
	if w.box == nil || !snap.IsPodman(w.box.Engine) || from != w.ns.ID {
		return nil
	}
	for _, p := range w.networks() {
		if slices.ContainsFunc(p.net.Pools, func(x snap.Pool) bool { return x.Gateway == a }) || p.ep.Gateway4 == a || p.ep.Gateway6 == a {
			return p.net
		}
	}
	return nil
}

// aardvark follows a question to the gateway of a podman network, where
// aardvark-dns answers for the network's containers and forwards the rest
// (containers/aardvark-dns src/dns/coredns.rs).
func (w *walker) aardvark(srv Server, name string) outcome {
	var o outcome
	n := w.podman(srv.Addr.Addr(), srv.AskedFrom)
	st := Step{Where: srv.Addr.Addr().String(), Asked: name, LeavesFrom: srv.AskedFrom}
	owner := w.owner(srv.Addr.Addr())
	if owner == nil {
		return join(o, w.plain(srv, name))
	}
	if r := srv.Reach; r.Ends.IsValid() {
		// netavark#1470, aardvark-dns#13: a port 53 published on all addresses
		// takes the questions for the gateway, too.
		o.fail(Unknown, st, w.diversion(srv.AskedFrom, srv.Addr, r.Ends, r.By, "aardvark-dns, which knows the containers of "+n.Name+", is never asked", []snap.Ref{snap.RefNetwork(n.Ref)}))
		return w.orSeen(o, srv.AskedFrom, srv.Addr, name)
	}
	l := w.listener(owner, srv.Addr)
	if o, bad := w.notAardvark(n, owner, srv, name, l, st); bad {
		return o
	}
	if r := srv.Reach; r.Known && !r.OK {
		return w.plain(srv, name)
	}
	st.Answer, st.Verdict, st.Because = "taken by "+process(l.sock), stepOK, []snap.Ref{l.ref}
	o.step(st)

	nets := w.networks()
	const local = ".dns.podman"
	bare, suffixed := strings.CutSuffix(fold(name), local)
	if suffixed && strings.ToLower(name) != name {
		// 1.4.0 cuts its search domain off as it is written, and then knows no
		// upper case; without the domain it does.
		st := Step{Where: "network " + strings.Join(nets.names(), ", "), Asked: name}
		why := "whether aardvark-dns takes upper case before its search domain depends on its version"
		return w.orSeen(join(o, unknownStep(st, why, snap.RefNetwork(n.Ref))), srv.AskedFrom, srv.Addr, name)
	}
	if h, ok := w.aardvarkRecord(n, nets, bare, suffixed); ok {
		o.verdict, o.answers = Resolved, h.answers
		ans := strings.Join(h.answers, ", ")
		if len(h.answers) == 0 {
			o.verdict, ans = NoData, "the name is there, without "+w.typ
		}
		o.step(Step{Where: "network " + h.network.Name, Asked: name, Answer: ans, Verdict: stepOK, Because: h.because})
		return o
	}
	o.nobody = true
	st = Step{Where: "network " + strings.Join(nets.names(), ", "), Asked: name, Verdict: stepSkip, Because: []snap.Ref{snap.RefNetwork(n.Ref)}}
	st.Answer = "no container there answers to it"
	// src/dns/coredns.rs: names of the search domain and single words are denied
	// at once.
	if suffixed || !strings.Contains(fold(name), ".") {
		o.verdict, st.Verdict = NXDomain, stepFail
		st.Answer += ", and it is not forwarded"
		o.step(st)
		return o
	}
	o.step(st)
	if n.Internal {
		// Later versions deny it (src/backend/mod.rs: ctr_is_internal); 1.4.0 was
		// seen to forward it, by the host.
		why := "whether aardvark-dns forwards what an internal network asks depends on its version"
		return w.orSeen(join(o, unknownStep(Step{Where: "aardvark-dns", Asked: name}, why, snap.RefNetwork(n.Ref))), srv.AskedFrom, srv.Addr, name)
	}
	return w.orSeen(join(o, w.aardvarkForward(n, owner, name)), srv.AskedFrom, srv.Addr, name)
}

// notAardvark is what becomes of a question where aardvark-dns does not take it: nobody
// listens at the gateway, somebody else does, or it is stopped. bad is false where it
// does.
func (w *walker) notAardvark(n *snap.Network, owner *snap.Netns, srv Server, name string, l listening, st Step) (o outcome, bad bool) {
	at := fmt.Sprintf("%s/%s in %s", srv.Addr, w.proto(), w.nsName(owner))
	switch {
	case l.unread != "":
		return unknownStep(st, l.unread, l.ref), true
	case l.sock == nil:
		o.fail(Refused, st, &Problem{
			Kind: AardvarkDead, Server: srv.Addr, Network: n.Ref, Ref: snap.RefNetwork(n.Ref), Because: []snap.Ref{snap.RefNetwork(n.Ref)},
			Detail: "aardvark-dns does not run: nothing listens on " + at + ", the server of network " + n.Name,
		})
		return o, true
	case l.sock.Process == nil:
		return w.orSeen(unknownStep(st, "who listens on "+at+" is not known", l.ref), srv.AskedFrom, srv.Addr, name), true
	case l.sock.Process.Name != "aardvark-dns":
		o.fail(Unknown, st, &Problem{
			Kind: Port53Taken, Server: srv.Addr, Network: n.Ref, Ref: l.ref, Port: 53, Because: []snap.Ref{l.ref, snap.RefNetwork(n.Ref)},
			Detail: process(l.sock) + " listens on " + at + " in the place of aardvark-dns: it does not know the containers of " + n.Name,
		})
		return w.orSeen(o, srv.AskedFrom, srv.Addr, name), true
	case stopped(l.sock.Process):
		o.fail(Timeout, st, &Problem{
			Kind: EngineHung, Server: srv.Addr, Network: n.Ref, Ref: l.ref, Because: []snap.Ref{l.ref},
			Detail: process(l.sock) + " on " + at + " is stopped and answers nothing",
		})
		return o, true
	}
	return o, false
}

// aardvarkRecord is what aardvark-dns knows of a name: the addresses that it
// has on any network of the asker, or with the search domain behind it on the
// server's own network alone (src/dns/coredns.rs). A name of the form
// NAME.NETWORK is none. An address has all names of its container, and a name
// that is there has no record but addresses.
func (w *walker) aardvarkRecord(n *snap.Network, nets places, name string, suffixed bool) (hit, bool) {
	out := hit{network: n}
	found := false
	for _, p := range nets {
		if suffixed && p.net != n {
			continue
		}
		h, ok := w.onNetwork(p.net, fold(name))
		if w.typ == "PTR" {
			h, ok = w.aardvarkNames(p.net, name)
		}
		if !ok {
			continue
		}
		if !found {
			out.network = p.net
		}
		found = true
		out.because = append(out.because, h.because...)
		if w.typ == "A" || w.typ == "AAAA" || w.typ == "PTR" {
			out.answers = append(out.answers, h.answers...)
		}
		if w.typ == "PTR" {
			break
		}
	}
	slices.Sort(out.answers)
	return out, found
}

// aardvarkNames are the names of whoever has an address on a network.
func (w *walker) aardvarkNames(n *snap.Network, name string) (hit, bool) {
	ip, ok := address(name)
	if !ok {
		return hit{}, false
	}
	for i := range w.s.Containers {
		c := &w.s.Containers[i]
		for j := range c.Endpoints {
			ep := &c.Endpoints[j]
			if c.Engine != n.Engine || !c.Running() || w.s.NetworkOf(c.Engine, ep) != n || ep.IPv4.Addr() != ip && ep.IPv6.Addr() != ip {
				continue
			}
			h := hit{network: n, because: []snap.Ref{snap.RefNetwork(n.Ref), snap.RefContainer(c.Ref)}}
			for _, x := range endpointNames(c, ep) {
				h.answers = append(h.answers, x+".")
			}
			return h, true
		}
	}
	return hit{}, false
}

// aardvarkForward asks the network's own servers, else those of the host's
// file, from the namespace that aardvark-dns lives in.
func (w *walker) aardvarkForward(n *snap.Network, owner *snap.Netns, name string) outcome {
	var list []netip.Addr
	for _, s := range w.box.DNS {
		if a, err := netip.ParseAddr(s); err == nil {
			list = append(list, a)
		}
	}
	if len(list) == 0 {
		list = slices.DeleteFunc(slices.Clone(n.DNSServers), func(a netip.Addr) bool { return w.podman(a, w.ns.ID) != nil })
	}
	if len(list) == 0 {
		h := w.s.Resolver("host")
		if h == nil {
			return unknownStep(Step{Where: "upstream", Asked: name}, "the host's resolv.conf was not read")
		}
		list = h.ResolvConf.Nameservers
		if a := owner.UserServer(); a.IsValid() { // its file has this one before them
			list = append([]netip.Addr{a}, list...)
		}
	}
	out := outcome{verdict: ServFail}
	for _, a := range list {
		if holds(owner, a) && w.podman(a, w.ns.ID) != nil {
			continue // itself
		}
		o := w.ask(owner.ID, netip.AddrPortFrom(a, 53), "upstream", name)
		out.steps = append(out.steps, o.steps...)
		out.problems = append(out.problems, o.problems...)
		if o.definite() || o.verdict == Unknown {
			out.verdict, out.answers = o.verdict, o.answers
			return out
		}
	}
	return out
}
