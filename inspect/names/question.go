package names

import (
	"net/netip"
	"slices"
)

// Question is one live DNS question that would prove a step.
type Question struct {
	From   string // Netns.ID to ask from
	Server netip.AddrPort
	Name   string // the whole name
	Type   string
}

// maxQuestions bounds what one name may send.
const maxQuestions = 16

// Questions are the live questions that would prove the path: every server on
// the way, asked from the namespace that it is really asked from, for each full
// name in the order tried. Names of the engine's own are not sent upstream.
func Questions(p Path) []Question {
	var out []Question
	for _, name := range p.Candidates {
		for _, s := range p.Servers {
			q := Question{From: s.AskedFrom, Server: s.Addr, Name: name, Type: p.Type}
			if len(out) < maxQuestions && !slices.Contains(out, q) {
				out = append(out, q)
			}
		}
	}
	return out
}
