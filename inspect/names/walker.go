package names

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Words of Step.Verdict.
const (
	stepOK      = "ok"
	stepFail    = "fail"
	stepSkip    = "skip"
	stepUnknown = "unknown"
)

// outcome is what one look-up comes to, in whole or in part.
type outcome struct {
	verdict  Verdict
	answers  []string
	wait     time.Duration // spent on servers that keep silent
	steps    []Step
	problems []Problem
	// candidates are filled in by run only.
	candidates []string
	// hosts is the line of the hosts file that answered, nil for none.
	hosts *snap.HostsLine
	// dns says that name servers were asked.
	dns bool
	// cut is the problem of an answer that was cut short, and whose rest did not
	// come by TCP; nil for none. musl takes what there is, the others nothing.
	cut *Problem
	// nobody says that the engine's own records were searched in vain.
	nobody bool
	// unsent says that the question could not be sent: nobody waits for an answer.
	unsent bool
	// heard says that a server answered something, be it REFUSED.
	heard bool
	// own is what came of the name as it stands; "" where it was not asked for. remarks
	// are problems of the search list's names, where that is the answer.
	own     Verdict
	remarks []Problem
}

func (o *outcome) step(s Step) { o.steps = append(o.steps, s) }

// fail notes a problem and the step that shows it.
func (o *outcome) fail(v Verdict, s Step, p *Problem) {
	s.Verdict = stepFail
	if s.Answer == "" {
		s.Answer = p.Detail
	}
	s.Because = append(s.Because, p.Because...)
	o.verdict = v
	o.steps = append(o.steps, s)
	o.problems = append(o.problems, *p)
}

// definite says whether a server's answer ends the search for this name.
func (o outcome) definite() bool {
	return o.verdict == Resolved || o.verdict == NXDomain || o.verdict == NoData
}

// walker holds the question and what was found out so far.
type walker struct {
	in   Input
	s    *snap.Snapshot
	ns   *snap.Netns
	c    *snap.Container // who asks, nil for none
	box  *snap.Container // whose endpoints the namespace has: c, or the container it shares it with
	r    *snap.Resolver
	typ  string
	libc string
	// seenOnly takes every server's answer from probes and predicts none.
	seenOnly bool
	// predicted is what was predicted before, with seenOnly.
	predicted map[question]outcome

	servers []Server
	memo    map[question]outcome
	reached map[reachKey]Reach
}

// question is one look-up at one server.
type question struct {
	from, name, typ string
	server          netip.AddrPort
}

type reachKey struct {
	from   string
	server netip.AddrPort
}

func newWalker(in Input) *walker {
	w := &walker{in: in, s: in.Snap, typ: strings.ToUpper(in.Type), memo: map[question]outcome{}, reached: map[reachKey]Reach{}}
	if w.typ == "" {
		w.typ = "A"
	}
	w.c = w.s.Container(in.Container)
	id := in.Netns
	if id == "" && w.c != nil {
		id = w.c.Netns
	}
	if id == "" && in.Container == "" {
		id = w.s.Host.Netns
	}
	w.ns = w.s.Ns(id)
	if w.ns == nil {
		return w
	}
	if w.c == nil && w.ns.ID != w.s.Host.Netns && len(w.ns.Containers) > 0 {
		w.c = w.s.Container(w.ns.Containers[0])
	}
	w.box = w.c
	if w.c != nil && len(w.c.Endpoints) == 0 && w.ns.ID != w.s.Host.Netns {
		for _, ref := range w.ns.Containers {
			if c := w.s.Container(ref); c != nil && len(c.Endpoints) > 0 {
				w.box = c
				break
			}
		}
	}
	w.r = w.resolver()
	w.libc = in.Libc
	if w.libc == "" && w.r != nil {
		w.libc = w.r.Libc
	}
	if !slices.Contains(libcs(), w.libc) {
		w.libc = "glibc"
	}
	w.in.TCP = in.TCP || w.usesVC(w.libc)
	return w
}

// usesVC says whether a library asks by TCP from the start, as the option use-vc of
// resolv.conf(5) wants: glibc's res_send.c and Go's net/dnsconfig_unix.go obey it,
// musl has no such option. Docker's resolver asks its upstreams as it was asked
// (moby daemon/libnetwork/resolver.go: forwardExtDNS).
func (w *walker) usesVC(libc string) bool {
	return w.r != nil && w.r.ResolvConf.UseVC && libc != "musl" && !w.in.Server.IsValid()
}

// resolver finds the files that the asker reads: the container's own, those of
// whom it shares the namespace with, else the host's, which a process in a
// plain namespace sees too.
func (w *walker) resolver() *snap.Resolver {
	if w.c != nil {
		if r := w.s.Resolver(w.c.Ref); r != nil {
			return r
		}
		for _, ref := range w.ns.Containers {
			if r := w.s.Resolver(ref); r != nil && strings.HasPrefix(w.c.NetworkMode, "container:") {
				return r
			}
		}
		return nil
	}
	if r := w.s.Resolver(w.ns.ID); r != nil {
		return r
	}
	return w.s.Resolver("host")
}

func (w *walker) netns() string {
	if w.ns == nil {
		return w.in.Netns
	}
	return w.ns.ID
}

// who is the asker's name on screen.
func (w *walker) who() string {
	if w.c != nil && w.c.Name != "" {
		return w.c.Name
	}
	return w.netns()
}

// proto is what servers are asked by.
func (w *walker) proto() snap.Proto {
	if w.in.TCP {
		return snap.TCP
	}
	return snap.UDP
}

// reach asks the simulator, once for each server.
func (w *walker) reach(from string, server netip.AddrPort) Reach {
	if w.in.Reach == nil {
		return Reach{}
	}
	k := reachKey{from, server}
	if r, ok := w.reached[k]; ok {
		return r
	}
	r := w.in.Reach(from, server, w.proto())
	w.reached[k] = r
	return r
}

// addServer notes a server on the way, once for each place it is asked from.
func (w *walker) addServer(s Server) {
	for i := range w.servers {
		if w.servers[i].Addr == s.Addr && w.servers[i].AskedFrom == s.AskedFrom {
			return
		}
	}
	w.servers = append(w.servers, s)
}

// gap finds what could not be read of a namespace, by the noun; nil: nothing
// is missing.
func (w *walker) gap(netns string, whats ...string) (snap.Ref, *snap.Gap) {
	for i := range w.s.Gaps {
		g := &w.s.Gaps[i]
		if g.Netns != netns {
			continue
		}
		for _, what := range whats {
			if strings.Contains(g.What, what) {
				return snap.RefGap(i), g
			}
		}
	}
	return "", nil
}

// fold is a name for comparing: lower case, without the last dot.
func fold(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// Same compares names as DNS does: whatever the case, with the last dot or without it
// (RFC 4343, section 2).
func Same(a, b string) bool { return fold(a) == fold(b) }

// short keeps a list readable.
func short(list []string, most int) string {
	if len(list) > most {
		return strings.Join(list[:most], ", ") + " …"
	}
	return strings.Join(list, ", ")
}
