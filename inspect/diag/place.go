package diag

import (
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Netns is the namespace of a place; nil when it is not in the snapshot.
func (in *Input) Netns(id string) *snap.Netns { return in.Snap.Ns(id) }

// Who names a namespace for people: by its container, "host", else by its ID.
func (in *Input) Who(id string) string {
	if id == in.Snap.Host.Netns {
		return "host"
	}
	if cs := in.Graph.ContainersOf(id); len(cs) > 0 {
		return cs[0].Name
	}
	return id
}

// RuleLine is the deciding rule or policy of a place as its own tool prints it,
// and the command that shows it; "" for what no rule decided.
func (in *Input) RuleLine(w *sim.Where) (text, source string) {
	p := w.Rule
	ns := in.Snap.Ns(w.Netns)
	if p == nil || ns == nil {
		return "", ""
	}
	v6 := ""
	if p.Family == snap.IPv6 {
		v6 = "6"
	}
	switch p.System {
	case snap.IPTablesNFT, snap.IPTablesLegacy:
		tool := "ip" + v6 + "tables"
		if p.System == snap.IPTablesLegacy {
			tool += "-legacy"
		}
		source = fmt.Sprintf("%s -t %s -S %s", tool, p.Table, p.Chain)
	default:
		source = fmt.Sprintf("nft list chain %s %s %s", p.Family.NFT(), p.Table, p.Chain)
	}
	source = in.IPCommand(w.Netns, source)
	switch {
	case p.Policy && p.System != snap.NFT:
		return "-P " + p.Chain + " " + strings.ToUpper(policyOf(p.ChainP)), source
	case p.Policy:
		return "policy " + policyOf(p.ChainP), source
	case p.Rule != nil && p.TableP != nil && p.ChainP != nil:
		return firewall.RuleText(ns, p.TableP, p.ChainP, p.Rule), source
	}
	return "", source
}

// policyOf is the policy by which a chain stopped a packet: "drop" where it was not read.
func policyOf(c *snap.Chain) string {
	if c == nil || c.Policy == "" {
		return "drop"
	}
	return c.Policy
}

// ChainName is a place in words: "filter FORWARD rule 3", "nft inet corp_fw forward policy",
// "iptables-legacy nat OUTPUT rule 1"; "netfilter" when no rule is known.
func ChainName(w *sim.Where) string {
	p := w.Rule
	if p == nil {
		return "netfilter"
	}
	name := p.Table + " " + p.Chain
	switch p.System {
	case snap.IPTablesLegacy:
		name = "iptables-legacy " + name
	case snap.NFT:
		name = "nft " + p.Family.NFT() + " " + name
	}
	if p.Policy {
		return name + " policy"
	}
	if p.Num == 0 { // of a rule that was never read
		return fmt.Sprintf("%s rule with handle %d", name, p.Handle)
	}
	return fmt.Sprintf("%s rule %d", name, p.Num)
}
