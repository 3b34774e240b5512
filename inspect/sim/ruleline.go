package sim

import (
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
)

// line keeps what a route or rule prints as: the same few are asked for again
// and again.
func (n *netns) line(key any, text func() string) string {
	if v, ok := n.lines.Load(key); ok {
		s, _ := v.(string) // nothing else is put in
		return s
	}
	s := text()
	n.lines.Store(key, s)
	return s
}

// ruleLine is a place as its own tool prints it.
func ruleLine(n *netns, p *rules.Place) string {
	if p == nil {
		return ""
	}
	if p.Policy || p.Rule == nil {
		policy := "drop"
		if p.ChainP != nil && p.ChainP.Policy != "" {
			policy = p.ChainP.Policy
		}
		return "policy " + policy
	}
	return n.line(p.Rule, func() string { return firewall.RuleText(n.n, p.TableP, p.ChainP, p.Rule) })
}
