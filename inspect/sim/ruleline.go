package sim

import (
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// said is what is said of a rule or policy: the same few are met again and
// again.
type said struct {
	place rules.Place // with its Ref; not to be written to
	chain string      // the chain with its table
	name  string      // the place in a sentence
	// accepted says that it let a packet on.
	accepted string
	line     string // as its own tool prints it
	stage    string // of its hook, "" in a chain without one
}

// say is what is said of a place of the namespace's program.
func (n *netns) say(p *rules.Place) *said {
	if v, ok := n.lines.Load(p); ok {
		s, _ := v.(*said) // nothing else is put in under a place
		return s
	}
	s := &said{place: *p, chain: chainName(p), line: ruleLine(n, p)}
	s.name = s.chain + " rule " + strconv.Itoa(p.Num)
	if p.Policy {
		s.name = "the policy of " + s.chain
	}
	s.accepted = "accepted by " + s.name
	if p.Policy || p.Rule == nil {
		s.accepted = "accepted by the policy"
		if p.ChainP != nil && !strings.EqualFold(p.Chain, p.ChainP.Hook) {
			s.accepted += " of " + s.chain // the stage names the hook
		}
	}
	if p.ChainP != nil {
		s.stage = p.Table + " " + strings.ToUpper(p.ChainP.Hook)
	}
	if p.TableP != nil {
		if p.Policy || p.Rule == nil {
			s.place.Ref = snap.RefChain(n.n.ID, p.TableP, p.Chain)
		} else {
			s.place.Ref = snap.RefRule(n.n.ID, p.TableP, p.Chain, p.Num)
		}
	}
	n.lines.Store(p, s)
	n.lines.Store(&s.place, s)
	return s
}

// chainName is a chain with its table. The legacy tables have the same names
// as the others, so they are told apart.
func chainName(p *rules.Place) string {
	if p.System == snap.IPTablesLegacy {
		return "legacy " + p.Table + " " + p.Chain
	}
	return p.Table + " " + p.Chain
}

// ruleLine is a place as its own tool prints it.
func ruleLine(n *netns, p *rules.Place) string {
	if p.Policy || p.Rule == nil {
		policy := "drop"
		if p.ChainP != nil && p.ChainP.Policy != "" {
			policy = p.ChainP.Policy
		}
		return "policy " + policy
	}
	return firewall.RuleText(n.n, p.TableP, p.ChainP, p.Rule)
}
