package names

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ControlLabel is the host part of a name that nobody has. Asked below a domain
// of the search list it tells whether that domain answers to everything.
const ControlLabel = "netdoctor-no-such-name"

// next says what a libc does after a candidate that gave no address.
type next int

const (
	goOn   next = iota // with the next one
	asIs               // with the name as it stands, the rest of the list left out
	stopIt             // not at all
)

// onward is that for every verdict but NXDOMAIN, after which all go on; keep
// says that the verdict stays when nothing better comes. listed is a name of the
// search list.
func onward(libc string, o outcome, listed bool) (n next, keep bool) {
	switch libc {
	case "musl": // src/network/lookup_name.c: name_from_dns_search returns anything but 0
		return stopIt, false
	case "go": // net/dnsclient_unix.go: goLookupIPCNAMEOrder goes on, and remembers the error
		return goOn, true
	}
	// glibc resolv/res_query.c: __res_context_search tries the list whatever came of
	// the name as it stands. In the list it goes on after NO_DATA and SERVFAIL, ends
	// at once when nobody listens (ECONNREFUSED), and after other trouble, REFUSED
	// too, leaves it for the name as it stands.
	switch {
	case !listed, o.verdict == NoData, o.verdict == ServFail:
		return goOn, true
	case o.verdict == Refused && !o.heard:
		return stopIt, true
	}
	return asIs, true
}

// slowSearch is the problem of look-ups that wait for names of the search list
// which a living server gives no answer for; nil when it is none.
func (w *walker) slowSearch(late []string, wait time.Duration, silent []Problem) *Problem {
	if len(late) == 0 || wait == 0 {
		return nil
	}
	p := Problem{Kind: SlowSearch, Ref: w.refResolver(), Because: w.because(), Domain: strings.TrimPrefix(fold(late[0]), fold(w.in.Name)+"."), Wait: wait}
	p.Detail = fmt.Sprintf("each look-up first waits %s for %s, of the search list in resolv.conf of %s: no answer comes", wait, strings.Join(late, " and "), w.who())
	for _, x := range silent {
		p.Server = x.Server
		for _, b := range x.Because {
			if !slices.Contains(p.Because, b) {
				p.Because = append(p.Because, b)
			}
		}
	}
	return &p
}

// astray is the problem of a name that the search list leads elsewhere than it
// leads by itself, or to an address that its domain gives for every name; nil
// when the list is no part of the answer, or a good one.
func (w *walker) astray(libc, name string, got outcome) *Problem {
	bare := fold(w.in.Name)
	domain, ok := strings.CutPrefix(fold(name), bare+".")
	if !ok || w.typ != "A" && w.typ != "AAAA" {
		return nil
	}
	p := Problem{Kind: BadSearch, Ref: w.refResolver(), Because: w.because(), Domain: domain, Answers: got.answers}
	self := w.lookup(libc, w.in.Name)
	wild := w.wildcard(libc, domain)
	switch {
	case self.verdict == Resolved && !same(self.answers, got.answers):
		p.Detail = fmt.Sprintf("the search list makes %s of %s, which is %s; by itself %s is %s",
			name, w.in.Name, strings.Join(got.answers, ", "), w.in.Name, strings.Join(self.answers, ", "))
	case wild != nil && (self.verdict != Resolved || same(self.answers, got.answers)):
		if self.verdict == Resolved {
			return nil
		}
		p.Detail = fmt.Sprintf("%s has no such name: the search list makes %s of it, and %s gives %s for whatever is asked",
			w.in.Name, name, domain, strings.Join(got.answers, ", "))
	default:
		return nil
	}
	if wild != nil {
		p.Because = append(p.Because, w.refProbe(wild))
		if self.verdict == Resolved {
			p.Detail += "; " + domain + " answers to every name"
		}
	}
	return &p
}

// wildcard is a live answer with addresses for a name that nobody has in the
// domain; nil when there is none.
func (w *walker) wildcard(libc, domain string) *snap.Probe {
	control := ControlLabel + "." + domain
	if strings.HasPrefix(fold(w.in.Name), ControlLabel+".") {
		control = fold(w.in.Name) + "." + domain
	}
	for _, srv := range w.nameservers(libc) {
		if p := w.exactProbe(w.ns.ID, srv, control); p != nil && !silent(p) {
			if v, answers := verdictOf(p, w.typ); v == Resolved && len(answers) > 0 {
				return p
			}
		}
	}
	return nil
}
