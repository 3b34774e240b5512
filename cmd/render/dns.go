package render

import (
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

// dns is the screen of one name.
func (p *printer) dns(r *v1.DNSResult, wide bool) {
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
		rows = append(rows, append(cells, s(st.Answer)))
	}
	if len(rows) > 0 {
		head := []string{"", "where", "asked", "answer"}
		if wide {
			head = []string{"", "where", "asked", "leaves from", "answer"}
		}
		p.table("", head, rows)
		p.line()
	}
	if len(r.Answers) > 0 {
		p.labelled("", "answer", s(strings.Join(r.Answers, ", ")))
	}
	if r.Problem != nil {
		p.labelled("", "why", s(r.Problem.Detail))
	}
	if wide || p.st.Verbose || differ(r.Libc) {
		p.labelled("", "libc", s("glibc "+r.Libc.Glibc.Verdict+" · musl "+r.Libc.Musl.Verdict+" · Go "+r.Libc.Go.Verdict))
	}
	if wide && len(r.Candidates) > 0 {
		p.labelled("", "tried", s(strings.Join(r.Candidates, ", ")))
	}
}

// differ says whether the libraries do not agree.
func differ(l v1.LibcSet) bool {
	return l.Glibc.Verdict != l.Musl.Verdict || l.Glibc.Verdict != l.Go.Verdict
}

// dnsSet is the screen of one name from several places.
func (p *printer) dnsSet(r *v1.DNSSetResult, wide bool) {
	if !p.st.Quiet {
		var rows [][]span
		for i := range r.Results {
			d := &r.Results[i]
			sign, paint := p.st.sign(d.Verdict)
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
