package names

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// run looks the name up as one C library (or Go) does.
func (w *walker) run(libc string) outcome {
	out := outcome{verdict: NXDomain}
	order := w.sources(libc)
	asked := false
	if w.in.Server.IsValid() {
		order = []string{"dns"} // a server that is named is asked, and no file
	}
	for i, src := range order {
		if strings.HasPrefix(src, "[") {
			continue
		}
		o := w.source(libc, src)
		asked = asked || src == "dns"
		out.steps = append(out.steps, o.steps...)
		out.problems = append(out.problems, o.problems...)
		out.wait += o.wait
		out.nobody = out.nobody || o.nobody
		out.dns = out.dns || o.dns
		if src == "dns" {
			out.own, out.remarks = o.own, o.remarks
		}
		if len(o.candidates) > 0 {
			out.candidates = o.candidates
		}
		st := status(src, o)
		late := src == "files" && out.dns && o.verdict == NXDomain // DNS said more before
		if !late && (st != "UNAVAIL" || o.verdict != NXDomain) {
			out.verdict, out.answers, out.hosts = o.verdict, o.answers, o.hosts
		}
		if src == "files" && o.verdict == NoData {
			asked = true // musl's last word: DNS is left out on purpose
			break
		}
		if st == "UNKNOWN" || returns(order[i+1:], st) {
			break
		}
	}
	if p := w.unasked(libc, order); p != nil && out.verdict != Resolved {
		out.fail(out.verdict, Step{Where: "nsswitch", Asked: w.in.Name}, p)
		return out
	}
	if ends := returnsBeforeDNS(order); !asked && out.verdict != Resolved && (ends != "" || !slices.Contains(order, "dns")) {
		p := &Problem{Kind: NoDNSSource, Detail: "nsswitch.conf looks in " + strings.Join(order, " ") + ", not in DNS", Ref: w.refResolver(), Because: w.because()}
		if ends != "" {
			p.Detail = "nsswitch.conf (" + strings.Join(order, " ") + ") ends the search at " + ends + ", before DNS is asked"
		}
		out.fail(out.verdict, Step{Where: "nsswitch", Asked: w.in.Name}, p)
	}
	return out
}

// returnsBeforeDNS is the action behind "files" that ends the search for all names which
// are not there, though DNS stands behind it; "" for none.
func returnsBeforeDNS(order []string) string {
	k, dns := slices.Index(order, "files"), slices.Index(order, "dns")
	if k < 0 || dns < k || !returns(order[k+1:], "NOTFOUND") {
		return ""
	}
	return order[k+1]
}

// unasked tells of a name that the hosts file holds, and that nobody looks for there;
// nil for none.
func (w *walker) unasked(libc string, order []string) *Problem {
	if slices.Contains(order, "files") || w.in.Server.IsValid() {
		return nil
	}
	o := w.files(libc)
	if o.hosts == nil {
		return nil
	}
	return &Problem{
		Kind: NoFilesSource, Ref: w.refResolver(), Because: w.because(),
		Detail: fmt.Sprintf("nsswitch.conf looks in %s, not in files, so that line %d of /etc/hosts (%s) does not count", strings.Join(order, " "), o.hosts.Line, o.hosts.Addr),
	}
}

// status is an outcome in the words of nsswitch.conf(5).
func status(src string, o outcome) string {
	switch o.verdict {
	case Resolved:
		return "SUCCESS"
	case Unknown:
		return "UNKNOWN"
	case NXDomain, NoData:
		if src != "files" && src != "dns" {
			return "UNAVAIL"
		}
		return "NOTFOUND"
	case ServFail, Refused, Timeout:
		return "TRYAGAIN"
	}
	return "UNAVAIL"
}

// returns says whether the search ends after a source with that status: the
// actions that follow the source, else the default of ending on success
// (nsswitch.conf(5)).
func returns(rest []string, st string) bool {
	for _, a := range rest {
		if !strings.HasPrefix(a, "[") {
			break
		}
		for _, word := range strings.Fields(strings.Trim(a, "[]")) {
			cond, act, _ := strings.Cut(strings.ToUpper(word), "=")
			not := strings.HasPrefix(cond, "!")
			if (strings.TrimPrefix(cond, "!") == st) != not {
				return act == "RETURN"
			}
		}
	}
	return st == "SUCCESS"
}

// sources is the order of the hosts database. musl knows no nsswitch.conf
// (src/network/lookup_name.c: hosts, then DNS). Without the file glibc means
// "files dns" since 2.35 (before: "dns [!UNAVAIL=return] files"), and so does
// Go (net/conf.go).
func (w *walker) sources(libc string) []string {
	if libc == "musl" || len(w.r.NSSwitch) == 0 {
		return []string{"files", "dns"}
	}
	return w.r.NSSwitch
}

// source looks in one place.
func (w *walker) source(libc, src string) outcome {
	switch src {
	case "files":
		return w.files(libc)
	case "dns":
		return w.dns(libc)
	}
	o := outcome{verdict: NXDomain}
	s := Step{Where: "nsswitch", Asked: src, Verdict: stepSkip, LeavesFrom: ""}
	inside := w.ns.ID != w.s.Host.Netns
	switch {
	case src == "myhostname" && !inside && w.s.Host.Name != "" && Same(w.in.Name, w.s.Host.Name):
		o.verdict, s.Verdict, s.Answer = Unknown, stepUnknown, "this host's own name"
	case strings.HasPrefix(src, "mdns") && strings.HasSuffix(fold(w.in.Name), ".local"):
		o.verdict, s.Verdict, s.Answer = Unknown, stepUnknown, "what mDNS answers is not known"
	case src == "resolve" && !inside && w.s.Host.Services["systemd-resolved"] > 0:
		// nss-resolve asks systemd-resolved over its own socket, not by resolv.conf.
		o.verdict, s.Verdict, s.Answer = Unknown, stepUnknown, "systemd-resolved answers, what is not known"
		if v, seen := w.stub(); seen {
			return v
		}
	default:
		s.Answer = "does not know it"
	}
	o.step(s)
	return o
}

// whole is the name as it stands in a question.
func (w *walker) whole() string {
	if w.typ == "PTR" {
		return reverse(w.in.Name)
	}
	return w.in.Name
}

// candidates are the full names in the order tried.
//
// glibc: resolv/res_query.c:__res_context_search. musl:
// src/network/lookup_name.c:name_from_dns_search, which leaves the search list
// out as soon as the name has ndots dots. Go: net/dnsclient_unix.go:nameList.
func (w *walker) candidates(libc string) []string {
	name := w.whole()
	rc := &w.r.ResolvConf
	bare := strings.TrimSuffix(name, ".")
	dots := strings.Count(bare, ".")
	if bare == "" {
		return []string{"."} // the root
	}
	if strings.HasSuffix(name, ".") || len(rc.Search) == 0 || w.typ == "PTR" {
		return []string{bare}
	}
	var list []string
	root := false
	for _, d := range rc.Search {
		if d = strings.TrimSuffix(d, "."); d == "" {
			list, root = append(list, bare), true
			continue
		}
		list = append(list, bare+"."+d)
	}
	switch {
	case libc == "musl" && dots >= rc.Ndots:
		return []string{bare}
	case dots >= rc.Ndots:
		return slices.Compact(append([]string{bare}, list...))
	case root && libc == "glibc":
		return list
	}
	return append(list, bare)
}

// dns tries the candidates at the servers.
func (w *walker) dns(libc string) outcome {
	out := outcome{verdict: NXDomain, dns: true}
	out.candidates = w.candidates(libc)
	rc := &w.r.ResolvConf
	if len(rc.Search) > 0 && len(out.candidates) > 1 {
		out.step(Step{
			Where: "search list", Asked: w.in.Name, Verdict: stepOK, Because: w.because(),
			Answer: strings.Join(out.candidates, ", then "),
		})
	}
	var soft Verdict       // the worst that the search list met, kept while the search goes on
	var own, first Verdict // what came of the name as it stands; where it is tried first
	var nodata bool        // a name of the search list is there, without that type
	var more []Problem     // of names of the search list
	var late []string      // names of the search list that no answer comes for
	var silent []Problem   // what was said of them
	for i := 0; i < len(out.candidates); i++ {
		name := out.candidates[i]
		o := w.lookup(libc, name)
		listed := !Same(name, w.in.Name)
		out.steps = append(out.steps, o.steps...)
		out.wait += o.wait
		out.nobody = out.nobody || o.nobody
		out.verdict, out.answers = o.verdict, o.answers
		if !listed {
			own = o.verdict
			if i == 0 {
				first = own
			}
		}
		nodata = nodata || listed && o.verdict == NoData
		if listed && o.wait > 0 && !o.definite() && o.verdict != Unknown {
			late, silent = append(late, name), append(silent, o.problems...)
		} else if listed {
			more = append(more, o.problems...)
		} else {
			out.problems = append(out.problems, o.problems...)
		}
		if o.definite() || o.verdict == Unknown && w.alive(libc) {
			// The servers live: what was waited for is the search list's doing.
			if p := w.slowSearch(late, out.wait-o.wait, silent); p != nil {
				out.problems = append(out.problems, *p)
				late, silent = nil, nil
			}
		}
		if o.verdict == Resolved {
			if p := w.astray(libc, name, o); p != nil {
				out.problems = append(out.problems, *p)
			}
		}
		if o.verdict == Resolved || o.verdict == Unknown {
			break
		}
		if o.verdict == NXDomain || i == len(out.candidates)-1 {
			continue
		}
		to, keep := onward(libc, o, listed)
		if keep && soft == "" {
			soft = o.verdict
		}
		if to == asIs && listed && !listedIn(out.candidates[:i], w.in.Name) {
			i = max(i, len(out.candidates)-2) // the last one is the name as it stands
			continue
		}
		if to == asIs || to == stopIt {
			if listed {
				out.problems = append(out.problems, Problem{
					Kind: BadSearch, Ref: w.refResolver(), Because: w.because(),
					Detail: libc + " stops at " + name + " of the search list (" + string(o.verdict) + ") and never asks for the rest",
				})
			}
			soft, first = "", ""
			break
		}
	}
	more = append(more, silent...)
	for i := range more {
		list := &out.problems
		if (own == NXDomain || own == NoData) && out.verdict != Resolved && rank(more[i].Kind) == rank(UpstreamDead) {
			list = &out.remarks // the name itself was answered
		}
		*list = append(*list, more[i])
	}
	out.own = own
	// glibc resolv/res_query.c: __res_context_search gives back what came of the name as
	// it stands where that was tried first (saved_herrno), else NO_DATA of the list
	// (got_nodata), else TRY_AGAIN after a SERVFAIL there (got_servfail).
	switch final := out.verdict == Resolved || out.verdict == Unknown; {
	case libc == "glibc" && !final && first != "":
		out.verdict = first
	case libc == "glibc" && !final && nodata:
		out.verdict = NoData
	case soft != "" && out.verdict == NXDomain:
		out.verdict = soft
	}
	return out
}

// listedIn says whether the name itself was among the candidates.
func listedIn(candidates []string, name string) bool {
	return slices.ContainsFunc(candidates, func(c string) bool { return Same(c, name) })
}

// alive says whether one of the servers answered anything.
func (w *walker) alive(libc string) bool {
	for _, srv := range w.nameservers(libc) {
		for i := range w.s.Probes {
			if p := &w.s.Probes[i]; w.probed(p, w.ns.ID, srv) && !silent(p) {
				return true
			}
		}
	}
	return false
}

// maxServers is MAXNS of resolv.h; musl and Go took it over.
const maxServers = 3

// limit is how long a client waits for one server in all, late answers counted
// in. glibc sends the same question again on the same socket and so takes a
// late answer; musl's timeout is for all tries together; Go asks anew.
func (w *walker) limit(libc string, servers int) time.Duration {
	t := time.Duration(w.timeoutS()) * time.Second
	if libc == "glibc" && servers == 1 {
		return t * time.Duration(w.attempts())
	}
	return t
}

func (w *walker) timeoutS() int {
	if t := w.r.ResolvConf.TimeoutS; t > 0 {
		return t
	}
	return 5
}

func (w *walker) attempts() int {
	if a := w.r.ResolvConf.Attempts; a > 0 {
		return a
	}
	return 2
}

// patience is how long the n-th server is waited for on the first round:
// glibc resolv/res_send.c:send_dg; Go waits its timeout for each.
func (w *walker) patience(libc string, n, servers int) time.Duration {
	t := w.timeoutS()
	if libc == "glibc" && n > 0 {
		t = max(t<<n/servers, 1)
	}
	return time.Duration(t) * time.Second
}
