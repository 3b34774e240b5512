package render

import (
	"fmt"
	"slices"
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

// dns is the screen of one name.
func (p *printer) dns(r *v1.DNSResult, wide bool) {
	if p.st.Short {
		p.short(r)
		return
	}
	p.flow = nameFlag(r)
	defer func() { p.flow = "" }()
	if !p.st.Quiet {
		p.way(r, wide)
	}
	if len(r.Findings) > 0 && !p.st.Quiet {
		p.line()
	}
	p.findings(r.Findings, wide)
	if !p.st.Quiet {
		p.skipped(r.Coverage.Skipped, p.st.Verbose || wide)
	}
	if wide || p.st.Verbose {
		p.sent(r.Sent)
	}
}

// nameFlag tells fix of the name; nothing where its words would need quotes.
func nameFlag(r *v1.DNSResult) string {
	if !plainWord.MatchString(r.From.Target) || !plainWord.MatchString(r.Name) {
		return ""
	}
	typ := ""
	if r.Type != "A" {
		typ = " " + r.Type
	}
	return fmt.Sprintf(` --flow "%s ? %s%s"`, r.From.Target, r.Name, typ)
}

// way is a name's way from one place.
func (p *printer) way(r *v1.DNSResult, wide bool) {
	p.ends([]span{in(bold, r.From.Target+" asks "+r.Name+" "+r.Type)}, in(paintOf(r.Verdict), strings.ToUpper(r.Verdict)))
	p.line()
	var rows [][]span
	for _, st := range r.Steps {
		sign, paint := p.st.sign(st.Verdict)
		if st.Verdict == "skip" {
			sign, paint = "-", dim
		}
		cells := []span{in(paint, sign), s(st.Where), s(st.Asked)}
		if wide {
			cells = append(cells, s(st.LeavesFrom))
		}
		rows = append(rows, append(cells, s(fewer(strings.Split(st.Answer, ", "), wide || p.st.Verbose))))
	}
	if len(rows) > 0 {
		head := []string{"", "where", "asked", "answer"}
		if wide {
			head = []string{"", "where", "asked", "leaves from", "answer"}
		}
		p.table("", head, rows)
		p.line()
	}
	p.servers(r, wide)
	if len(r.Answers) > 0 {
		p.labelled("", "answer", s(fewer(r.Answers, wide || p.st.Verbose)))
	}
	if r.Problem != nil {
		p.labelled("", "why", s(r.Problem.Detail))
	}
	if wide || p.st.Verbose || differ(r.Libc) {
		p.labelled("", "libc", s("glibc "+libcWords(&r.Libc.Glibc)+" · musl "+libcWords(&r.Libc.Musl)+" · Go "+libcWords(&r.Libc.Go)))
	}
	if wide && len(r.Candidates) > 0 {
		p.labelled("", "tried", s(strings.Join(r.Candidates, ", ")))
	}
}

// short is the answer alone, a line for each record.
func (p *printer) short(r *v1.DNSResult) {
	for _, a := range r.Answers {
		p.line(s(a))
	}
}

// maxServerRows keeps the plain screen short; wide shows all.
const maxServerRows = 8

// servers are the answers of each server, one row for each way of asking. The
// plain screen shows them only where they don't all say the same.
func (p *printer) servers(r *v1.DNSResult, wide bool) {
	all := wide || p.st.Verbose
	if !all && !uneven(r.Servers) {
		p.serverWays(r)
		return
	}
	var rows [][]span
	for i := range r.Servers {
		x := &r.Servers[i]
		for k := range x.Answers {
			a := &x.Answers[k]
			if slices.ContainsFunc(x.Answers[k+1:], func(b v1.DNSServerAnswer) bool { // asked again, with more patience
				return b.Name == a.Name && b.Type == a.Type && b.Transport == a.Transport && b.EDNS == a.EDNS && b.Outcome == a.Outcome && b.Rcode == a.Rcode
			}) {
				continue
			}
			by := a.Transport
			if a.EDNS {
				by += "+edns"
			}
			name := a.Name
			if a.Type != r.Type {
				name += " " + a.Type
			}
			sign, paint := p.st.sign(serverSign(a))
			cells := []span{in(paint, sign), s(x.Server), s(by), s(name), s(rcodeWords(a)), s(took(a.DurationMs))}
			if wide {
				cells = append(cells, s(x.From))
			}
			rows = append(rows, append(cells, s(strings.Join(a.Records, ", "))))
		}
	}
	more := 0
	if !all && len(rows) > maxServerRows {
		rows, more = rows[:maxServerRows], len(rows)-maxServerRows
	}
	if len(rows) == 0 {
		return
	}
	head := []string{"", "server", "by", "name", "says", "ms", "records"}
	if wide {
		head = []string{"", "server", "by", "name", "says", "ms", "from", "records"}
	}
	p.table("", head, rows)
	if more > 0 {
		p.line(s(fmt.Sprintf("   and %d more answers (-o wide)", more)))
	}
	p.line()
	p.serverWays(r)
}

// serverWays are the hops to each server, with --trace-upstream.
func (p *printer) serverWays(r *v1.DNSResult) {
	for i := range r.Servers {
		x := &r.Servers[i]
		if len(x.Way) == 0 {
			continue
		}
		p.line(s("to " + x.Server + " from " + x.From + ": " + x.Reach))
		for _, w := range x.Way {
			p.line(s("   " + w))
		}
		p.line()
	}
}

// uneven says whether a server answers differently by different ways, or sends
// what can't be believed.
func uneven(list []v1.DNSServer) bool {
	for i := range list {
		x := &list[i]
		first := map[string]string{}
		for k := range x.Answers {
			a := &x.Answers[k]
			said := a.Outcome + a.Rcode
			if was, ok := first[a.Name]; len(a.ThrownAway) > 0 || ok && was != said {
				return true
			}
			first[a.Name] = said
		}
	}
	return false
}

// took is a time in milliseconds; nothing came after none.
func took(ms float64) string {
	if ms == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f", ms)
}

func serverSign(a *v1.DNSServerAnswer) string {
	switch {
	case a.Outcome != "answered" || a.Rcode == "SERVFAIL" || a.Rcode == "REFUSED":
		return "fail"
	case len(a.ThrownAway) > 0:
		return "warning"
	}
	return "ok"
}

// rcodeWords is what a server said: the code, the flags, and what else came.
func rcodeWords(a *v1.DNSServerAnswer) string {
	out := a.Outcome
	if a.Outcome == "answered" {
		out = strings.TrimSpace(a.Rcode + " " + strings.Join(a.Flags, " "))
	}
	if len(a.ThrownAway) > 0 {
		out += ", not believed: wrong " + strings.Join(a.ThrownAway, ", ")
	}
	return out
}

func libcWords(a *v1.LibcAnswer) string {
	out := a.Verdict
	if a.WaitMs >= 1000 {
		out += fmt.Sprintf(" after %.0f s", a.WaitMs/1000)
	}
	if a.Note != "" {
		out += " (" + a.Note + ")"
	}
	return out
}

// differ says whether the libraries do not agree, or have something to tell.
func differ(l v1.LibcSet) bool {
	return l.Glibc.Verdict != l.Musl.Verdict || l.Glibc.Verdict != l.Go.Verdict || l.Glibc.Note+l.Musl.Note+l.Go.Note != "" || l.Glibc.WaitMs+l.Musl.WaitMs+l.Go.WaitMs >= 1000
}

// dnsSet is the screen of one name from several places.
func (p *printer) dnsSet(r *v1.DNSSetResult, wide bool) {
	if p.st.Short {
		for i := range r.Results {
			p.short(&r.Results[i])
		}
		return
	}
	if r.Name == "" && !p.st.Quiet {
		p.everyName(r, wide)
	} else if !p.st.Quiet {
		var rows [][]span
		for i := range r.Results {
			d := &r.Results[i]
			sign, paint := p.st.sign(nameSign(d.Verdict))
			detail := strings.Join(d.Answers, ", ")
			if d.Problem != nil {
				detail = strings.TrimPrefix(detail+"  "+d.Problem.Detail, "  ")
			}
			rows = append(rows, []span{in(paint, sign), s(d.From.Target), verdict(d.Verdict), s(detail)})
		}
		p.ends([]span{in(bold, r.Name+" "+r.Type)}, in(paintOf(r.Verdict), strings.ToUpper(r.Verdict)))
		p.line()
		p.table("", []string{"", "from", "verdict", "answer"}, rows)
		p.line()
	}
	p.findings(r.Findings, wide)
}

// nameSign is the mark of a name's verdict.
func nameSign(verdict string) string {
	switch verdict {
	case "resolved", "unknown":
		return verdict
	}
	return "fail"
}

// everyName is the screen of --all: what fails, and how many resolve.
func (p *printer) everyName(r *v1.DNSSetResult, wide bool) {
	var rows [][]span
	good := 0
	for i := range r.Results {
		d := &r.Results[i]
		if d.Verdict == "resolved" {
			good++
			if !wide && !p.st.Verbose {
				continue
			}
		}
		sign, paint := p.st.sign(nameSign(d.Verdict))
		detail := strings.Join(d.Answers, ", ")
		if d.Problem != nil {
			detail = d.Problem.Detail
		}
		rows = append(rows, []span{in(paint, sign), s(d.From.Target), s(d.Name), verdict(d.Verdict), s(detail)})
	}
	p.ends([]span{in(bold, fmt.Sprintf("%d of %d names resolve", good, len(r.Results)))}, in(paintOf(r.Verdict), strings.ToUpper(r.Verdict)))
	if len(rows) > 0 {
		p.line()
		p.table("", []string{"", "from", "name", "verdict", "answer"}, rows)
	}
	p.line()
}

// fewer are answers in a line: the first of many, unless all are wanted.
func fewer(list []string, all bool) string {
	const most = 8
	if all || len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more (-v)", strings.Join(list[:most], ", "), len(list)-most)
}
