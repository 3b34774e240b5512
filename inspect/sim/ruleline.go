package sim

import (
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
)

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
	return firewall.RuleText(n.n, p.TableP, p.ChainP, p.Rule)
}
