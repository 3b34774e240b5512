package render

import (
	"fmt"
	"strings"
)

// side is the x along which a path runs inside of a network, beside its chips.
const side = margin + groupW - 4

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
	bend := 80
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
	chip := func(i int) bool { return at[i].x < side }
	gap := func(i int) int { return at[i].y + (chipH+chipGap)/2 }
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
		case s.x > hostX: // the host and what is beyond: up to the box, and on behind it
			half := (chipW + 20) / 2
			switch ids[i] {
			case "host":
				half = hostW / 2
			case "internet":
				half = 55
			}
			right := func(j int) bool { return j >= 0 && j < len(at) && at[j].x > s.x }
			left := func(j int) bool { return j >= 0 && j < len(at) && at[j].x < s.x }
			switch {
			case right(i - 1):
				p.to(s.x+half, s.y)
			case left(i-1) && at[i-1].x > hostX:
				p.to(s.x-half, s.y)
			}
			p.down = false
			switch {
			case right(i + 1):
				p.to(s.x+half, s.y)
			case left(i+1) && at[i+1].x > hostX:
				p.to(s.x-half, s.y)
			}
		case s.x == margin+groupW: // a network
			before, after := i > 0 && ids[i-1] == "host", i < len(at)-1 && ids[i+1] == "host"
			if before {
				p.bow(hostX, m.midY, s.x, s.y)
				p.to(side, s.y)
			}
			if after {
				p.to(side, s.y)
				p.bow(s.x, s.y, hostX, m.midY)
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
