package render

import (
	"bufio"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/olekukonko/tablewriter/pkg/twwidth"
)

// paint is an SGR rendition; it is never the only carrier of a meaning.
type paint string

const (
	normal paint = ""
	bold   paint = "1"
	dim    paint = "2"
	red    paint = "31"
	green  paint = "32"
	yellow paint = "33"
	cyan   paint = "36"
)

// span is a piece of a line in one rendition.
type span struct {
	text  string
	paint paint
}

func s(text string) span           { return span{text, normal} }
func in(p paint, text string) span { return span{text, p} }

// printer writes lines. The first error of the stream sticks.
type printer struct {
	w  *bufio.Writer
	st Style
	// begun says that a line was written, gap that a blank one goes before the next:
	// blank lines separate, so that none is first, last or beside another.
	begun, gap bool
	// flow goes behind "netdoctor fix CODE", for findings that plain check need not
	// make: the flow that was asked for. "" where it does not matter.
	flow string
}

func newPrinter(w io.Writer, st Style) *printer { return &printer{w: bufio.NewWriter(w), st: st} }

func (p *printer) flush() error { return p.w.Flush() }

// put is the door to the stream for text: it cleans, and paints.
func (p *printer) put(sp span) { p.w.WriteString(p.painted(sp)) } //nolint:errcheck // sticks, returned by flush

// painted is a text as the stream gets it.
func (p *printer) painted(sp span) string {
	t := p.clean(sp.text)
	if sp.paint == normal || !p.st.Color || strings.TrimSpace(t) == "" {
		return t
	}
	return "\x1b[" + string(sp.paint) + "m" + t + "\x1b[0m"
}

// raw writes a line of painted texts, without blanks at its end.
func (p *printer) raw(t string) {
	p.separate()
	p.w.WriteString(strings.TrimRight(t, " ") + "\n") //nolint:errcheck // sticks, returned by flush
}

// separate writes the blank line that is due.
func (p *printer) separate() {
	if p.gap && p.begun {
		p.w.WriteByte('\n') //nolint:errcheck // sticks, returned by flush
	}
	p.begun, p.gap = true, false
}

// clean is the text as it will be seen.
func (p *printer) clean(t string) string {
	t = Clean(t)
	if p.st.ASCII {
		t = asciiOnly(t)
	}
	return t
}

// line writes one line without blanks at its end; an empty one before the next.
func (p *printer) line(spans ...span) {
	for len(spans) > 0 {
		last := &spans[len(spans)-1]
		last.text = strings.TrimRight(last.text, " ")
		if last.text != "" {
			break
		}
		spans = spans[:len(spans)-1]
	}
	if len(spans) == 0 {
		p.gap = true
		return
	}
	p.separate()
	for _, sp := range spans {
		p.put(sp)
	}
	p.w.WriteByte('\n') //nolint:errcheck // sticks, returned by flush
}

// columns is the width of a text on screen.
func (p *printer) columns(t string) int { return width(p.clean(t)) }

// width counts columns as a terminal does: combining marks take none, wide East Asian
// letters two. The locale has no say in it, so that a run reads the same everywhere.
func width(t string) int { return twwidth.WidthWithOptions(t, twwidth.Options{}) }

// pad fills a text up to a width.
func (p *printer) pad(t string, n int) string {
	if k := n - p.columns(t); k > 0 {
		return t + strings.Repeat(" ", k)
	}
	return t
}

// ends writes a line with a text at each end of it.
func (p *printer) ends(left []span, right span) {
	n := 0
	for _, sp := range left {
		n += p.columns(sp.text)
	}
	gap := p.st.width() - n - p.columns(right.text)
	if gap < 2 {
		gap = 2
	}
	p.line(append(left, s(strings.Repeat(" ", gap)), right)...)
}

// labelled writes "    label   text", wrapped on a terminal under the text.
func (p *printer) labelled(indent, label string, t span) {
	label = p.pad(label, max(8, width(label)+1))
	head := indent + label
	for i, part := range p.wrap(t.text, width(head)) {
		if i > 0 {
			head = strings.Repeat(" ", width(head))
		}
		if i == 0 {
			p.line(s(indent), in(dim, label), span{part, t.paint})
		} else {
			p.line(s(head), span{part, t.paint})
		}
	}
}

// coded writes a sentence behind a finding's code, which may be "".
func (p *printer) coded(head span, code, t string) {
	if code != "" {
		code += " "
	}
	indent := p.columns(head.text + code)
	for i, part := range p.wrap(t, indent) {
		if i == 0 {
			p.line(head, in(bold, code), s(part))
		} else {
			p.line(s(strings.Repeat(" ", indent)), s(part))
		}
	}
}

// tooNarrow are the columns that are too few to wrap words in.
const tooNarrow = 20

// wrap breaks prose at blanks so that it fits behind an indent; words are never
// broken. Where the stream is no terminal it stays one line.
func (p *printer) wrap(t string, indent int) []string {
	room := p.st.width() - indent
	if !p.st.Wrap || room < tooNarrow || p.columns(t) <= room {
		return []string{t}
	}
	var out []string
	line := ""
	for _, word := range strings.Split(t, " ") {
		if line != "" && p.columns(line)+1+p.columns(word) > room {
			out = append(out, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(out, line)
}

// upper is the first letter's capital.
func upper(t string) string {
	r, n := utf8.DecodeRuneInString(t)
	if n == 0 {
		return t
	}
	return string(unicode.ToUpper(r)) + t[n:]
}
