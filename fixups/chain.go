package fixups

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ChainPolicy sets what happens to packets that reach the end of a base chain.
type ChainPolicy struct {
	ChainRef
	Policy string `json:"policy"` // "accept" or "drop"
}

func (*ChainPolicy) Kind() string { return "chain-policy" }

func (o *ChainPolicy) Describe() string {
	return fmt.Sprintf("set the policy of %s to %s%s", o.ChainRef, o.Policy, o.in())
}

func (o *ChainPolicy) Shell() []string {
	if o.System == snap.NFT {
		return []string{o.line(append(append([]string{"nft", "chain"}, o.place()...), fmt.Sprintf("{ policy %s ; }", o.Policy))...)}
	}
	return []string{o.xtLine("-P", o.Chain, strings.ToUpper(o.Policy))}
}

func (o *ChainPolicy) On(s *snap.Snapshot) error {
	_, ch, err := o.must(s)
	if err != nil {
		return err
	}
	if !ch.Base() || o.Policy != "accept" && o.Policy != "drop" {
		return fmt.Errorf("policy %s of %s: %w", o.Policy, o.ChainRef, snap.ErrUnsupported)
	}
	ch.Policy = o.Policy
	return nil
}

func (o *ChainPolicy) Inverse(s *snap.Snapshot) (Op, error) {
	_, ch, err := o.must(s)
	if err != nil || ch.Policy == o.Policy {
		return nil, err
	}
	return &ChainPolicy{ChainRef: o.ChainRef, Policy: ch.Policy}, nil
}

func (o *ChainPolicy) Risk() Risk {
	if o.Policy == "accept" {
		return RiskHigh
	}
	return RiskMedium
}

func (o *ChainPolicy) Object(s *snap.Snapshot) any {
	_, ch, err := o.chain(s)
	if err != nil || ch == nil {
		return nil
	}
	return []any{ch.Policy, ch.Hook}
}

func (o *ChainPolicy) Holds(s *snap.Snapshot) bool {
	_, ch, err := o.chain(s)
	return err == nil && ch != nil && ch.Policy == o.Policy
}

// ChainAdd makes a chain; with a Hook a base chain.
type ChainAdd struct {
	ChainRef
	Hook     string   `json:"hook,omitempty"`
	Type     string   `json:"type,omitempty"`
	Priority int32    `json:"priority,omitempty"`
	Policy   string   `json:"policy,omitempty"`
	Devices  []string `json:"devices,omitempty"` // of ingress and egress chains
}

// ChainDel deletes an empty chain.
type ChainDel struct {
	ChainRef
}

func (*ChainAdd) Kind() string { return "chain-add" }
func (*ChainDel) Kind() string { return "chain-del" }

func (o *ChainAdd) Describe() string { return fmt.Sprintf("make chain %s%s", o.ChainRef, o.in()) }
func (o *ChainDel) Describe() string { return fmt.Sprintf("delete chain %s%s", o.ChainRef, o.in()) }

// Shell has -P for iptables' own chains: iptables refuses to make them with -N.
func (o *ChainAdd) Shell() []string {
	switch {
	case o.System == snap.NFT && o.Hook != "":
		dev := ""
		if len(o.Devices) > 0 {
			dev = fmt.Sprintf(" devices = { %s }", strings.Join(o.Devices, ", "))
		}
		policy := o.Policy
		if policy == "" {
			policy = "accept"
		}
		spec := fmt.Sprintf("{ type %s hook %s%s priority %d ; policy %s ; }", o.Type, o.Hook, dev, o.Priority, policy)
		return []string{o.line(append(append([]string{"nft", "add", "chain"}, o.place()...), spec)...)}
	case o.System == snap.NFT:
		return []string{o.line(append([]string{"nft", "add", "chain"}, o.place()...)...)}
	case o.Hook != "":
		return []string{o.xtLine("-P", o.Chain, strings.ToUpper(o.Policy))}
	}
	return []string{o.xtLine("-N", o.Chain)}
}

// Shell names iptables' own chains in nft's words: not every iptables deletes them.
func (o *ChainDel) Shell() []string {
	if _, _, _, own := builtinHook(o.Table, o.Chain); o.System == snap.NFT || own && o.System == snap.IPTablesNFT {
		return []string{o.line(append([]string{"nft", "delete", "chain"}, o.place()...)...)}
	}
	return []string{o.xtLine("-X", o.Chain)}
}

func (o *ChainAdd) On(s *snap.Snapshot) error {
	_, t, err := o.mustTable(s)
	switch {
	case err != nil:
		return err
	case t.Chain(o.Chain) != nil:
		return fmt.Errorf("chain %s is there already", o.ChainRef)
	}
	// A user chain of that name would see no packet, and keep iptables from
	// making its own (iptables/nft.c: nft_xt_builtin_init).
	if _, _, _, own := builtinHook(o.Table, o.Chain); own && o.IPTables() && o.Hook == "" {
		return fmt.Errorf("chain %s, one of iptables' own, without its hook: %w", o.ChainRef, snap.ErrUnsupported)
	}
	c := snap.Chain{
		Name: o.Chain, Hook: o.Hook, Type: o.Type, Priority: o.Priority, Policy: o.Policy, Devices: slices.Clone(o.Devices),
		PolicyPackets: -1, PolicyBytes: -1, Rules: []snap.Rule{},
	}
	if c.Hook != "" && c.Policy == "" {
		c.Policy = "accept"
	}
	t.Chains = append(t.Chains, c)
	return nil
}

func (o *ChainDel) On(s *snap.Snapshot) error {
	t, ch, err := o.must(s)
	if err != nil {
		return err
	}
	if len(ch.Rules) > 0 {
		return fmt.Errorf("chain %s has rules", o.ChainRef)
	}
	for _, other := range t.Chains {
		for _, r := range other.Rules {
			for _, e := range r.Exprs {
				if im, ok := e.(*snap.Immediate); ok && im.Verdict != nil && im.Verdict.Chain == o.Chain {
					return fmt.Errorf("chain %s is used by %s rule %d", o.ChainRef, other.Name, r.Num)
				}
			}
		}
	}
	t.Chains = snap.Without(t.Chains, func(c snap.Chain) bool { return c.Name == o.Chain })
	return nil
}

func (o *ChainAdd) Inverse(s *snap.Snapshot) (Op, error) {
	if _, ch, err := o.chain(s); err != nil || ch != nil {
		return nil, err
	}
	return &ChainDel{o.ChainRef}, nil
}

func (o *ChainDel) Inverse(s *snap.Snapshot) (Op, error) {
	_, ch, err := o.chain(s)
	if err != nil || ch == nil {
		return nil, err
	}
	return &ChainAdd{ChainRef: o.ChainRef, Hook: ch.Hook, Type: ch.Type, Priority: ch.Priority, Policy: ch.Policy, Devices: ch.Devices}, nil
}

func (o *ChainAdd) Risk() Risk { return RiskLow }
func (o *ChainDel) Risk() Risk { return RiskMedium }

func (o *ChainAdd) Object(s *snap.Snapshot) any { return o.object(s) }
func (o *ChainDel) Object(s *snap.Snapshot) any { return o.object(s) }

func (o *ChainAdd) Holds(s *snap.Snapshot) bool {
	_, ch, err := o.chain(s)
	return err == nil && ch != nil && ch.Hook == o.Hook
}

func (o *ChainDel) Holds(s *snap.Snapshot) bool {
	_, ch, err := o.chain(s)
	return err == nil && ch == nil
}
