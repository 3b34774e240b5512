package render

import (
	"fmt"
	"html"
	"io"
	"strings"
	"unicode/utf8"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

// Sizes of the map in pixels. Networks stand one under the other with what is on
// them in a grid; the host, its uplinks and the internet stand at their right.
const (
	chipW, chipH, chipGap = 150, 40, 8
	chipsInRow            = 4
	groupPad, groupHead   = 12, 34
	groupW                = 2*groupPad + chipsInRow*chipW + (chipsInRow-1)*chipGap
	hostX, hostW, hostH   = groupW + 190, 170, 64
	uplinkX               = hostX + hostW + 70
	netX                  = uplinkX + chipW + 20 + 60
	svgW                  = netX + 110 + 20
	margin                = 20
)

// mapGroup is a network with its members, placed.
type mapGroup struct {
	node    *v1.MapNode // nil: what hangs on the host itself
	members []*v1.MapNode
	y, h    int
}

// spot is where a path passes a node: its middle.
type spot struct{ x, y int }

// mapLayout is the map, placed.
type mapLayout struct {
	r        *v1.MapResult
	groups   []mapGroup
	host     *v1.MapNode
	uplinks  []*v1.MapNode
	internet *v1.MapNode
	spots    map[string]spot
	height   int
	midY     int
}

func layout(r *v1.MapResult) *mapLayout {
	m := &mapLayout{r: r, spots: map[string]spot{}}
	loose := mapGroup{}
	for i := range r.Nodes {
		switch n := &r.Nodes[i]; n.Kind {
		case "host":
			m.host = n
		case "uplink":
			m.uplinks = append(m.uplinks, n)
		case "internet":
			m.internet = n
		case "network":
			g := mapGroup{node: n}
			for j := range r.Nodes {
				if r.Nodes[j].On == n.ID {
					g.members = append(g.members, &r.Nodes[j])
				}
			}
			m.groups = append(m.groups, g)
		default:
			if n.On == "host" {
				loose.members = append(loose.members, n)
			}
		}
	}
	if len(loose.members) > 0 {
		m.groups = append(m.groups, loose)
	}
	y := margin
	for i := range m.groups {
		g := &m.groups[i]
		rows := (len(g.members) + chipsInRow - 1) / chipsInRow
		g.y, g.h = y, groupHead+groupPad+rows*(chipH+chipGap)
		if rows == 0 {
			g.h = groupHead + groupPad
		}
		for k, c := range g.members {
			m.spots[c.ID] = spot{margin + groupPad + k%chipsInRow*(chipW+chipGap) + chipW/2, g.y + groupHead + k/chipsInRow*(chipH+chipGap) + chipH/2}
		}
		if g.node != nil {
			m.spots[g.node.ID] = spot{margin + groupW, g.y + groupHead/2}
		}
		y += g.h + 16
	}
	m.height = max(y+margin-16, 180, len(m.uplinks)*(chipH+16)+2*margin)
	m.midY = min(m.height/2, 230) // in sight where a map begins
	m.spots["host"] = spot{hostX + hostW/2, m.midY}
	for i, u := range m.uplinks {
		m.spots[u.ID] = spot{uplinkX + (chipW+20)/2, m.midY + (2*i-len(m.uplinks)+1)*(chipH+16)/2}
	}
	m.spots["internet"] = spot{netX + 55, m.midY}
	return m
}

// svgStyle is the look of the map, by itself and in the report; colours come from
// the page's own properties where it has them.
const svgStyle = `.nd-map{font-family:system-ui,sans-serif;font-size:12px}
.nd-map .bg{fill:var(--bg,#fff)}.nd-map text{fill:var(--fg,#1b1f24)}.nd-map .sub{fill:var(--dim,#57606a);font-size:10px}
.nd-map .hidden{display:none}.nd-map .group>rect{fill:var(--panel,#f6f8fa);stroke:var(--line,#d0d7de)}
.nd-map .chip rect,.nd-map .box rect,.nd-map .box ellipse{fill:var(--card,#fff);stroke:var(--edge,#8c959f)}
.nd-map .off rect{stroke-dasharray:4 3;opacity:.75}.nd-map .name{font-weight:600}
.nd-map .error>rect{stroke:var(--red,#c62828);stroke-width:2}.nd-map .warning>rect{stroke:var(--amber,#b26a00);stroke-width:2}
.nd-map .code{fill:var(--red,#c62828);font-size:10px;font-weight:600}.nd-map .warning .code{fill:var(--amber,#b26a00)}.nd-map .info .code{fill:var(--dim,#57606a)}
.nd-map .wire{fill:none;stroke:var(--edge,#8c959f);stroke-width:1.5}
.nd-map .path{fill:none;stroke:var(--blue,#1565c0);stroke-width:3;stroke-linejoin:round;opacity:.85}
.nd-map .on>rect,.nd-map .on>ellipse{stroke:var(--blue,#1565c0);stroke-width:2.5}
.nd-map .broken>rect,.nd-map .broken>ellipse{stroke:var(--red,#c62828);stroke-width:3}
.nd-map .stop{fill:var(--red,#c62828)}.nd-map .stop-text{fill:#fff;font-weight:700}`

// svg writes the map as a picture that stands for itself.
func svg(w io.Writer, r *v1.MapResult) error {
	var b strings.Builder
	drawMap(&b, r, true)
	_, err := io.WriteString(w, b.String())
	return err
}

// esc is foreign text inside a picture or page.
func esc(t string) string { return html.EscapeString(Clean(t)) }

// fit cuts a text to a number of letters; the whole of it stands in the title.
func fit(t string, n int) string {
	t = Clean(t)
	if utf8.RuneCountInString(t) <= n {
		return t
	}
	return string([]rune(t)[:n-1]) + "…"
}

func drawMap(b *strings.Builder, r *v1.MapResult, alone bool) {
	m := layout(r)
	ns, style := "", ""
	if alone {
		ns, style = ` xmlns="http://www.w3.org/2000/svg"`, "<style>"+svgStyle+"</style>"
	}
	fmt.Fprintf(b, `<svg%s class="nd-map" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="map of %s">%s<rect class="bg" width="100%%" height="100%%"/><g class="scene">`, ns, svgW, m.height, svgW, m.height, esc(m.hostName()), style)
	b.WriteString("\n")
	m.wires(b)
	for i := range m.groups {
		m.group(b, &m.groups[i])
	}
	m.box(b, m.host, hostX, m.midY-hostH/2, hostW, hostH, hostLine(r.Host, nil))
	for _, u := range m.uplinks {
		at := m.spots[u.ID]
		m.box(b, u, at.x-(chipW+20)/2, at.y-chipH/2, chipW+20, chipH, strings.Join(u.Addresses, ", "))
	}
	if m.internet != nil {
		fmt.Fprintf(b, `<g class="box%s" data-id="internet"><ellipse cx="%d" cy="%d" rx="55" ry="30"/><text x="%d" y="%d" text-anchor="middle">internet</text></g>`+"\n", m.classes(m.internet), netX+55, m.midY, netX+55, m.midY+4)
	}
	m.path(b)
	b.WriteString("</g></svg>\n")
}

func (m *mapLayout) hostName() string {
	if m.host == nil {
		return "a host"
	}
	return m.host.Name
}

// classes of a node: what is wrong, and its part in the path.
func (m *mapLayout) classes(n *v1.MapNode) string {
	c := ""
	if n.Severity != "" {
		c += " " + n.Severity
	}
	if s := n.State; n.Kind == "container" && s != "running" || s == "down" {
		c += " off"
	}
	if p := m.r.Path; p != nil {
		for _, id := range p.Nodes {
			if id == n.ID {
				c += " on"
				break
			}
		}
		if p.Broken == n.ID {
			c += " broken"
		}
	}
	return c
}

func (m *mapLayout) wires(b *strings.Builder) {
	for i := range m.groups {
		g := &m.groups[i]
		y := g.y + groupHead/2
		fmt.Fprintf(b, `<path class="wire" data-group="%d" d="M%d %dC%d %d %d %d %d %d"/>`+"\n", i, margin+groupW, y, margin+groupW+80, y, hostX-80, m.midY, hostX, m.midY)
	}
	for _, u := range m.uplinks {
		at := m.spots[u.ID]
		fmt.Fprintf(b, `<path class="wire" d="M%d %dL%d %dM%d %dL%d %d"/>`+"\n", hostX+hostW, m.midY, uplinkX, at.y, uplinkX+chipW+20, at.y, netX, m.midY)
	}
}

func (m *mapLayout) group(b *strings.Builder, g *mapGroup) {
	name, sub, class, id := "on the host itself", "", "", "loose"
	var codes []string
	if g.node != nil {
		name, class, id, codes = "net:"+g.node.Name, m.classes(g.node), g.node.ID, g.node.Findings
		sub = join("  ", g.node.Device, strings.Join(g.node.Addresses, ", "), g.node.State)
	}
	fmt.Fprintf(b, `<g class="group%s" data-id="%s" data-y="%d" data-h="%d" transform="translate(%d %d)"><rect width="%d" height="%d" rx="10"/>`, class, esc(id), g.y, g.h, margin, g.y, groupW, g.h)
	fmt.Fprintf(b, `<g class="head"><title>%s</title><text class="name" x="%d" y="21">%s</text><text class="sub" x="%d" y="21">%s</text><text class="sub count" x="%d" y="21" text-anchor="end">%s</text></g>`,
		esc(name+" "+sub), groupPad, html.EscapeString(fit(name, 26)), groupPad+190, html.EscapeString(fit(sub, 56)), groupW-groupPad, esc(plural(len(g.members), "container")))
	if len(codes) > 0 {
		fmt.Fprintf(b, `<text class="code" x="%d" y="21" text-anchor="end">%s</text>`, groupW-groupPad-80, esc(strings.Join(codes, " ")))
	}
	b.WriteString(`<g class="members">` + "\n")
	for k, c := range g.members {
		x, y := groupPad+k%chipsInRow*(chipW+chipGap), groupHead+k/chipsInRow*(chipH+chipGap)
		title := join("\n", c.Name, strings.Join(c.Addresses, ", "), c.Device, strings.Join(c.Ports, ", "), c.State, strings.Join(c.Findings, " "))
		fmt.Fprintf(b, `<g class="chip%s" data-id="%s" data-name="%s" transform="translate(%d %d)"><title>%s</title><rect width="%d" height="%d" rx="6"/><text class="name" x="9" y="17">%s</text><text class="sub" x="9" y="31">%s</text>`,
			m.classes(c), esc(c.ID), esc(strings.ToLower(c.Name+" "+strings.Join(c.Addresses, " "))), x, y, esc(title), chipW, chipH, html.EscapeString(fit(c.Name, 17)), html.EscapeString(fit(first(c.Addresses, notUp(c.State)), 20)))
		switch {
		case len(c.Findings) > 0:
			fmt.Fprintf(b, `<text class="code" x="%d" y="31" text-anchor="end">%s</text>`, chipW-8, esc(c.Findings[0]))
		case len(c.Ports) > 0:
			fmt.Fprintf(b, `<text class="sub" x="%d" y="31" text-anchor="end">%s</text>`, chipW-8, html.EscapeString(fit(port(c.Ports[0]), 12)))
		}
		b.WriteString("</g>\n")
	}
	b.WriteString("</g></g>\n")
}

// first is the first address, or what is said instead.
func first(addrs []string, or string) string {
	if len(addrs) > 0 {
		return addrs[0]
	}
	return or
}

// port is a published port without the address.
func port(t string) string {
	if i := strings.Index(t, "→"); i > 0 {
		if j := strings.LastIndexByte(t[:i], ':'); j >= 0 {
			return ":" + t[j+1:]
		}
	}
	return t
}

func (m *mapLayout) box(b *strings.Builder, n *v1.MapNode, x, y, w, h int, sub string) {
	if n == nil {
		return
	}
	fmt.Fprintf(b, `<g class="box%s" data-id="%s"><title>%s</title><rect x="%d" y="%d" width="%d" height="%d" rx="8"/><text class="name" x="%d" y="%d" text-anchor="middle">%s</text><text class="sub" x="%d" y="%d" text-anchor="middle">%s</text>`,
		m.classes(n), esc(n.ID), esc(n.Name+"\n"+sub), x, y, w, h, x+w/2, y+h/2-3, html.EscapeString(fit(n.Name, 22)), x+w/2, y+h/2+13, html.EscapeString(fit(sub, 29)))
	if len(n.Findings) > 0 {
		fmt.Fprintf(b, `<text class="code" x="%d" y="%d" text-anchor="middle">%s</text>`, x+w/2, y+h+13, html.EscapeString(fit(strings.Join(n.Findings, " "), 28)))
	}
	b.WriteString("</g>\n")
}

// path draws the way of a packet, and where it ends.
func (m *mapLayout) path(b *strings.Builder) {
	p := m.r.Path
	if p == nil {
		return
	}
	fmt.Fprintf(b, `<path class="path" d="%s"><title>%s</title></path>`+"\n", m.line(p.Nodes), esc(p.From+" → "+p.To+": "+p.Verdict))
	if at, ok := m.spots[p.Broken]; ok && p.Broken != "" {
		if p.Broken == "host" {
			at = spot{hostX + hostW/2, m.midY - hostH/2 + 6}
		}
		text := join(" ", "×", p.Code)
		w := 16 + 8*utf8.RuneCountInString(text)
		fmt.Fprintf(b, `<g class="end"><title>%s</title><rect class="stop" x="%d" y="%d" width="%d" height="20" rx="10"/><text class="stop-text" x="%d" y="%d" text-anchor="middle">%s</text></g>`+"\n", esc(p.Why), at.x-w/2, at.y-30, w, at.x, at.y-16, esc(text))
	}
}
