package names

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// lookup asks for one full name at the servers of resolv.conf, as the libc does.
func (w *walker) lookup(libc, name string) outcome {
	list := w.nameservers(libc)
	for _, srv := range list {
		w.onTheWay(w.ns.ID, srv, "resolv.conf", name)
	}
	if libc == "musl" {
		return w.race(list, name)
	}
	out := w.inTurn(libc, list, name)
	if !w.r.ResolvConf.Rotate || len(list) < 2 {
		return out
	}
	for i := 1; i < len(list); i++ {
		o := w.inTurn(libc, append(slices.Clone(list[i:]), list[:i]...), name)
		if o.verdict != out.verdict || !same(o.answers, out.answers) {
			out.verdict, out.answers = Unknown, nil
			out.step(Step{
				Where: "resolv.conf", Asked: name, Verdict: stepUnknown, Because: w.because(),
				Answer: "option rotate begins with any server, and they answer differently",
			})
			break
		}
		if d := firstDead(o.problems); d != nil && firstDead(out.problems) == nil { // some look-ups begin there
			d.Detail = "option rotate begins with any server, and then " + strings.TrimPrefix(d.Detail, "each look-up ")
			out.problems = append(slices.Clone(out.problems), *d)
		}
	}
	return out
}

// firstDead is a copy of the problem of a server that is waited for in vain; nil for none.
func firstDead(list []Problem) *Problem {
	for _, p := range list {
		if p.Kind == FirstServerDead {
			return &p
		}
	}
	return nil
}

// nameservers are those that the libc asks: the first three; without any, this
// machine itself (resolv.conf(5); Go asks ::1, too).
func (w *walker) nameservers(libc string) []netip.AddrPort {
	var out []netip.AddrPort
	if w.in.Server.IsValid() {
		return append(out, w.in.Server)
	}
	for _, a := range w.r.ResolvConf.Nameservers {
		if len(out) < maxServers {
			out = append(out, netip.AddrPortFrom(a, 53))
		}
	}
	if len(out) == 0 {
		out = append(out, netip.MustParseAddrPort("127.0.0.1:53"))
		if libc == "go" {
			out = append(out, netip.MustParseAddrPort("[::1]:53"))
		}
	}
	return out
}

// inTurn asks one server after the other until one's answer is final.
func (w *walker) inTurn(libc string, list []netip.AddrPort, name string) outcome {
	var out outcome
	for i, srv := range list {
		o := whole(libc, w.ask(w.ns.ID, srv, "resolv.conf", name))
		if o.wait > w.limit(libc, len(list)) && (o.definite() || o.verdict == Unknown || o.verdict == ServFail) {
			o = w.late(libc, o, srv, w.limit(libc, len(list)))
		}
		out.steps = append(out.steps, o.steps...)
		out.nobody, out.heard = out.nobody || o.nobody, out.heard || o.heard
		if o.definite() || o.verdict == Unknown {
			out.problems = waited(out.problems, out.wait)
			out.problems = append(out.problems, o.problems...)
			out.verdict, out.answers, out.wait = o.verdict, o.answers, out.wait+o.wait
			return out
		}
		out.problems = append(out.problems, o.problems...)
		if o.verdict == Timeout && !o.unsent {
			t := w.patience(libc, i, len(list))
			out.wait += t
			if n := len(out.steps); n > 0 {
				out.steps[n-1].DurationMs = float64(t.Milliseconds())
			}
		}
		out.verdict = worse(out.verdict, o.verdict)
	}
	out.wait *= time.Duration(w.attempts())
	return w.unserved(out)
}

// race asks all at once: the first final answer counts (musl
// src/network/res_msend.c). Which one is first is not known when they differ.
func (w *walker) race(list []netip.AddrPort, name string) outcome {
	var out outcome
	var best *outcome
	for _, srv := range list {
		o := w.ask(w.ns.ID, srv, "resolv.conf", name)
		if limit := w.limit("musl", len(list)); o.wait > limit && (o.definite() || o.verdict == Unknown || o.verdict == ServFail) {
			o = w.late("musl", o, srv, limit)
		}
		out.steps = append(out.steps, o.steps...)
		out.problems = append(out.problems, o.problems...)
		out.nobody = out.nobody || o.nobody
		switch {
		case !o.definite() && o.verdict != Unknown:
			out.verdict = worse(out.verdict, o.verdict)
		case best == nil:
			best = &o
		case best.verdict != o.verdict || !same(best.answers, o.answers):
			best = &outcome{verdict: Unknown}
			out.step(Step{Where: "resolv.conf", Asked: name, Verdict: stepUnknown, Answer: "musl takes whichever server answers first, and they differ"})
		}
	}
	if best != nil {
		out.verdict, out.answers, out.wait = best.verdict, best.answers, best.wait
		return out
	}
	out.wait = time.Duration(w.timeoutS()) * time.Second
	return w.unserved(out)
}

// whole turns an answer that was cut short for good into none where the libc
// wants the whole (glibc resolv/res_send.c: send_dg goes over to send_vc; Go
// net/dnsclient_unix.go: exchange likewise).
func whole(libc string, o outcome) outcome {
	if o.cut == nil || libc == "musl" {
		return o
	}
	o.verdict, o.answers = Timeout, nil
	o.problems = append(slices.Clone(o.problems), *o.cut)
	return o
}

// late turns an answer that comes after the client gave up into none.
func (w *walker) late(libc string, o outcome, srv netip.AddrPort, limit time.Duration) outcome {
	after := o.wait.Round(100 * time.Millisecond)
	o.step(Step{Where: srv.Addr().String(), Verdict: stepFail, Answer: fmt.Sprintf("answers after %s, the client waits %s", after, limit)})
	if len(o.problems) == 0 {
		o.problems = append(o.problems, Problem{
			Kind: TooLate, Server: srv, Ref: w.refResolver(), Because: w.because(), Wait: limit,
			Detail: fmt.Sprintf("%s answers after %s, and %s in %s waits %s (timeout:%d attempts:%d)", srv.Addr(), after, libc, w.who(), limit, w.timeoutS(), w.attempts()),
		})
	}
	o.verdict, o.answers, o.wait = Timeout, nil, 0
	return o
}

// unserved adds that resolv.conf names no server, when none answered.
func (w *walker) unserved(out outcome) outcome {
	rc := &w.r.ResolvConf
	if len(rc.Nameservers) > 0 || w.in.Server.IsValid() {
		return out
	}
	what := "has no nameserver line"
	switch {
	case rc.Denied != "":
		what = "may not be read there: " + rc.Denied
	case !rc.Exists:
		what = "is missing"
	case strings.TrimSpace(rc.Raw) == "":
		what = "is empty"
	case len(rc.BadLines) > 0:
		what = "has no usable nameserver line (" + strings.TrimSpace(rc.BadLines[0]) + ")"
		if strings.HasSuffix(rc.BadLines[0], "\r") {
			what += ": its lines end in CR LF, and glibc takes the carriage return for a part of the address"
		} else if at, err := netip.ParseAddrPort(last(strings.Fields(rc.BadLines[0]))); err == nil {
			what += fmt.Sprintf(": an address with a port is ignored; %s is asked at port 53 without it", at.Addr())
		}
	}
	detail := "resolv.conf of " + w.who() + " " + what
	if w.embeddedWanted() && rc.Denied == "" {
		detail += "; nameserver 127.0.0.11 is expected there"
	}
	p := Problem{Kind: NoNameserver, Detail: detail, Ref: w.refResolver(), Because: w.because()}
	out.problems = append([]Problem{p}, out.problems...)
	return out
}

// worse orders what failing servers leave behind: an answer of trouble tells
// more than silence.
func worse(a, b Verdict) Verdict {
	for _, v := range []Verdict{ServFail, Refused, Timeout} {
		if a == v || b == v {
			return v
		}
	}
	return b
}

// same says whether two answers are equal but for their order.
func same(a, b []string) bool {
	x, y := slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(x, y)
}

// waited makes the first of the problems the one of servers that each look-up
// waits for in vain, before a later one answers.
func waited(problems []Problem, wait time.Duration) []Problem {
	if len(problems) == 0 || wait == 0 {
		return problems
	}
	out := slices.Clone(problems)
	var dead []string
	for _, p := range out {
		if a := p.Server.Addr().String(); p.Server.IsValid() && !slices.Contains(dead, a) {
			dead = append(dead, a)
		}
	}
	out[0].Kind = FirstServerDead
	out[0].Detail = fmt.Sprintf("each look-up first waits %s for %s: %s", wait, strings.Join(dead, " and "), out[0].Detail)
	return out
}
