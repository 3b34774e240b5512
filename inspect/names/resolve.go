package names

import (
	"net/netip"
	"strings"
	"time"
)

// Resolve predicts the way of a name. What an upstream server answers is taken
// from the DNS probes in the snapshot; where there is none it is unknown. What
// the engines' own resolvers answer is predicted from their containers and
// networks, and compared with probes by Reconcile only.
func Resolve(in Input) Path {
	w := newWalker(in)
	p := Path{Name: in.Name, Type: w.typ, From: w.netns(), Verdict: Unknown, Libc: map[string]Verdict{}, Waits: map[string]time.Duration{}}
	if a, ok := literal(in.Name, w.typ); ok {
		p.Verdict, p.Answers = Resolved, []string{a}
		for _, l := range libcs() {
			p.Libc[l] = Resolved
		}
		return p
	}
	if w.ns == nil || w.r == nil {
		why := "the namespace is not in the snapshot"
		if w.ns != nil {
			why = "its resolv.conf was not read"
		}
		p.Steps = []Step{{Where: "resolv.conf", Asked: in.Name, Answer: why, Verdict: stepUnknown}}
		return p
	}
	res := w.run(w.libc)
	p.Verdict, p.Answers, p.Candidates, p.Steps = res.verdict, res.answers, res.candidates, res.steps
	p.Servers, p.TCP, p.EDNS = w.servers, w.in.TCP, w.edns()
	for _, l := range libcs() {
		x := res
		switch {
		case l == w.libc:
		case w.usesVC(l) != w.usesVC(w.libc):
			other := in
			other.Libc = l
			x = newWalker(other).run(l)
		default:
			x = w.run(l)
		}
		p.Libc[l], p.Waits[l] = x.verdict, x.wait
	}
	w.blame(&p, res)
	return p
}

// libcs are the resolvers told apart: the C libraries, and Go's own.
func libcs() []string { return []string{"glibc", "musl", "go"} }

// literal is an address in the place of a name: it needs no look-up
// (getaddrinfo(3)).
func literal(name, typ string) (string, bool) {
	a, err := netip.ParseAddr(strings.Trim(name, "[]"))
	if err != nil || typ == "PTR" {
		return "", false
	}
	return a.String(), true
}
