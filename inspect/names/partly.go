package names

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// partly is the problem of a server that answers, and keeps silent to another question
// for the same name that programs ask as well: for its IPv6 addresses (getaddrinfo asks
// for both families at once, and waits for both), or with EDNS where resolv.conf says
// edns0. nil when none was seen.
func (w *walker) partly(path *Path) *Problem {
	for k := len(w.servers) - 1; k >= 0; k-- { // the one behind is the cause of the one before
		s := &w.servers[k]
		for i := range w.s.Probes {
			p := &w.s.Probes[i]
			if s.Reach.Known && !s.Reach.OK {
				break // what was answered, was so before the way was cut
			}
			if p.Kind != "dns" || p.DNS == nil || p.From != s.AskedFrom || p.Dst != s.Addr || p.Outcome != snap.TimedOut || p.DNS.TCP || len(p.DNS.Bad) > 0 {
				continue
			}
			six := w.typ == "A" && p.DNS.Type == "AAAA" && !p.DNS.EDNS
			edns := p.DNS.EDNS && w.edns() && p.DNS.Type != "AAAA"
			name := fold(p.DNS.Name)
			if !six && !edns || name != "" && !slices.ContainsFunc(path.Candidates, func(c string) bool { return fold(c) == name }) {
				continue
			}
			t := w.heard(p, six)
			if t == nil || t.RTTMs >= lateMs/2 || six && p.Died == nil && w.silences(p) < 2 {
				continue // a server that is slow to one may be slow to the other: it is asked again
			}
			x := &Problem{Kind: HalfSilent, Server: s.Addr, Ref: w.refProbe(p), Because: []snap.Ref{w.refProbe(p), w.refProbe(t)}}
			what := "for " + p.DNS.Type
			if edns {
				what, x.Domain = "with EDNS, which options edns0 has glibc ask with", "edns0"
			}
			x.Detail = fmt.Sprintf("%s answers %s of %s when asked from %s, and keeps silent to the same question %s",
				s.Addr.Addr(), t.DNS.Type, p.DNS.Name, w.nsName(w.s.Ns(p.From)), what)
			return x
		}
	}
	return nil
}

// onlySix is the problem of a name that has an IPv6 address and no IPv4 one, asked for
// the latter: a server that does not know that may answer as it likes (dnsmasq, given an
// IPv6 address alone, asks its own server for the other). nil when it has none, or has
// not been asked.
func (w *walker) onlySix(p *Path) *Problem {
	if w.typ != "A" || p.Verdict == Resolved || p.Verdict == Unknown || p.Verdict == Timeout {
		return nil
	}
	for i := range w.s.Probes {
		x := &w.s.Probes[i]
		if x.DNS == nil || x.DNS.Type != "AAAA" || x.From != w.ns.ID || !Same(x.DNS.Name, w.in.Name) {
			continue
		}
		if v, answers := verdictOf(x, "AAAA"); v == Resolved {
			p.Verdict = NoData
			out := &Problem{
				Kind: NoSuchName, Server: x.Dst, Ref: w.refProbe(x), Because: []snap.Ref{w.refProbe(x)}, Answers: answers,
				Detail: fmt.Sprintf("%s has an IPv6 address only (%s)", w.in.Name, short(answers, 4)),
			}
			if !w.hasSix() {
				out.Kind = OnlyIPv6
				out.Detail += ", and " + w.who() + " has no IPv6"
			}
			return out
		}
	}
	return nil
}

// silences counts how often the very question was asked in vain.
func (w *walker) silences(p *snap.Probe) int {
	n := 0
	for i := range w.s.Probes {
		if o := &w.s.Probes[i]; o.DNS != nil && o.From == p.From && o.Dst == p.Dst && o.Outcome == p.Outcome && o.DNS.Name == p.DNS.Name && o.DNS.Type == p.DNS.Type && o.DNS.EDNS == p.DNS.EDNS {
			n++
		}
	}
	return n
}

// heard is an answer to the twin of a question that none came to, be it cut short and
// brought by TCP; nil for none, and where the very question was answered another time.
func (w *walker) heard(p *snap.Probe, six bool) *snap.Probe {
	var twin *snap.Probe
	for i := range w.s.Probes {
		t := &w.s.Probes[i]
		if t.Kind != "dns" || t.DNS == nil || t.From != p.From || t.Dst != p.Dst || t.DNS.Name != p.DNS.Name || t.DNS.TCP && !t.DNS.TC || silent(t) {
			continue
		}
		switch {
		case t.DNS.Type == p.DNS.Type && t.DNS.EDNS == p.DNS.EDNS:
			return nil
		case !t.DNS.EDNS && (t.DNS.Type == p.DNS.Type || six):
			twin = t
		}
	}
	return twin
}

// edns says whether the asker's library asks with EDNS: glibc, where it is told to
// (resolv.conf(5), edns0); musl never.
func (w *walker) edns() bool {
	return w.r != nil && w.r.ResolvConf.EDNS0 && w.libc == "glibc" && !w.in.Server.IsValid()
}
