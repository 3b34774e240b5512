package render

import (
	"bufio"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
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
	// flow goes behind "netdoctor fix CODE", for findings that plain check need not
	// make: the flow that was asked for. "" where it does not matter.
	flow string
}

func newPrinter(w io.Writer, st Style) *printer { return &printer{w: bufio.NewWriter(w), st: st} }

func (p *printer) flush() error { return p.w.Flush() }

// put is the one door to the stream for text: it cleans, and paints.
func (p *printer) put(sp span) {
	t := p.clean(sp.text)
	if sp.paint == normal || !p.st.Color || strings.TrimSpace(t) == "" {
		p.w.WriteString(t) //nolint:errcheck // sticks, returned by flush
		return
	}
	p.w.WriteString("\x1b[" + string(sp.paint) + "m" + t + "\x1b[0m") //nolint:errcheck // sticks, returned by flush
}

// clean is the text as it will be seen.
func (p *printer) clean(t string) string {
	t = Clean(t)
	if p.st.ASCII {
		t = asciiOnly(t)
	}
	return t
}

// line writes one line without blanks at its end.
func (p *printer) line(spans ...span) {
	for len(spans) > 0 {
		last := &spans[len(spans)-1]
		last.text = strings.TrimRight(last.text, " ")
		if last.text != "" {
			break
		}
		spans = spans[:len(spans)-1]
	}
	for _, sp := range spans {
		p.put(sp)
	}
	p.w.WriteByte('\n') //nolint:errcheck // sticks, returned by flush
}

// columns is the width of a text on screen.
func (p *printer) columns(t string) int { return width(p.clean(t)) }

// width counts columns: combining marks take none, wide East Asian letters two.
func width(t string) int {
	n := 0
	for _, r := range t {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me):
		case r >= 0x1100 && unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana), r >= 0xff01 && r <= 0xff60, r >= 0x1f300 && r <= 0x1faff:
			n += 2
		default:
			n++
		}
	}
	return n
}

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
	head := indent + p.pad(label, 8)
	for i, part := range p.wrap(t.text, width(head)) {
		if i > 0 {
			head = strings.Repeat(" ", width(head))
		}
		if i == 0 {
			p.line(s(indent), in(dim, p.pad(label, 8)), span{part, t.paint})
		} else {
			p.line(s(head), span{part, t.paint})
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

// table writes rows in aligned columns, two blanks between them. The last
// column is wrapped on a terminal, on lines of its own where little room is left;
// nothing is cut.
func (p *printer) table(indent string, head []string, rows [][]span) {
	var widths []int
	grow := func(i int, t string) {
		for len(widths) <= i {
			widths = append(widths, 0)
		}
		widths[i] = max(widths[i], p.columns(t))
	}
	for i, h := range head {
		grow(i, h)
	}
	for _, r := range rows {
		for i, c := range r {
			grow(i, c.text)
		}
	}
	if len(head) > 0 {
		hs := []span{s(indent)}
		for i, h := range head {
			hs = append(hs, in(dim, p.pad(h, widths[i])), s("  "))
		}
		p.line(hs...)
	}
	for _, r := range rows {
		p.row(indent, widths, r)
	}
}

func (p *printer) row(indent string, widths []int, cells []span) {
	spans := []span{s(indent)}
	at := width(indent)
	for i, c := range cells {
		if i == len(cells)-1 {
			if c.text == "" {
				break
			}
			if p.st.Wrap && p.st.width()-at < tooNarrow && at+p.columns(c.text) > p.st.width() {
				p.line(spans...)
				at, spans = width(indent)+8, []span{s(indent + strings.Repeat(" ", 8))}
			}
			parts := p.wrap(c.text, at)
			p.line(append(spans, span{parts[0], c.paint})...)
			for _, more := range parts[1:] {
				p.line(s(strings.Repeat(" ", at)), span{more, c.paint})
			}
			return
		}
		spans = append(spans, span{p.pad(c.text, widths[i]), c.paint}, s("  "))
		at += widths[i] + 2
	}
	p.line(spans...)
}

// upper is the first letter's capital.
func upper(t string) string {
	r, n := utf8.DecodeRuneInString(t)
	if n == 0 {
		return t
	}
	return string(unicode.ToUpper(r)) + t[n:]
}
