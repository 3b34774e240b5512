package render

import (
	"fmt"
	"io"
	"slices"
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
)

// mapTree is the screen of the map: the host, its uplinks, its networks, and what
// is on each.
func (p *printer) mapTree(r *v1.MapResult) {
	var host *v1.MapNode
	for i := range r.Nodes {
		if r.Nodes[i].Kind == "host" {
			host = &r.Nodes[i]
		}
	}
	if host == nil {
		p.line(s("nothing is known of this host"))
		return
	}
	p.line(append([]span{in(bold, host.Name), s("   " + hostLine(r.Host, nil))}, p.marks(r, host)...)...)
	var below []*v1.MapNode
	for _, kind := range []string{"uplink", "network", "container", "netns"} {
		for i := range r.Nodes {
			if n := &r.Nodes[i]; n.Kind == kind && (n.On == "host" || kind == "uplink") {
				below = append(below, n)
			}
		}
	}
	for i, n := range below {
		p.branch(r, n, "", i == len(below)-1)
	}
	if r.Path != nil {
		p.line()
		sign, paint := p.st.sign(r.Path.Verdict)
		p.line(in(paint, sign+" "), s(r.Path.From+" → "+r.Path.To+"  "), in(paint, strings.ToUpper(r.Path.Verdict)))
		if r.Path.Why != "" {
			p.labelled("  ", "why", s(strings.TrimSpace(r.Path.Code+" "+r.Path.Why)))
		}
	}
	if len(r.Coverage.Skipped) > 0 && !p.st.Quiet {
		p.line()
		p.skipped(r.Coverage.Skipped, p.st.Verbose)
	}
}

// branch writes a node and what hangs on it.
func (p *printer) branch(r *v1.MapResult, n *v1.MapNode, indent string, last bool) {
	tee, bar := p.st.pick("├─ ", "|- "), p.st.pick("│  ", "|  ")
	if last {
		tee, bar = p.st.pick("└─ ", "`- "), "   "
	}
	what := []span{in(dim, indent+tee)}
	switch n.Kind {
	case "network":
		what = append(what, in(bold, "net:"+n.Name), s("  "+diag.Joined("  ", n.State, n.Device, strings.Join(n.Addresses, ", "))))
	case "uplink":
		what = append(what, in(bold, n.Name), s("  "+diag.Joined("  ", strings.Join(n.Addresses, ", "), "→ internet", notUp(n.State))))
	default:
		width := 0
		for i := range r.Nodes {
			if r.Nodes[i].On == n.On {
				width = max(width, p.columns(r.Nodes[i].Name))
			}
		}
		dev := ""
		if n.Device != "" {
			dev = "↔ " + n.Device
		}
		what = append(what, s(p.pad(n.Name, width)+"  "+diag.Joined("  ", strings.Join(n.Addresses, ", "), dev, strings.Join(n.Ports, ", "), notUp(n.State))))
	}
	p.line(append(what, p.marks(r, n)...)...)
	var below []*v1.MapNode
	for i := range r.Nodes {
		if r.Nodes[i].On == n.ID {
			below = append(below, &r.Nodes[i])
		}
	}
	for i, c := range below {
		p.branch(r, c, indent+bar, i == len(below)-1)
	}
}

// marks are what is wrong at a node, and its place on the path.
func (p *printer) marks(r *v1.MapResult, n *v1.MapNode) []span {
	var out []span
	if r.Path != nil {
		var at []string
		for i, id := range r.Path.Nodes {
			if id == n.ID {
				at = append(at, fmt.Sprint(i+1))
			}
		}
		if len(at) > 0 {
			out = append(out, in(cyan, "  ["+strings.Join(at, ",")+"]"))
		}
		if r.Path.Broken == n.ID {
			sign, paint := p.st.sign("fail")
			out = append(out, in(paint, "  "+diag.Joined(" ", sign, "ends here", r.Path.Code)))
		}
	}
	codes := n.Findings
	if r.Path != nil && r.Path.Broken == n.ID {
		codes = slices.DeleteFunc(slices.Clone(codes), func(c string) bool { return c == r.Path.Code })
	}
	if len(codes) > 0 {
		sign, paint := p.st.sign(n.Severity)
		out = append(out, in(paint, "  "+sign+" "+strings.Join(codes, " ")))
	}
	return out
}

func notUp(state string) string {
	if state == "running" || state == "up" {
		return ""
	}
	return strings.TrimPrefix(state, "running, ")
}

// dot writes the map in Graphviz' language; every foreign text is a quoted label.
func dot(w io.Writer, r *v1.MapResult) error {
	d := dotMap{r: r}
	d.b.WriteString("graph netdoctor {\n  rankdir=LR;\n  node [fontname=\"sans-serif\", fontsize=10];\n  edge [fontname=\"sans-serif\", fontsize=8];\n")
	d.nodes()
	d.wires()
	if r.Path != nil {
		for i := 1; i < len(r.Path.Nodes); i++ {
			fmt.Fprintf(&d.b, "  %s -- %s [dir=forward, color=\"#1565c0\", penwidth=2, constraint=false];\n", dotQuote(r.Path.Nodes[i-1]), dotQuote(r.Path.Nodes[i]))
		}
	}
	d.b.WriteString("}\n")
	_, err := io.WriteString(w, d.b.String())
	return err
}

// dotMap is a map on its way into Graphviz' language.
type dotMap struct {
	b strings.Builder
	r *v1.MapResult
}

func dotQuote(t string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(Clean(t)) + `"`
}

// nodes writes networks as boxes around their containers, and what is on none beside them.
func (d *dotMap) nodes() {
	for i := range d.r.Nodes {
		n := &d.r.Nodes[i]
		switch n.Kind {
		case "network":
			fmt.Fprintf(&d.b, "  subgraph %s {\n    label=%s;\n", dotQuote("cluster "+n.ID), dotQuote("net:"+n.Name))
			d.node(n, "    ")
			for j := range d.r.Nodes {
				if d.r.Nodes[j].On == n.ID {
					d.node(&d.r.Nodes[j], "    ")
				}
			}
			d.b.WriteString("  }\n")
		case "container":
			if n.On == "host" {
				d.node(n, "  ")
			}
		default:
			d.node(n, "  ")
		}
	}
}

func (d *dotMap) node(n *v1.MapNode, indent string) {
	shape := map[string]string{"host": "box3d", "uplink": "cds", "internet": "ellipse", "network": "hexagon"}[n.Kind]
	if shape == "" {
		shape = "box"
	}
	label := n.Name
	for _, l := range []string{strings.Join(n.Addresses, ", "), notUp(n.State), strings.Join(n.Findings, " ")} {
		if l != "" {
			label += "\n" + l
		}
	}
	var lines []string
	for _, l := range strings.Split(label, "\n") {
		lines = append(lines, strings.Trim(dotQuote(l), `"`))
	}
	fmt.Fprintf(&d.b, "%s%s [shape=%s, label=\"%s\"%s];\n", indent, dotQuote(n.ID), shape, strings.Join(lines, `\n`), d.color(n))
}

// color marks what is broken, what the path goes by, and what a warning is about.
func (d *dotMap) color(n *v1.MapNode) string {
	path := d.r.Path
	switch {
	case path != nil && path.Broken == n.ID, n.Severity == "error":
		return `, color="#c62828", penwidth=2`
	case path != nil && slices.Contains(path.Nodes, n.ID):
		return `, color="#1565c0", penwidth=2`
	case n.Severity == "warning":
		return `, color="#b26a00", penwidth=2`
	}
	return ""
}

// wires ties every node to what it is on, and the host to the Internet by its uplinks.
func (d *dotMap) wires() {
	uplinks := slices.ContainsFunc(d.r.Nodes, func(n v1.MapNode) bool { return n.Kind == "uplink" })
	for i := range d.r.Nodes {
		n := &d.r.Nodes[i]
		switch {
		case n.Kind == "uplink":
			fmt.Fprintf(&d.b, "  \"host\" -- %s;\n  %s -- \"internet\";\n", dotQuote(n.ID), dotQuote(n.ID))
		case n.Kind == "host" && uplinks, n.On == "":
		default:
			fmt.Fprintf(&d.b, "  %s -- %s [label=%s];\n", dotQuote(n.ID), dotQuote(n.On), dotQuote(n.Device))
		}
	}
}
