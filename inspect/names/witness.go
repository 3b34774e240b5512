package names

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// exactProbe is the last live question for that very name and type to that
// server from that namespace; nil for none. Probes that did not work prove nothing.
func (w *walker) exactProbe(from string, server netip.AddrPort, name string) *snap.Probe {
	for i := len(w.s.Probes) - 1; i >= 0; i-- {
		p := &w.s.Probes[i]
		if w.probed(p, from, server) && Same(p.DNS.Name, name) && strings.EqualFold(p.DNS.Type, w.typ) {
			return p
		}
	}
	return nil
}

// lastProbe is the exact one, else one to that server for any name, which tells whether
// it lives: for the root's servers, whom every name of the world needs, else one that was
// answered, as silence may be about its name alone.
func (w *walker) lastProbe(from string, server netip.AddrPort, name string) *snap.Probe {
	if p := w.exactProbe(from, server, name); p != nil {
		return p
	}
	var heard, last *snap.Probe
	for i := range w.s.Probes {
		p := &w.s.Probes[i]
		switch {
		case !w.probed(p, from, server):
		case p.DNS.Name == "." && p.DNS.Type == "NS":
			return p
		case !silent(p):
			heard = p
		case p.DNS.Type != "AAAA" || w.typ == "AAAA": // whoever is silent to AAAA alone lives: see partly
			last = p
		}
	}
	if heard != nil {
		return heard
	}
	return last
}

// othersHeard says whether the server answered the same asker for another name.
func (w *walker) othersHeard(p *snap.Probe) bool {
	for i := range w.s.Probes {
		if o := &w.s.Probes[i]; o.DNS != nil && o.From == p.From && o.Dst == p.Dst && o.DNS.TCP == p.DNS.TCP && !silent(o) && !Same(o.DNS.Name, p.DNS.Name) {
			return p.Outcome == snap.TimedOut
		}
	}
	return false
}

func (w *walker) probed(p *snap.Probe, from string, server netip.AddrPort) bool {
	return p.Kind == "dns" && p.DNS != nil && p.From == from && p.Dst == server && p.Outcome != snap.Failed && p.Outcome != "" &&
		!p.DNS.EDNS && (p.DNS.TCP == w.in.TCP || p.DNS.TC)
}

// otherwise is what the same question came to in another way: by TCP, or with
// EDNS; nil when it was not asked so.
func (w *walker) otherwise(p *snap.Probe, tcp, edns bool) *snap.Probe {
	for i := len(w.s.Probes) - 1; i >= 0; i-- {
		o := &w.s.Probes[i]
		if o.Kind == "dns" && o.DNS != nil && o.From == p.From && o.Dst == p.Dst && o.DNS.Name == p.DNS.Name && o.DNS.Type == p.DNS.Type &&
			o.DNS.TCP == tcp && o.DNS.EDNS == edns && o.Outcome != snap.Failed && o.Outcome != "" {
			return o
		}
	}
	return nil
}

// thrownAway says what came and could not be believed; "" nothing.
func thrownAway(p *snap.Probe) string {
	words := map[string]string{"id": "with another id", "question": "to another question", "source": "from another address", "malformed": "that are malformed"}
	var list []string
	for _, b := range p.DNS.Bad {
		if w := words[b]; w != "" {
			list = append(list, w)
		}
	}
	if len(list) == 0 {
		return ""
	}
	return "answers " + strings.Join(list, " and ")
}

// silent says whether nothing came back.
func silent(p *snap.Probe) bool { return p.Outcome != snap.Answered }

// verdictOf reads a live answer.
func verdictOf(p *snap.Probe, typ string) (Verdict, []string) {
	switch p.Outcome {
	case snap.Answered:
	case snap.Refused:
		return Refused, nil
	default:
		return Timeout, nil
	}
	var answers []string
	for _, a := range p.DNS.Answers {
		if v, ok := strings.CutPrefix(a, typ+" "); ok {
			answers = append(answers, v)
		}
	}
	switch rc := p.DNS.RCode; {
	case rc == "NOERROR" && len(answers) > 0:
		return Resolved, answers
	case rc == "NOERROR" && p.DNS.TC:
		return Unknown, nil // cut short, and the rest did not come
	case rc == "NOERROR":
		return NoData, nil
	case rc == "NXDOMAIN":
		return NXDomain, nil
	case rc == "REFUSED":
		return Refused, nil
	}
	return ServFail, nil
}

// lateMs is from when on the time that a server took may matter: clients count what
// they wait in seconds (resolv.conf(5), timeout).
const lateMs = 1000

// seen turns a live answer into an outcome.
func (w *walker) seen(p *snap.Probe, name, role string) outcome {
	var o outcome
	o.verdict, o.answers = verdictOf(p, w.typ)
	o.heard = !silent(p)
	if o.heard && p.RTTMs >= lateMs {
		o.wait = time.Duration(p.RTTMs * float64(time.Millisecond))
	}
	ref := w.refProbe(p)
	s := Step{
		Where: where(role, p.Dst), Asked: name, LeavesFrom: p.From, DurationMs: p.RTTMs, Because: []snap.Ref{ref},
		Answer: "says " + p.DNS.RCode, Verdict: stepOK,
	}
	switch {
	case o.verdict == Resolved:
		s.Answer = strings.Join(o.answers, ", ")
		if p.DNS.TC && !p.DNS.TCP {
			s.Verdict, s.Answer = stepFail, fmt.Sprintf("%d records, cut short; by TCP the rest does not come", len(o.answers))
			o.cut = &Problem{
				Kind: BigAnswersLost, Server: p.Dst, Ref: ref, Because: []snap.Ref{ref},
				Detail: fmt.Sprintf("the answer of %s for %s is too big for UDP, and %s", p.Dst.Addr(), name, strings.Replace(p.Detail, "the answer was cut short, and ", "", 1)),
			}
			if w.in.Reach != nil {
				if r := w.in.Reach(p.From, p.Dst, snap.TCP); r.Known && !r.OK {
					o.cut.Detail += ": " + r.Why
					o.cut.Because = append(o.cut.Because, r.Because...)
				}
			}
		}
		if bad := thrownAway(p); bad != "" {
			s.Answer += " (and " + bad + ")"
		}
		o.step(s)
	case silent(p):
		s.Answer = ""
		o.fail(o.verdict, s, w.deadServer(p))
	case o.verdict == Refused || o.verdict == ServFail:
		o.fail(o.verdict, s, w.looped(&Problem{
			Kind: UpstreamRefuses, Server: p.Dst, Ref: ref, Because: []snap.Ref{ref},
			Detail: p.Dst.Addr().String() + " answers " + p.DNS.RCode + " for " + name + " when asked from " + w.nsName(w.s.Ns(p.From)),
		}))
	case o.verdict == Unknown:
		s.Verdict, s.Answer = stepUnknown, "cut short, and TCP gave no more"
		o.step(s)
	default:
		s.Verdict = stepFail
		o.step(s)
	}
	return o
}

// deadServer is the problem of a server that was asked and did not answer.
func (w *walker) deadServer(p *snap.Probe) *Problem {
	ref := w.refProbe(p)
	const silence = "does not answer"
	what := silence
	switch {
	case p.Outcome == snap.Refused:
		what = "refuses: nothing listens on port 53 there"
	case p.By.IsValid():
		what = "cannot be reached: " + p.By.String() + " says so (" + p.Errno + ")"
	case p.Outcome == snap.Unroutable:
		what = "cannot be reached: " + p.Detail
	case thrownAway(p) != "":
		what = "sends nothing but " + thrownAway(p)
	}
	if t := w.otherwise(p, !p.DNS.TCP, false); t != nil && !silent(t) {
		what += " by " + by(p) + ", but by " + by(t) + " it does"
	}
	why := ""
	if what != silence {
		why = "it " + what
	}
	kind, alone := UpstreamDead, ""
	if why == "" && w.othersHeard(p) {
		kind, alone = SilentForName, strings.TrimSuffix(p.DNS.Name, ".")
		if alone == "" {
			alone = "names of the Internet" // the question for the root stands for them
		}
		what += " for " + alone + ", and answers other questions"
	}
	return w.looped(&Problem{
		Kind: kind, For: alone, Server: p.Dst, Ref: ref, Because: []snap.Ref{ref}, Why: why, From: p.From,
		Detail: p.Dst.Addr().String() + " " + what + ", asked from " + w.nsName(w.s.Ns(p.From)),
	})
}

func by(p *snap.Probe) string {
	if p.DNS.TCP {
		return "TCP"
	}
	return "UDP"
}

func (w *walker) refProbe(p *snap.Probe) snap.Ref {
	for i := range w.s.Probes {
		if &w.s.Probes[i] == p {
			return snap.RefProbe(i + 1)
		}
	}
	return ""
}

// stub is what a live question to systemd-resolved's stub says.
func (w *walker) stub() (outcome, bool) {
	srv := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 53}), 53)
	if p := w.exactProbe(w.ns.ID, srv, w.in.Name); p != nil {
		return w.seen(p, w.in.Name, "resolv.conf"), true
	}
	return outcome{}, false
}
