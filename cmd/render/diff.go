package render

import (
	"fmt"
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
)

// diff is the screen of two states: what broke something first.
func (p *printer) diff(r *v1.DiffResult) {
	if !p.st.Quiet {
		p.line(in(bold, "from "), s(state(r.A)))
		p.line(in(bold, "to   "), s(state(r.B)))
		p.line()
	}
	place := ""
	for i := range r.Changes {
		d := &r.Changes[i]
		if len(d.Broke) > 0 {
			where := ""
			if d.Netns != "" {
				where = d.Netns + ": "
			}
			sign, paint := p.st.sign("fail")
			p.line(in(paint, sign+" "), s(where), in(bold, d.Text))
			p.turned("broke", d.Broke)
			continue
		}
		if p.st.Quiet {
			continue
		}
		here := d.Netns
		if here == "" {
			here = d.Noun + "s"
		}
		if here != place {
			if i > 0 {
				p.line()
			}
			p.line(in(bold, here))
			place = here
		}
		paint := map[string]paint{"+": green, "-": red, "~": yellow}[d.Sign]
		p.line(s("  "), in(paint, d.Sign+" "), s(d.Text))
	}
	if len(r.Broke) > 0 {
		p.line()
		sign, paint := p.st.sign("fail")
		p.line(in(paint, sign+" "), in(bold, "no change alone, but all together"))
		p.turned("broke", r.Broke)
	}
	if p.st.Quiet {
		return
	}
	if len(r.Mended) > 0 {
		p.line()
		sign, paint := p.st.sign("ok")
		p.line(in(paint, sign+" "), in(bold, "what did not work and does now"))
		p.turned("mended", r.Mended)
	}
	if len(r.Findings) > 0 {
		p.line()
		p.findings(r.Findings, false)
	}
	if len(r.Changes) > 0 {
		p.line()
	}
	sum := diag.Count(len(r.Changes), "change")
	if len(r.Changes) == 0 {
		sum = "nothing changed"
	}
	if len(r.Gone) > 0 {
		sum += " · no more " + strings.Join(r.Gone, ", ")
	}
	p.ends([]span{s(sum)}, in(dim, fmt.Sprintf("exit %d", p.st.Exit)))
}

// state names one of the two.
func state(h v1.HostInfo) string {
	from := "this machine"
	if h.Snapshot != "" {
		from = h.Snapshot
	}
	return from + ", read " + h.ReadAt + "   " + hostLine(h, nil)
}

// turned lists flows and names, the first few unless everything is wanted.
func (p *printer) turned(label string, ts []v1.Turned) {
	for i, t := range ts {
		if i == 5 && !p.st.Verbose {
			p.labelled("    ", "", in(dim, fmt.Sprintf("and %d more: -v", len(ts)-i)))
			return
		}
		what := t.From + " → " + t.To
		if t.Kind == "name" {
			what = t.From + " resolves " + t.To
		}
		p.labelled("    ", label, s(fmt.Sprintf("%s: %s → %s", what, t.Before, t.After)))
	}
}
