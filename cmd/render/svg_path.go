package render

import (
	"fmt"
	"strings"
)

// side is the x along which a path runs inside of a network, beside its chips.
func (m *mapLayout) side() int { return margin + m.groupW - 4 }

// pen writes the data of an SVG path.
type pen struct {
	d    strings.Builder
	down bool
}

// to draws a line there, or begins there.
func (p *pen) to(x, y int) {
	if p.down {
		fmt.Fprintf(&p.d, "L%d %d", x, y)
		return
	}
	p.down = true
	fmt.Fprintf(&p.d, "M%d %d", x, y)
}

// bow draws a curve that begins and ends level, as wires do.
func (p *pen) bow(fromX, fromY, x, y int) {
	p.to(fromX, fromY)
	bend := wireRoom / 2
	if x < fromX {
		bend = -80
	}
	fmt.Fprintf(&p.d, "C%d %d %d %d %d %d", fromX+bend, fromY, x-bend, y, x, y)
}

// line leads past nodes: between the chips of a network, along its right side, by
// its wire to the host, and from there on.
func (m *mapLayout) line(nodes []string) string {
	var p pen
	var at []spot
	var ids []string
	for _, id := range nodes {
		if s, ok := m.spots[id]; ok {
			at, ids = append(at, s), append(ids, id)
		}
	}
	side := m.side()
	chip := func(i int) bool { return at[i].x < side }
	gap := func(i int) int { return at[i].y + (chipH+chipGap)/2 }
	stacked := func(i int) bool { return i >= 0 && i < len(at) && at[i].x > m.hostX }
	for i, s := range at {
		switch {
		case chip(i):
			if i > 0 {
				p.to(s.x, gap(i))
			}
			p.to(s.x, s.y+chipH/2)
			if i == len(at)-1 {
				continue
			}
			p.to(s.x, gap(i))
			// To a neighbour in the same row it goes below the chips.
			next := i + 1
			if next+1 < len(at) && !chip(next) && ids[next] != "host" {
				next++
			}
			if !chip(next) || gap(next) != gap(i) {
				p.to(side, gap(i))
			}
		case stacked(i): // the host and what is beyond: from box to box
			p.down = false
			if stacked(i + 1) {
				p.to(s.x, border(ids[i], s.y, at[i+1].y))
				p.to(at[i+1].x, border(ids[i+1], at[i+1].y, s.y))
				p.down = false
			}
		case s.x == margin+m.groupW: // a network
			before, after := i > 0 && ids[i-1] == "host", i < len(at)-1 && ids[i+1] == "host"
			if before {
				p.bow(m.hostX, hostY, s.x, s.y)
				p.to(side, s.y)
			}
			if after {
				p.to(side, s.y)
				p.bow(s.x, s.y, m.hostX, hostY)
			}
			if i < len(at)-1 && chip(i+1) && (before || !(i > 0 && chip(i-1) && gap(i-1) == gap(i+1))) {
				p.to(side, gap(i+1))
			}
		default:
			p.to(s.x, s.y)
		}
	}
	return p.d.String()
}

// border is where a box of the stack, with its middle at y, meets what comes from
// the height of another.
func border(id string, y, other int) int {
	half := chipH / 2
	switch id {
	case "host":
		half = hostH / 2
	case "internet":
		half = netH / 2
	}
	if other < y {
		return y - half
	}
	return y + half
}
