package render

import (
	"fmt"
	"slices"
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

// findings writes findings, the root causes first: the first one and all errors
// in full, the others in one line unless everything is wanted.
func (p *printer) findings(fs []v1.Finding, wide bool) {
	unread := 0
	for i := range fs {
		if fs[i].Code == codeGap {
			unread++
		}
	}
	fold := unread > maxGaps && !wide && !p.st.Verbose
	for i := range fs {
		if !fold || fs[i].Code != codeGap {
			p.finding(&fs[i], p.fully(fs, i, wide), wide || p.st.Verbose)
		}
	}
	if fold {
		p.unread(fs, unread)
	}
}

// codeGap is the finding of what could not be read; more than maxGaps of them are one line:
// they mostly have one reason, and hide what else there is.
const (
	codeGap = "ND9002"
	maxGaps = 3
)

// unread tells of n things that could not be read, and what it takes for most of them.
func (p *printer) unread(fs []v1.Finding, n int) {
	var names []string
	needs := map[string]int{}
	best := ""
	for i := range fs {
		f := &fs[i]
		if f.Code != codeGap {
			continue
		}
		names = append(names, f.Subject.Name)
		need, _, _ := strings.Cut(f.Advice, ", or ") // "run as root, or give it CAP_NET_ADMIN"
		if needs[need]++; need != "" && needs[need] > needs[best] {
			best = need
		}
	}
	const few = 6
	t := fmt.Sprintf("%d things could not be read: %s", n, strings.Join(names[:min(n, few)], ", "))
	if n > few {
		t += fmt.Sprintf(" and %d more", n-few)
	}
	sign, paint := p.st.sign("info")
	p.coded(in(paint, sign+" "), codeGap, t)
	p.labelled("    ", "seen", s("netdoctor ls gaps lists them"))
	if best != "" {
		p.labelled("    ", "do", s(best))
	}
}

func (p *printer) fully(fs []v1.Finding, i int, wide bool) bool {
	return i == 0 || wide || p.st.Verbose || fs[i].Severity == "error"
}

// briefly says whether some findings got one line.
func (p *printer) briefly(fs []v1.Finding, wide bool) bool {
	for i := range fs {
		if !p.fully(fs, i, wide) {
			return true
		}
	}
	return false
}

// finding writes one; full with its reasons, every with all of its evidence.
func (p *printer) finding(f *v1.Finding, full, every bool) {
	sign, paint := p.st.sign(f.Severity)
	p.coded(in(paint, sign+" "), f.Code, f.Summary)
	if !full {
		return
	}
	if f.Cause != "" && !strings.Contains(f.Summary, f.Cause) {
		p.labelled("    ", "cause", s(f.Cause))
	}
	shown := 0
	for _, e := range f.Evidence {
		if !every && strings.Contains(f.Summary, e.Text) && (len(f.Evidence) > 1 && !strings.Contains(e.Source, " ") || f.Code == codeGap) {
			continue // the place in the model's words, which the summary has said
		}
		if shown == 4 && !every {
			p.labelled("    ", "", in(dim, fmt.Sprintf("and %d more lines: -v", len(f.Evidence)-shown)))
			break
		}
		shown++
		label := "seen"
		if strings.HasPrefix(e.Source, "probe") {
			label = "proved"
		}
		t := strings.TrimRight(e.Text, "\n")
		source := "(" + e.Source + ")"
		switch {
		case e.Source == "" || strings.Contains(e.Text, e.Source) || label == "proved" && !every: // its number is for -v, which lists the probes
			source = ""
		case !p.st.Wrap || 12+p.columns(t)+3+p.columns(source) <= p.st.width():
			t, source = t+"   "+source, ""
		}
		p.labelled("    ", label, s(t))
		if source != "" { // in one piece, so that it can be copied
			p.line(s("            " + source))
		}
	}
	if f.Confidence == "contradicted" {
		p.labelled("    ", "but", in(yellow, "a live probe shows the opposite"))
	}
	if every || len(f.Evidence) == 0 {
		for _, fl := range f.Flows {
			p.labelled("    ", "flow", s(fl.From+" → "+fl.To))
		}
	} else if who := senders(f); len(who) > 1 {
		n := min(len(who), 6)
		t := "traffic from " + strings.Join(who[:n], ", ")
		if n < len(who) {
			t += fmt.Sprintf(" and %d more", len(who)-n)
		}
		p.labelled("    ", "hits", s(t))
	}
	for _, h := range f.Hidden {
		p.labelled("    ", "hides", s(h.Code+" "+consequence(&h)))
	}
	if f.Behind != "" {
		p.labelled("    ", "behind", s(f.Behind))
	}
	p.remedy(f)
}

// senders are those whose flows and names a finding stops; the addresses that stand for
// the world outside are one of them.
func senders(f *v1.Finding) []string {
	var out []string
	for _, fl := range f.Flows {
		from := fl.From
		if strings.HasPrefix(from, "outside (") {
			from = "outside"
		}
		if !slices.Contains(out, from) {
			out = append(out, from)
		}
	}
	return out
}

// consequence is what a finding hides, in words.
func consequence(h *v1.Hidden) string {
	if h.Count > 1 {
		return fmt.Sprintf("%s; and %d more like it", h.Summary, h.Count-1)
	}
	return h.Summary
}

// remedy is the last line: how to mend it, and why it happens.
func (p *printer) remedy(f *v1.Finding) {
	why := "netdoctor explain " + f.Code
	switch {
	case f.Fix != nil:
		mend, gap := "netdoctor fix "+f.Fix.ID+p.flow, "        "
		line := []span{s("    "), in(dim, p.pad("fix", 8)), in(cyan, mend)}
		if p.st.Wrap && 12+p.columns(mend+gap+"why  "+why) > p.st.width() {
			p.line(line...)
			p.labelled("    ", "why", s(why))
		} else {
			p.line(append(line, s(gap), in(dim, "why"), s("  "+why))...)
		}
		if f.Fix.Durable != "" {
			p.labelled("    ", "lasting", s(f.Fix.Durable))
		}
	case f.Advice != "":
		p.labelled("    ", "do", s(f.Advice))
		p.labelled("    ", "why", s(why))
	default:
		p.labelled("    ", "why", s(why))
	}
	if f.Fix != nil && f.Advice != "" {
		p.labelled("    ", "note", s(f.Advice))
	}
}
