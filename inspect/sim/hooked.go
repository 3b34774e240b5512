package sim

import (
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ruleTable is the compiled rule set of a namespace with the base chains of
// the IP hooks found by key.
type ruleTable struct {
	*rules.Program
	ip map[hookKey]hooked
}

// hookKey is one hook of one family.
type hookKey struct {
	fam  snap.Family
	hook string
}

// hooked are the base chains of one hook, those of NAT apart.
type hooked struct{ chains, nats []*rules.BaseChain }

// program is the compiled rule set of the namespace.
func (n *netns) program() *ruleTable {
	n.once.Do(func() {
		n.rules = &ruleTable{rules.Compile(&n.n.Ruleset), map[hookKey]hooked{}}
		for _, fam := range []snap.Family{snap.IPv4, snap.IPv6} {
			for _, hook := range []string{"prerouting", "input", "forward", "output", "postrouting"} {
				var h hooked
				for _, b := range n.rules.BaseChains(fam, hook, "") {
					if b.Type == "nat" {
						h.nats = append(h.nats, b)
					} else {
						h.chains = append(h.chains, b)
					}
				}
				n.rules.ip[hookKey{fam, hook}] = h
			}
		}
	})
	return n.rules
}

// hooked are the base chains of an IP hook.
func (n *netns) hooked(fam snap.Family, hook string) hooked {
	return n.program().ip[hookKey{fam, hook}]
}
