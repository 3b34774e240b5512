package render

import (
	"fmt"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
)

// probes is the screen of probe. Cells that are as expected are counted only,
// unless they were asked for.
func (p *printer) probes(r *v1.ProbeResult, wide bool) {
	n := &r.Summary
	head := fmt.Sprintf("%s, %d seen, %d as expected", diag.Count(n.Cells, "flow"), n.Seen, n.Same)
	if n.Differ > 0 {
		head += fmt.Sprintf(", %d other than expected", n.Differ)
	}
	if n.Broken > 0 {
		head += fmt.Sprintf(", %d that must work and do not", n.Broken)
	}
	if k := n.Cells - n.Seen; k > 0 && n.Seen > 0 {
		head += fmt.Sprintf("; %d not tried", k)
		if !p.st.Verbose && !wide {
			head += " (-v shows them)"
		}
	}
	p.line(s(head))
	var rows [][]span
	for i := range r.Cells {
		c := &r.Cells[i]
		if !wide && !p.st.Verbose && len(r.Cells) > 1 && !c.Differs() && !c.Broken() {
			continue
		}
		seen, paint := c.Seen, paintOf(c.Seen)
		if seen == "" {
			seen, paint = "-", dim
		}
		why := c.Why
		if c.Must {
			why += ", must work"
		}
		text := c.Detail
		if c.Where != nil && c.Where.Detail != "" && c.Where.Detail != text {
			text = c.Where.Detail
		}
		rows = append(rows, []span{s(c.From), s(c.To), in(dim, why), s(c.Expected), in(paint, seen), s(text)})
	}
	if len(rows) > 0 {
		p.line()
		p.table("", []string{"from", "to", "why", "expected", "seen", "detail"}, rows)
	}
	if n.LeftOut > 0 {
		p.line(s(fmt.Sprintf("%d flows were left out: there are too many", n.LeftOut)))
	}
	p.skipped(r.Coverage.Skipped, p.st.Verbose || wide)
}
