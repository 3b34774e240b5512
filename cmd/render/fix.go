package render

import (
	"fmt"
	"slices"
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
)

// plan is the screen of what would be changed.
func (p *printer) plan(r *v1.FixPlan) {
	if len(r.Changes) == 0 {
		p.line(s("nothing to change"))
	} else {
		p.line(in(bold, diag.Count(len(r.Changes), "change")))
		p.changes(r.Changes)
	}
	p.then(r.After)
	if len(r.Changes) > 0 {
		p.line()
		p.others(&r.Others)
	}
	p.advice(r.Advice)
}

// then is what becomes of the flows that the changes are about. Where the model sees no
// difference, not the packets' way is mended but who answers them: a program, an engine.
func (p *printer) then(all []v1.AfterFlow) {
	var other []v1.AfterFlow
	for _, f := range all {
		if f.Before != f.After {
			other = append(other, f)
		}
	}
	p.shortly("then", other)
	if n := len(all) - len(other); n > 0 {
		p.line()
		p.labelled("", "then", s(fmt.Sprintf("what becomes of %s is not predicted: fix tries it when the change is made", diag.Count(n, "flow"))))
	}
}

// maxOthers is how many flows of a kind are shown, without -v.
const maxOthers = 8

// others is what changes do to the flows that they are not about.
func (p *printer) others(o *v1.Others) {
	said := "no other flow changes"
	if n := len(o.Opens) + len(o.Closes) + len(o.Differ); n > 0 {
		said = diag.Count(n, "other flow") + " changes"
		if n > 1 {
			said = diag.Count(n, "other flow") + " change"
		}
	}
	left := ""
	if o.LeftOut > 0 {
		left = fmt.Sprintf("; %d were not followed", o.LeftOut)
	}
	p.labelled("", "others", s(fmt.Sprintf("%s, of %d followed%s", said, o.Followed, left)))
	for _, k := range []struct {
		label string
		list  []v1.AfterFlow
	}{{"opens", o.Opens}, {"closes", o.Closes}, {"differs", o.Differ}} {
		p.shortly(k.label, k.list)
	}
}

// shortly lists the first few flows, or all where that is wanted.
func (p *printer) shortly(label string, all []v1.AfterFlow) {
	list := all
	if !p.st.Verbose && len(all) > maxOthers+2 {
		list = all[:maxOthers]
	}
	p.after(label, list)
	if n := len(all) - len(list); n > 0 {
		p.labelled("  ", "", s(fmt.Sprintf("and %d more (-v shows them)", n)))
	}
}

// manyAlike is from how many changes on those of one finding are told together.
const manyAlike = 6

// inARow is how many changes at the beginning of cs differ in their lines alone.
func inARow(cs []v1.Change) int {
	n := 1
	for n < len(cs) && cs[n].Finding == cs[0].Finding && cs[n].Netns == cs[0].Netns && cs[n].Risk == cs[0].Risk && cs[n].Survives == cs[0].Survives && (len(cs[n].Undo) > 0) == (len(cs[0].Undo) > 0) {
		n++
	}
	return n
}

// changes lists what is done, how to take it back, and the risk. Of a row of changes
// that are alike the lines that are done are shown, unless all is wanted.
func (p *printer) changes(cs []v1.Change) {
	for len(cs) > 0 {
		n := inARow(cs)
		if n < manyAlike || p.st.Verbose {
			p.change(&cs[0])
			p.noted(cs, 1)
			cs = cs[1:]
			continue
		}
		p.line()
		p.coded(s(fmt.Sprintf("%2d-%d  ", cs[0].ID, cs[n-1].ID)), cs[0].Finding, diag.Count(n, "change")+inNetns(&cs[0]))
		label := "do"
		for _, c := range cs[:n] {
			for _, l := range c.Do {
				p.typed(label, in(cyan, l))
				label = ""
			}
		}
		if len(cs[0].Undo) > 0 {
			p.labelled("    ", "undo", s("netdoctor undo, when they are made; -v shows the line of each"))
		}
		p.labelled("    ", "risk", s(diag.Joined(", ", cs[0].Risk, lasting(cs[0].Survives))))
		p.noted(cs, n)
		cs = cs[n:]
	}
}

// noted says what else is to know once the n-th change, a finding's last, is told.
func (p *printer) noted(cs []v1.Change, n int) {
	if c := cs[n-1]; c.Note != "" && (n == len(cs) || cs[n].Finding != c.Finding) {
		p.labelled("    ", "note", s(c.Note))
	}
}

// inNetns says where a change is made, as the end of a title; "" for an engine.
func inNetns(c *v1.Change) string {
	if c.Netns == "" {
		return ""
	}
	return " in " + c.Netns
}

func (p *printer) change(c *v1.Change) {
	p.line()
	place := inNetns(c)
	if strings.HasSuffix(c.Summary, place) {
		place = ""
	}
	p.coded(s(fmt.Sprintf("%2d  ", c.ID)), c.Finding, titled(c.Summary+place, c.Do))
	for _, l := range c.Do {
		p.typed("do", in(cyan, l))
	}
	for _, l := range c.Undo {
		p.typed("undo", s(l))
	}
	p.labelled("    ", "risk", s(diag.Joined(", ", c.Risk, lasting(c.Survives))))
}

// typed writes a line that a person may paste: it is not wrapped, as a terminal's own
// folding is no part of what is copied from it.
func (p *printer) typed(label string, line span) {
	p.line(s("    "), in(dim, p.pad(label, 8)), line)
}

// titled is what a change does, without the rule at its end where its lines have that.
func titled(t string, lines []string) string {
	head, rule, _ := strings.Cut(t, ": ")
	where := ""
	if i := strings.LastIndex(rule, " in "); i >= 0 {
		rule, where = rule[:i], rule[i:]
	}
	if rule != "" && slices.ContainsFunc(lines, func(l string) bool { return strings.HasSuffix(strings.ReplaceAll(l, "'", ""), rule) }) {
		return head + where
	}
	return t
}

// lasting says how long a change stays.
func lasting(survives string) string {
	if strings.HasPrefix(survives, "until") {
		return "lasts " + survives
	}
	return survives
}

func (p *printer) after(label string, fs []v1.AfterFlow) {
	if len(fs) == 0 {
		return
	}
	p.line()
	var rows [][]span
	for _, f := range fs {
		rows = append(rows, []span{in(dim, label), s(f.From + " → " + f.To), verdict(f.Before), s("→"), verdict(f.After)})
		label = ""
	}
	p.table("", nil, rows)
}

func (p *printer) advice(as []v1.Advice) {
	if len(as) == 0 {
		return
	}
	p.line()
	p.line(in(bold, "needs a person"))
	for _, a := range as {
		p.coded(s("    "), a.Finding, a.Summary)
		p.labelled("    ", "do", s(a.Advice))
	}
}

// fixed is the screen of what was changed.
func (p *printer) fixed(r *v1.FixResult) {
	if !p.st.Quiet {
		p.changes(r.Changes)
		p.line()
	}
	switch {
	case r.Verified:
		sign, paint := p.st.sign("ok")
		p.line(in(paint, sign+" "), s(fmt.Sprintf("%s made and verified", diag.Count(len(r.Changes), "change"))))
		p.undoLines(r.Transactions)
	case r.Applied:
		sign, paint := p.st.sign("warning")
		p.line(in(paint, sign+" "), s("made, but not all is well: "+r.Error))
		p.undoLines(r.Transactions)
	case r.RolledBack:
		sign, paint := p.st.sign("error")
		p.line(in(paint, sign+" "), s("it failed, and everything was put back: "+r.Error))
	default:
		sign, paint := p.st.sign("error")
		p.line(in(paint, sign+" "), s("it failed: "+r.Error))
	}
	for _, l := range r.Left {
		p.labelled("  ", "left", in(red, l))
	}
	if len(r.Findings) > 0 {
		p.line()
		p.findings(r.Findings, false)
	}
	p.advice(slices.DeleteFunc(slices.Clone(r.Advice), func(a v1.Advice) bool { // shown already
		return slices.ContainsFunc(r.Findings, func(f v1.Finding) bool { return f.Severity == "error" && f.Summary == a.Summary })
	}))
}

// undone is the screen of what was put back.
func (p *printer) undone(r *v1.UndoResult) {
	if r.Transaction == "" {
		p.line(s("nothing to undo"))
		return
	}
	sign, paint := p.st.sign("ok")
	said := "put back "
	if len(r.Left) > 0 {
		sign, paint = p.st.sign("error")
		said = "not put back: "
		if len(r.Done) > 0 {
			said = "put back in part: "
		}
	}
	p.line(in(paint, sign+" "), s(said+r.Transaction))
	for _, d := range r.Done {
		p.labelled("  ", "done", s(d))
	}
	for _, l := range r.Left {
		p.labelled("  ", "left", in(red, l))
	}
}

// undoLines say how to take back what was done, the last change first.
func (p *printer) undoLines(ids []string) {
	for i := len(ids) - 1; i >= 0; i-- {
		p.labelled("  ", "undo", in(cyan, "netdoctor undo "+ids[i]))
	}
}
