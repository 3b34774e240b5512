package render

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

// markdown writes a result to paste into an issue: findings as a list, tables
// as tables, everything else as its own screen in a fence.
func markdown(w io.Writer, r v1.Result, st Style) error {
	st.Color, st.ASCII, st.Wrap = false, false, false
	p := newPrinter(w, st)
	switch v := r.(type) {
	case *v1.CheckResult:
		p.line(s("## netdoctor check: " + v.Verdict))
		p.line()
		p.line(s(md(hostLine(v.Host, &v.Summary)) + " · kernel " + md(v.Host.Kernel) + " · " + md(total(v))))
		p.mdFindings(v.Findings)
		p.mdSkipped(v.Coverage.Skipped)
	case *v1.TraceResult:
		p.line(s("## " + md(endpoints(v)) + ": " + v.Verdict))
		p.line()
		head, rows := p.hops([][]v1.Hop{v.Forward, v.Reply}, true, v.Verdict == "delivered" || v.Verdict == "unknown")
		head[0] = "#"
		p.mdTable(head, rows)
		if v.Where != nil && v.Where.Detail != "" {
			p.line(s("**why** " + md(v.Where.Detail)))
		}
		p.mdFindings(v.Findings)
	case *v1.DNSSetResult:
		title := v.Name + " " + v.Type
		if v.Name == "" {
			title = "Every name that must resolve"
		}
		p.line(s("## " + md(title) + ": " + v.Verdict))
		p.line()
		var rows [][]span
		for i := range v.Results {
			d := &v.Results[i]
			rows = append(rows, []span{s(d.From.Target), s(d.Name), s(d.Verdict), s(strings.Join(d.Answers, ", "))})
		}
		p.mdTable([]string{"from", "name", "verdict", "answer"}, rows)
		p.mdFindings(v.Findings)
	case *v1.ListResult:
		head, rows := p.items(v, false)
		p.mdTable(head, rows)
	case *v1.ExplainResult:
		p.line(s("## " + v.Code + " " + v.Title))
		p.line()
		for _, l := range strings.Split(v.Doc, "\n") {
			p.line(s(strings.ReplaceAll(l, "\t", "    ")))
		}
	default:
		return fenced(w, r, st)
	}
	return p.flush()
}

// fenced is the screen between fences longer than any run of backquotes in it.
func fenced(w io.Writer, r v1.Result, st Style) error {
	var b bytes.Buffer
	p := newPrinter(&b, st)
	p.result(r, false)
	if err := p.flush(); err != nil {
		return err
	}
	fence := "```"
	for strings.Contains(b.String(), fence) {
		fence += "`"
	}
	_, err := fmt.Fprintf(w, "%s\n%s%s\n", fence, b.String(), fence)
	return err
}

func (p *printer) mdFindings(fs []v1.Finding) {
	for i := range fs {
		f := &fs[i]
		p.line()
		p.line(s(fmt.Sprintf("### %s %s: %s", md(f.Code), md(f.Severity), md(f.Summary))))
		p.line()
		if f.Cause != "" {
			p.line(s("- cause: " + md(f.Cause)))
		}
		for _, e := range f.Evidence {
			p.line(s("- seen: " + code(e.Text) + " (" + code(e.Source) + ")"))
		}
		for _, h := range f.Hidden {
			p.line(s("- hides: " + md(h.Code) + " " + md(h.Summary)))
		}
		if f.Fix != nil {
			for _, c := range f.Fix.Commands {
				p.line(s("- fix: " + code(c)))
			}
		}
		if f.Advice != "" {
			p.line(s("- do: " + md(f.Advice)))
		}
	}
}

func (p *printer) mdSkipped(all []v1.Skip) {
	if len(all) == 0 {
		return
	}
	p.line()
	p.line(s("### not looked at"))
	p.line()
	for _, k := range all {
		p.line(s("- " + md(joinDots(k.Check, k.Netns, k.Reason, k.Needs))))
	}
}

func (p *printer) mdTable(head []string, rows [][]span) {
	if len(rows) == 0 {
		return
	}
	line := func(cells []string) { p.line(s("| " + strings.Join(cells, " | ") + " |")) }
	line(head)
	rule := make([]string, len(head))
	for i := range rule {
		rule[i] = "---"
	}
	line(rule)
	for _, r := range rows {
		cells := make([]string, len(r))
		for i, c := range r {
			cells[i] = md(strings.TrimSpace(c.text))
		}
		line(cells)
	}
	p.line()
}

// md keeps a foreign text from being taken for markup.
func md(t string) string {
	return strings.NewReplacer(`\`, `\\`, "|", `\|`, "*", `\*`, "_", `\_`, "`", "\\`", "<", "&lt;", "[", `\[`, "#", `\#`).Replace(t)
}

// code is a text in backquotes, more of them than it has itself.
func code(t string) string {
	if t == "" {
		return "-"
	}
	q := "`"
	for strings.Contains(t, q) {
		q += "`"
	}
	if len(q) > 1 {
		return q + " " + t + " " + q
	}
	return q + t + q
}
