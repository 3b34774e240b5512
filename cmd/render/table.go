package render

import (
	"bytes"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/pkg/twwidth"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

// gap is between columns; below is how far a last cell is set in that gets lines of
// its own.
const (
	gap   = "  "
	below = 8
)

// table writes rows in aligned columns, two blanks between them. The last cell of a
// row is wrapped on a terminal, on lines of its own where little room is left;
// nothing is cut.
func (p *printer) table(indent string, head []string, rows [][]span) {
	widths := p.widths(head, rows)
	grid := make([][]string, len(rows))
	under := make([][]string, len(rows)) // last cells that get lines of their own
	for i, r := range rows {
		grid[i] = make([]string, len(widths))
		at := width(indent)
		for k, c := range r {
			if k < len(r)-1 {
				grid[i][k] = p.painted(c)
				at += widths[k] + len(gap)
				continue
			}
			if n := p.columns(c.text); p.st.Wrap && n > 0 && p.st.width()-at < tooNarrow && at+n > p.st.width() {
				under[i] = p.paintedLines(c, width(indent)+below)
			} else {
				grid[i][k] = strings.Join(p.paintedLines(c, at), "\n")
			}
		}
	}
	titles := make([]string, len(head))
	for i, h := range head {
		titles[i] = p.painted(in(dim, h))
	}
	lines := lay(titles, grid)
	if len(head) > 0 {
		p.raw(indent + lines[0])
		lines = lines[1:]
	}
	for i, r := range grid {
		n := 1 + strings.Count(strings.Join(r, ""), "\n") // only last cells have more than one
		for _, l := range lines[:n] {
			p.raw(indent + l)
		}
		for _, l := range under[i] {
			p.raw(indent + strings.Repeat(" ", below) + l)
		}
		lines = lines[n:]
	}
}

// widths are the columns' own.
func (p *printer) widths(head []string, rows [][]span) []int {
	var out []int
	grow := func(i int, t string) {
		for len(out) <= i {
			out = append(out, 0)
		}
		out[i] = max(out[i], p.columns(t))
	}
	for i, h := range head {
		grow(i, h)
	}
	for _, r := range rows {
		for i, c := range r {
			grow(i, c.text)
		}
	}
	return out
}

// paintedLines is a text wrapped behind an indent.
func (p *printer) paintedLines(c span, indent int) []string {
	var out []string
	for _, part := range p.wrap(c.text, indent) {
		out = append(out, p.painted(span{part, c.paint}))
	}
	return out
}

// lay has the cells put in columns: no borders, nothing reformatted, cut or wrapped.
func lay(head []string, rows [][]string) []string {
	twwidth.SetEastAsian(false) // as width counts
	plain := tw.CellConfig{
		Formatting: tw.CellFormatting{AutoWrap: tw.WrapNone, AutoFormat: tw.Off},
		Alignment:  tw.CellAlignment{Global: tw.AlignLeft},
		Padding:    tw.CellPadding{Global: tw.Padding{Right: gap, Overwrite: true}},
	}
	var b bytes.Buffer
	t := tablewriter.NewTable(&b,
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
			Borders: tw.BorderNone, Symbols: tw.NewSymbols(tw.StyleNone), Settings: tw.Settings{Separators: tw.SeparatorsNone, Lines: tw.LinesNone},
		})),
		tablewriter.WithConfig(tablewriter.Config{Header: plain, Row: plain, Behavior: tw.Behavior{TrimSpace: tw.Off, TrimLine: tw.Off, TrimTab: tw.Off}}),
	)
	if len(head) > 0 {
		t.Header(head)
	}
	// Errors are of kinds of cells that are no text, and of the stream, a buffer.
	must(t.Bulk(rows))
	must(t.Render())
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
