package names

import (
	"net/netip"
	"slices"
	"strings"
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

// maxControls bounds what is asked to tell domains that answer to everything.
const maxControls = 6

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
	return append(out, controls(p)...)
}

// controls are questions for names that nobody has, below each domain of the
// search list: whoever answers them answers to everything.
func controls(p Path) []Question {
	var out []Question
	for _, name := range p.Candidates {
		domain, ok := strings.CutPrefix(fold(name), fold(p.Name)+".")
		if !ok {
			continue
		}
		for _, s := range p.Servers {
			if s.Role != "upstream" && s.AskedFrom == p.From && len(out) < maxControls {
				out = append(out, Question{From: s.AskedFrom, Server: s.Addr, Name: ControlLabel + "." + domain, Type: p.Type})
			}
		}
	}
	return out
}

// Listed are the names that the search list puts before the name as it stands.
func Listed(p Path) []string {
	for i, c := range p.Candidates {
		if fold(c) == fold(p.Name) {
			return p.Candidates[:i]
		}
	}
	return nil
}
