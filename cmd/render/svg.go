package render

import (
	"cmp"
	"fmt"
	"html"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Sizes of the map in pixels. Networks stand one under the other with what is on
// them in a grid; at their right, one under the other, the internet, the uplinks
// side by side, and the host.
const (
	chipW, chipH, chipGap = 150, 40, 8
	groupPad, groupHead   = 12, 34
	hostW, hostH          = 170, 64
	netW, netH            = 110, 60
	wireRoom              = 130 // between the networks and the host
	margin                = 20
	netY                  = margin + netH/2 // middles
	uplinkY               = netY + 105
	hostY                 = uplinkY + 110
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
	perRow   int // chips
	groupW   int
	hostX    int
	width    int
	height   int
}

// inRow is how many of n things on the networks stand in a row: a map of many
// is broad, so that it is not too high.
func inRow(n int) int {
	switch {
	case n <= 24:
		return 4
	case n <= 100:
		return 5
	}
	return 6
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
	// What is to be seen comes first: it stays in sight where the rest is folded.
	snap.Sort(m.groups, func(a, b mapGroup) int { return cmp.Compare(m.rank(&a), m.rank(&b)) })
	chips := 0
	for i := range m.groups {
		chips += len(m.groups[i].members)
	}
	m.perRow = inRow(chips)
	m.groupW = 2*groupPad + m.perRow*(chipW+chipGap) - chipGap
	m.hostX = margin + m.groupW + wireRoom
	m.width = m.hostX + max(1, len(m.uplinks))*(hostW+chipGap) - chipGap + margin
	y := margin
	for i := range m.groups {
		g := &m.groups[i]
		rows := (len(g.members) + m.perRow - 1) / m.perRow
		g.y, g.h = y, groupHead+groupPad+rows*(chipH+chipGap)
		if rows == 0 {
			g.h = groupHead + groupPad
		}
		for k, c := range g.members {
			m.spots[c.ID] = spot{margin + groupPad + k%m.perRow*(chipW+chipGap) + chipW/2, g.y + groupHead + k/m.perRow*(chipH+chipGap) + chipH/2}
		}
		if g.node != nil {
			m.spots[g.node.ID] = spot{margin + m.groupW, g.y + groupHead/2}
		}
		y += g.h + 16
	}
	m.height = max(y+margin-16, hostY+hostH/2+margin)
	m.spots["host"] = spot{m.hostX + hostW/2, hostY}
	for i, u := range m.uplinks {
		m.spots[u.ID] = spot{m.hostX + hostW/2 + i*(hostW+chipGap), uplinkY}
	}
	m.spots["internet"] = spot{m.hostX + hostW/2, netY}
	return m
}

// rank puts networks that a path passes before those where something is wrong, and
// both before the others.
func (m *mapLayout) rank(g *mapGroup) int {
	rank := 2
	look := func(n *v1.MapNode) {
		switch {
		case m.r.Path != nil && slices.Contains(m.r.Path.Nodes, n.ID):
			rank = 0
		case n.Severity != "":
			rank = min(rank, 1)
		}
	}
	if g.node != nil {
		look(g.node)
	}
	for _, c := range g.members {
		look(c)
	}
	return rank
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
.nd-map .stop{fill:var(--red,#c62828)}.nd-map .stop-text{fill:var(--bg,#fff);font-weight:700;font-size:11px}`

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
	fmt.Fprintf(b, `<svg%s class="nd-map" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="map of %s">%s<rect class="bg" width="100%%" height="100%%"/><g class="scene">`, ns, m.width, m.height, m.width, m.height, esc(m.hostName()), style)
	b.WriteString("\n")
	m.wires(b)
	for i := range m.groups {
		m.group(b, &m.groups[i])
	}
	m.box(b, m.host, m.hostX, hostY-hostH/2, hostW, hostH, hostLine(r.Host, nil))
	for _, u := range m.uplinks {
		at := m.spots[u.ID]
		m.box(b, u, at.x-hostW/2, at.y-chipH/2, hostW, chipH, strings.Join(u.Addresses, ", "))
	}
	if m.internet != nil {
		at := m.spots["internet"]
		fmt.Fprintf(b, `<g class="box%s" data-id="internet"><ellipse cx="%d" cy="%d" rx="%d" ry="%d"/><text x="%d" y="%d" text-anchor="middle">internet</text></g>`+"\n", m.classes(m.internet), at.x, at.y, netW/2, netH/2, at.x, at.y+4)
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
	if s := n.State; n.Kind == "container" && s != "running" || strings.HasSuffix(s, "down") {
		c += " off"
	}
	if p := m.r.Path; p != nil {
		if slices.Contains(p.Nodes, n.ID) {
			c += " on"
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
		var p pen
		p.bow(margin+m.groupW, y, m.hostX, hostY)
		fmt.Fprintf(b, `<path class="wire" data-group="%d" d="%s"/>`+"\n", i, &p.d)
	}
	for _, u := range m.uplinks {
		fmt.Fprintf(b, `<path class="wire" d="%s"/>`+"\n", m.line([]string{"host", u.ID, "internet"}))
	}
}

func (m *mapLayout) group(b *strings.Builder, g *mapGroup) {
	name, sub, class, id := "on the host itself", "", "", "loose"
	var codes []string
	if g.node != nil {
		name, class, id, codes = "net:"+g.node.Name, m.classes(g.node), g.node.ID, g.node.Findings
		sub = diag.Joined("  ", g.node.Device, strings.Join(g.node.Addresses, ", "), g.node.State)
	}
	fmt.Fprintf(b, `<g class="group%s" data-id="%s" data-y="%d" data-h="%d" transform="translate(%d %d)"><rect width="%d" height="%d" rx="10"/>`, class, esc(id), g.y, g.h, margin, g.y, m.groupW, g.h)
	fmt.Fprintf(b, `<g class="head"><title>%s</title><text class="name" x="%d" y="21">%s</text><text class="sub" x="%d" y="21">%s</text><text class="sub count" x="%d" y="21" text-anchor="end">%s</text></g>`,
		esc(name+" "+sub), groupPad, html.EscapeString(fit(name, 26)), groupPad+190, html.EscapeString(fit(sub, 56)), m.groupW-groupPad, esc(diag.Count(len(g.members), "container")))
	if len(codes) > 0 {
		fmt.Fprintf(b, `<text class="code" x="%d" y="21" text-anchor="end">%s</text>`, m.groupW-groupPad-80, esc(strings.Join(codes, " ")))
	}
	b.WriteString(`<g class="members">` + "\n")
	for k, c := range g.members {
		x, y := groupPad+k%m.perRow*(chipW+chipGap), groupHead+k/m.perRow*(chipH+chipGap)
		title := diag.Joined("\n", c.Name, strings.Join(c.Addresses, ", "), c.Device, strings.Join(c.Ports, ", "), c.State, strings.Join(c.Findings, " "))
		fmt.Fprintf(b, `<g class="chip%s" data-id="%s" data-name="%s" transform="translate(%d %d)"><title>%s</title><rect width="%d" height="%d" rx="6"/><text class="name" x="9" y="17">%s</text><text class="sub" x="9" y="31">%s</text>`,
			m.classes(c), esc(c.ID), esc(strings.ToLower(c.Name+" "+strings.Join(c.Addresses, " "))), x, y, esc(title), chipW, chipH, html.EscapeString(fit(c.Name, 17)), html.EscapeString(fit(first(c.Addresses, notUp(c.State)), 20)))
		switch {
		case m.r.Path != nil && m.r.Path.Broken == c.ID: // its mark stands there
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
		text := diag.Joined(" ", "×", p.Code)
		w := 10 + 7*utf8.RuneCountInString(text)
		x, y := at.x, at.y-hostH/2-1 // on the border of a box
		switch {
		case p.Broken == "host":
		case at.x < m.side(): // in a chip, where its code would stand
			x, y = at.x+chipW/2-w/2-5, at.y+7
		case at.x < m.hostX: // at the corner of a network
			x, y = at.x-w/2-groupPad, at.y-groupHead/2
		default:
			y = at.y - chipH/2 - 1
		}
		fmt.Fprintf(b, `<g class="end"><title>%s</title><rect class="stop" x="%d" y="%d" width="%d" height="16" rx="8"/><text class="stop-text" x="%d" y="%d" text-anchor="middle">%s</text></g>`+"\n", esc(p.Why), x-w/2, y-8, w, x, y+4, esc(text))
	}
}
